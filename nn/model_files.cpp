// A model as files: the Hugging Face directory, and beside it the heads of further tasks and the
// adapter.
#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <span>
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
constexpr std::string_view kAdapterFile = "adapters.safetensors";

std::string in_quotes(std::string_view text) { return '"' + utf8::printable(text) + '"'; }

std::string join(const std::vector<std::string>& parts) {
  std::string out;
  for (const std::string& part : parts) out += (out.empty() ? "" : ", ") + part;
  return out;
}

// What holdfast.json says.
struct HeadList {
  std::string primary;  // the task of the classifier in model.safetensors; empty if there is none
  std::vector<Head> heads;
  AdapterConfig adapter;
};

std::string_view activation_of(const AdapterConfig& adapter) {
  return adapter.activation() == Activation::relu ? "relu" : "gelu";
}

Json adapter_json(const AdapterConfig& adapter) {
  Json json = Json::object({{"kind", name_of(adapter.kind)}});
  if (adapter.bottleneck()) {
    json.set("size", adapter.size).set("activation", activation_of(adapter));
  } else {
    json.set("rank", adapter.rank).set("alpha", adapter.alpha);
  }
  return json.set("note",
                  "config.json and model.safetensors are the base without the adapter, which is in "
                  "adapters.safetensors and read by holdfast alone");
}

AdapterConfig read_adapter(const Json& json) {
  AdapterConfig adapter;
  try {
    adapter.kind = parse_adapter(json.at("kind").as_string());
  } catch (const std::invalid_argument&) {
    throw json.at("kind").error("is no kind of adapter that this holdfast knows");
  }
  const auto count = [&](const char* key) {
    const std::int64_t value = json.at(key).as_int64();
    if (value < 1 || value > AdapterConfig::kMaxSize)
      throw json.at(key).error("must be from 1 to " + std::to_string(AdapterConfig::kMaxSize));
    return value;
  };
  if (adapter.bottleneck()) {
    adapter.size = count("size");
    if (json.at("activation").as_string() != activation_of(adapter))
      throw json.at("activation").error("must be " + std::string(activation_of(adapter)));
  } else if (adapter.kind == AdapterKind::lora) {
    adapter.rank = count("rank");
    adapter.alpha = json.at("alpha").as_double();
    if (!(adapter.alpha > 0)) throw json.at("alpha").error("must be above 0");
  } else {
    throw json.at("kind").error("must name an adapter");
  }
  return adapter;
}

std::vector<std::string> read_labels(const Json& json) {
  std::vector<std::string> labels;
  for (const Json& label : json.array()) labels.push_back(label.as_string());
  return labels;
}

Json labels_json(const std::vector<std::string>& labels) {
  Json json = Json::list();
  for (const std::string& label : labels) json.push_back(label);
  return json;
}

HeadList read_head_list(const std::filesystem::path& path) {
  const Json json = Json::parse(read_file(path, kMaxHeadsFile), utf8::printable(path.string()));
  const std::int64_t version = json.at("version").as_int64();
  if (version != 1 && version != 2)
    throw json.at("version").error("must be 1 or 2: made by a newer holdfast");
  HeadList list{.primary = json.at("primary").as_string(), .heads = {}, .adapter = {}};
  if (version == 2) list.adapter = read_adapter(json.at("adapter"));
  for (const Json& head : json.at("heads").array()) {
    Head& out = list.heads.emplace_back();
    out.task = head.at("task").as_string();
    out.labels = read_labels(head.at("labels"));
    if (const Json* blocks = head.find("blocks")) {
      for (const Json& block : blocks->array()) {
        out.blocks.push_back({block.at("task").as_string(), read_labels(block.at("labels"))});
      }
      if (!out.blocks_fit()) throw blocks->error("must have as many labels as the head");
    }
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
  const bool bare = list.heads.empty() && list.primary.empty() && version == 2;
  if (!bare && std::none_of(list.heads.begin(), list.heads.end(), is_primary)) {
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
    if (!list.heads.empty()) weights.add_file(directory / kHeadsFile);
    if (list.adapter.kind != AdapterKind::none) weights.add_file(directory / kAdapterFile);
  } else if (has_classifier) {
    list = {.primary = "default",
            .heads = {{.task = "default", .labels = classifier_labels(config, weights)}},
            .adapter = {}};
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

// Gives the arena views of the files where they can be had, else memory; returns the views' names.
std::set<std::string> borrow(ParameterArena& arena, const Weights& weights, DType dtype) {
  std::set<std::string> names;
  arena.borrow(dtype, [&](const Shape& shape, std::span<const NamedSlice> slices) {
    const StoredTensor* stored = slices.size() == 1 ? weights.find(slices[0].name) : nullptr;
    if (stored != nullptr) {
      if (const auto view = stored->file->view(*stored->entry, shape, dtype)) {
        names.insert(slices[0].name);
        return *view;
      }
    }
    return Tensor::empty(shape, dtype);
  });
  return names;
}

}  // namespace

Model Model::load(const std::filesystem::path& directory, DType dtype, Notices* notices) {
  Notices ignored;
  return read(directory, dtype, false, notices == nullptr ? ignored : *notices);
}

Model Model::map(const std::filesystem::path& directory, DType dtype, Notices* notices) {
  Notices ignored;
  return read(directory, dtype, true, notices == nullptr ? ignored : *notices);
}

Model Model::read(const std::filesystem::path& directory, DType dtype, bool mapped,
                  Notices& notes) {
  if (!std::filesystem::is_directory(directory)) {
    throw std::runtime_error(utf8::printable(directory.string()) +
                             ": there is no such folder; a model is a folder with config.json, "
                             "model.safetensors, and vocab.txt or tokenizer.json");
  }
  const BertConfig config = BertConfig::load(directory / "config.json");
  Weights weights(directory, notes);
  const HeadList list = read_heads(directory, config, weights);
  Model model(config, list.heads, list.adapter);
  const FitCheck fit(*model.arena_, list.primary, weights,
                     notes);  // before memory is taken for what a file claims
  std::set<std::string> views;
  if (mapped) {
    views = borrow(*model.arena_, weights, dtype);
  } else {
    model.arena_->allocate(dtype);
  }
  std::map<std::string, int> converted;
  std::vector<std::string> nonfinite;
  for (const NamedSlice& slice : model.arena_->slices()) {
    if (fit.is_fresh(slice)) {
      model.initialize(slice, 0);
      continue;
    }
    const StoredTensor& stored = *weights.find(slice.name);
    const Tensor value = model.arena_->value(slice);
    const std::int64_t count = views.contains(slice.name)
                                   ? count_nonfinite(value)
                                   : stored.file->read_into(*stored.entry, value);
    if (count > 0) {
      nonfinite.push_back(utf8::printable(slice.name) + " (" + std::to_string(count) + ")");
    }
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
  std::vector<std::pair<std::string, Tensor>> model, heads, adapters;
  for (const NamedSlice& slice : arena_->slices()) {
    if (slice.adapter) {
      adapters.emplace_back(slice.name, arena_->value(slice));
    } else if (slice.task.empty() || slice.task == task) {
      model.emplace_back(file_name(slice, task), arena_->value(slice));
    }
    if (!slice.task.empty()) heads.emplace_back(slice.name, arena_->value(slice));
  }
  const std::map<std::string, std::string> metadata = {{"format", "pt"}};
  std::filesystem::create_directories(directory);
  write_safetensors(directory / "model.safetensors", model, metadata);
  config_.save(directory / "config.json",
               primary == nullptr ? std::vector<std::string>{} : primary->labels, dtype());
  const auto write_or_remove = [&](std::string_view name, const auto& tensors) {
    if (tensors.empty()) {
      std::filesystem::remove(directory / name);
    } else {
      write_safetensors(directory / name, tensors, metadata);
    }
  };
  write_or_remove(kHeadsFile, heads);
  write_or_remove(kAdapterFile, adapters);
  if (heads.empty() && adapters.empty()) {
    std::filesystem::remove(directory / kHeadsJson);
    return;
  }
  Json list = Json::list();
  for (const Head& each : heads_) {
    Json head = Json::object({{"task", each.task}, {"labels", labels_json(each.labels)}});
    Json blocks = Json::list();
    for (const LabelBlock& block : each.blocks) {
      blocks.push_back(Json::object({{"task", block.task}, {"labels", labels_json(block.labels)}}));
    }
    if (!each.blocks.empty()) head.set("blocks", std::move(blocks));
    list.push_back(std::move(head));
  }
  // Version 2 says: a reader that does not know adapters must not compute with the base alone.
  Json json = Json::object(
      {{"version", adapters.empty() ? 1 : 2}, {"primary", task}, {"heads", std::move(list)}});
  if (!adapters.empty()) json.set("adapter", adapter_json(adapter_));
  write_file(directory / kHeadsJson, json.dump(2) + "\n");
}

}  // namespace holdfast
