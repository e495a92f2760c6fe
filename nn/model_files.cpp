// A model as files: the Hugging Face directory, and beside it the heads of further tasks.
#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <stdexcept>

#include "base/file.h"
#include "base/json.h"
#include "base/utf8.h"
#include "nn/model.h"
#include "nn/weights.h"

namespace holdfast {
namespace {

constexpr std::int64_t kMaxHeadsFile = 16 << 20;  // bytes
constexpr std::string_view kHeadsJson = "holdfast.json";
constexpr std::string_view kHeadsFile = "heads.safetensors";

std::string in_quotes(std::string_view text) { return '"' + utf8::printable(text) + '"'; }

std::string join(const std::vector<std::string>& parts) {
  std::string out;
  for (const std::string& part : parts) out += (out.empty() ? "" : ", ") + part;
  return out;
}

struct HeadList {
  std::string primary;  // the task of the classifier in model.safetensors; empty if there is none
  std::vector<Head> heads;
};

HeadList read_head_list(const std::filesystem::path& path) {
  const Json json = Json::parse(read_file(path, kMaxHeadsFile), utf8::printable(path.string()));
  if (json.at("version").as_int64() != 1)
    throw json.at("version").error("must be 1: made by a newer holdfast");
  HeadList list{.primary = json.at("primary").as_string(), .heads = {}};
  for (const Json& head : json.at("heads").array()) {
    Head& out = list.heads.emplace_back();
    out.task = head.at("task").as_string();
    for (const Json& label : head.at("labels").array()) out.labels.push_back(label.as_string());
    std::vector<std::string> sorted = out.labels;
    std::sort(sorted.begin(), sorted.end());
    if (out.task.empty() || out.labels.empty() ||
        std::adjacent_find(sorted.begin(), sorted.end()) != sorted.end()) {
      throw head.error("needs a task and labels that are unique");
    }
    const auto same = [&](const Head& other) { return other.task == out.task; };
    if (std::count_if(list.heads.begin(), list.heads.end(), same) > 1)
      throw head.error("is a second head of its task");
  }
  const auto is_primary = [&](const Head& head) { return head.task == list.primary; };
  if (std::none_of(list.heads.begin(), list.heads.end(), is_primary)) {
    throw json.at("primary").error("is " + in_quotes(list.primary) +
                                   ", which is none of the heads");
  }
  return list;
}

// The labels of the classifier in model.safetensors, which config.json and the classifier must
// agree on.
std::vector<std::string> classifier_labels(const BertConfig& config, const Weights& weights) {
  const StoredTensor* weight = weights.find("classifier.weight");
  if (weight == nullptr || weight->entry->shape.size() != 2) return config.labels;
  const std::int64_t rows = weight->entry->shape[0];
  std::vector<std::string> labels = config.labels;
  if (labels.empty() && rows <= 100'000) {  // transformers' names where id2label is absent
    for (std::int64_t i = 0; i < rows; ++i) labels.push_back("LABEL_" + std::to_string(i));
  }
  if (std::cmp_not_equal(labels.size(), rows)) {
    throw std::runtime_error(utf8::printable(weights.path().string()) + ": classifier.weight has " +
                             std::to_string(rows) + " rows, but config.json names " +
                             std::to_string(labels.size()) + " labels (id2label)");
  }
  return labels;
}

// The heads that the directory holds; their tensors get the names of their slices.
HeadList read_heads(const std::filesystem::path& directory, const BertConfig& config,
                    Weights& weights) {
  const bool has_classifier =
      weights.find("classifier.weight") != nullptr || weights.find("classifier.bias") != nullptr;
  const std::filesystem::path file = directory / kHeadsJson;
  HeadList list;
  if (std::filesystem::exists(file)) {
    list = read_head_list(file);
    weights.add_file(directory / kHeadsFile);
  } else if (has_classifier) {
    list = {.primary = "default",
            .heads = {{.task = "default", .labels = classifier_labels(config, weights)}}};
  }
  for (const Head& head : list.heads) {
    if (head.task != list.primary) continue;
    if (head.labels != classifier_labels(config, weights)) {
      throw std::runtime_error(utf8::printable(file.string()) + ": the labels of " +
                               in_quotes(head.task) + " are not those of id2label in config.json");
    }
    weights.rename("classifier.weight", head.slice_name("weight"));
    weights.rename("classifier.bias", head.slice_name("bias"));
  }
  return list;
}

std::string wrong_shape(const std::string& name, const Shape& expected,
                        const SafetensorsEntry& entry) {
  const Shape found(entry.shape);
  const bool transposed = found.rank() == 2 && expected.rank() == 2 && found[0] == expected[1] &&
                          found[1] == expected[0];
  return name + " is " + found.text() + ", expected " + expected.text() +
         (transposed ? " (transposed?)" : "");
}

// Compares what is stored with what the model needs, and names all that does not fit in one
// message.
class FitCheck {
 public:
  FitCheck(const ParameterArena& arena, const std::string& primary, const Weights& weights,
           Notices& notices) {
    fresh_pooler_ = weights.find("pooler.dense.weight") == nullptr &&
                    weights.find("pooler.dense.bias") == nullptr;
    for (const NamedSlice& slice : arena.slices()) {
      const StoredTensor* stored = weights.find(slice.name);
      const std::string name = utf8::printable(!slice.task.empty() && slice.task == primary
                                                   ? Model::file_name(slice, primary)
                                                   : slice.name);
      if (stored == nullptr) {
        if (!is_fresh(slice)) missing_.push_back(name);
      } else if (Shape(stored->entry->shape) != slice.shape) {
        wrong_.push_back(wrong_shape(name, slice.shape, *stored->entry));
      }
    }
    sort_others(arena, weights, notices);
    std::vector<std::string> facts;
    if (!missing_.empty()) facts.push_back("missing: " + join(missing_));
    if (!wrong_.empty()) facts.push_back("wrong shape: " + join(wrong_));
    if (!unexpected_.empty()) facts.push_back("unexpected: " + join(unexpected_));
    if (!facts.empty()) {
      std::string all;
      for (const std::string& fact : facts) all += (all.empty() ? "" : "; ") + fact;
      throw std::runtime_error(utf8::printable(weights.path().string()) +
                               ": the tensors do not fit config.json; " + all);
    }
    if (fresh_pooler_) notices.push_back("pooler.dense is not in the file: it starts fresh");
  }

  bool is_fresh(const NamedSlice& slice) const {
    return fresh_pooler_ && slice.name.starts_with("pooler.");
  }

 private:
  // Tensors that the model has no place for: a contradiction in the encoder, another purpose's head
  // elsewhere.
  void sort_others(const ParameterArena& arena, const Weights& weights, Notices& notices) {
    std::vector<std::string> ignored;
    for (const auto& [name, stored] : weights.tensors()) {
      if (arena.find(name) != nullptr) continue;
      const bool encoder = name.starts_with("embeddings.") || name.starts_with("encoder.") ||
                           name.starts_with("pooler.") || name.starts_with("heads.");
      (encoder ? unexpected_ : ignored).push_back(utf8::printable(name));
    }
    if (!ignored.empty()) {
      notices.push_back(std::to_string(ignored.size()) +
                        " tensors ignored, which are not the encoder's: " + join(ignored));
    }
  }

  bool fresh_pooler_ = false;
  std::vector<std::string> missing_, wrong_, unexpected_;
};

std::int64_t count_nonfinite(const Tensor& tensor) {
  return dispatch(tensor.dtype(), "load", [&]<class T>() {
    const auto values = tensor.span<T>();
    return static_cast<std::int64_t>(
        std::count_if(values.begin(), values.end(), [](T x) { return !std::isfinite(x); }));
  });
}

}  // namespace

Model Model::load(const std::filesystem::path& directory, DType dtype, Notices* notices) {
  Notices ignored;
  Notices& notes = notices == nullptr ? ignored : *notices;
  const BertConfig config = BertConfig::load(directory / "config.json");
  Weights weights(directory, notes);
  const HeadList list = read_heads(directory, config, weights);
  Model model(config, list.heads);
  const FitCheck fit(*model.arena_, list.primary, weights,
                     notes);  // before memory is taken for what a file claims
  model.arena_->allocate(dtype);
  std::map<std::string, int> converted;
  std::vector<std::string> nonfinite;
  for (const NamedSlice& slice : model.arena_->slices()) {
    if (fit.is_fresh(slice)) {
      model.initialize(slice, 0);
      continue;
    }
    const StoredTensor& stored = *weights.find(slice.name);
    const Tensor value = stored.file->read(*stored.entry, dtype);
    if (const std::int64_t count = count_nonfinite(value); count > 0) {
      nonfinite.push_back(utf8::printable(slice.name) + " (" + std::to_string(count) + ")");
    }
    model.arena_->value(slice).copy_from(value);
    if (stored.entry->dtype != "F32" && !(stored.entry->dtype == "F64" && dtype == DType::f64))
      ++converted[stored.entry->dtype];
  }
  if (!nonfinite.empty()) {
    throw std::runtime_error(utf8::printable(weights.path().string()) +
                             ": NaN or infinite weights in " + join(nonfinite));
  }
  for (const auto& [type, count] : converted) {
    notes.push_back(std::to_string(count) + ' ' + type + " tensors converted to " +
                    std::string(name_of(dtype)));
  }
  return model;
}

void Model::save(const std::filesystem::path& directory, std::string_view task) const {
  const Head* primary = head(task);
  if (primary == nullptr && !(task.empty() && heads_.empty())) {
    throw std::invalid_argument("[model] there is no head " + in_quotes(task));
  }
  std::vector<std::pair<std::string, Tensor>> model, heads;
  for (const NamedSlice& slice : arena_->slices()) {
    if (slice.task.empty() || slice.task == task)
      model.emplace_back(file_name(slice, task), arena_->value(slice));
    if (!slice.task.empty()) heads.emplace_back(slice.name, arena_->value(slice));
  }
  const std::map<std::string, std::string> metadata = {{"format", "pt"}};
  std::filesystem::create_directories(directory);
  write_safetensors(directory / "model.safetensors", model, metadata);
  config_.save(directory / "config.json",
               primary == nullptr ? std::vector<std::string>{} : primary->labels, dtype());
  if (primary == nullptr) {
    std::filesystem::remove(directory / kHeadsFile);
    std::filesystem::remove(directory / kHeadsJson);
    return;
  }
  write_safetensors(directory / kHeadsFile, heads, metadata);
  Json list = Json::list();
  for (const Head& each : heads_) {
    Json labels = Json::list();
    for (const std::string& label : each.labels) labels.push_back(label);
    list.push_back(Json::object({{"task", each.task}, {"labels", std::move(labels)}}));
  }
  const Json json = Json::object({{"version", 1}, {"primary", task}, {"heads", std::move(list)}});
  write_file(directory / kHeadsJson, json.dump(2) + "\n");
}

}  // namespace holdfast
