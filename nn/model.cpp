// The model's parameters: how they lie in the arena, and what they are in a fresh model.
#include "nn/model.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <stdexcept>

#include "base/parallel.h"
#include "base/utf8.h"
#include "tensor/random.h"

namespace holdfast {
namespace {

void check_head(const Model& model, const std::string& task) {
  if (task.empty()) throw std::invalid_argument("[model] a head needs the name of its task");
  if (model.head(task) != nullptr) {
    throw std::invalid_argument("[model] there is a head \"" + utf8::printable(task) +
                                "\" already");
  }
}

// Values and flags into an arena of the same layout, whatever the names.
void copy_arena(const ParameterArena& from, ParameterArena& to) {
  to.values().copy_from(from.values());
  std::size_t next = 0;
  to.train_only([&](const NamedSlice&) { return from.trainable(from.slices()[next++]); });
}

}  // namespace

Model::Model(BertConfig config, std::vector<Head> heads, const AdapterConfig& adapter)
    : config_(std::move(config)), adapter_(adapter), heads_(std::move(heads)) {
  declare();
}

Model::Affine Model::declare_affine(const std::string& name, std::int64_t out, std::int64_t in,
                                    int layer, bool adapter) {
  const auto declare = [&](const std::string& full, const Shape& shape, bool decay) {
    return arena_->declare(full, shape,
                           {{.name = full,
                             .shape = shape,
                             .layer = layer,
                             .decay = decay,
                             .task = {},
                             .adapter = adapter}});
  };
  const std::size_t weight = declare(name + ".weight", {out, in}, true);
  return {weight, declare(name + ".bias", {out}, false)};
}

Model::Affine Model::declare_norm(const std::string& name, int layer) {
  const Shape shape{config_.hidden_size};
  const auto declare = [&](const std::string& full) {
    return arena_->declare(
        full, shape, {{.name = full, .shape = shape, .layer = layer, .decay = false, .task = {}}});
  };
  const std::size_t weight = declare(name + ".weight");
  return {weight, declare(name + ".bias")};
}

void Model::declare_layer(int layer) {
  const std::int64_t C = config_.hidden_size;
  const std::string name = "encoder.layer." + std::to_string(layer - 1) + '.';
  const std::string self = name + "attention.self.";
  const auto stacked = [&](const std::string& stack, const std::vector<std::string>& parts,
                           bool weight) {
    const std::string kind = weight ? ".weight" : ".bias";
    std::vector<NamedSlice> slices;
    for (const std::string& part : parts) {
      slices.push_back({.name = self + part + kind,
                        .shape = weight ? Shape{C, C} : Shape{C},
                        .layer = layer,
                        .decay = weight,
                        .task = {}});
    }
    const std::int64_t rows = C * static_cast<std::int64_t>(parts.size());
    return arena_->declare(self + stack + kind, weight ? Shape{rows, C} : Shape{rows},
                           std::move(slices));
  };
  Layer& out = layers_.emplace_back();
  for (const bool weight : {true, false}) {
    const auto index = weight ? &Affine::weight : &Affine::bias;
    if (layer < config_.layers) {
      out.qkv.*index = stacked("query_key_value", {"query", "key", "value"}, weight);
    } else {
      out.query.*index = stacked("query", {"query"}, weight);
      out.key_value.*index = stacked("key_value", {"key", "value"}, weight);
    }
  }
  out.attention_output = declare_affine(name + "attention.output.dense", C, C, layer);
  out.attention_norm = declare_norm(name + "attention.output.LayerNorm", layer);
  out.intermediate =
      declare_affine(name + "intermediate.dense", config_.intermediate_size, C, layer);
  out.output = declare_affine(name + "output.dense", C, config_.intermediate_size, layer);
  out.output_norm = declare_norm(name + "output.LayerNorm", layer);
}

void Model::declare() {
  arena_ = std::make_unique<ParameterArena>();
  layers_.clear();
  const std::int64_t C = config_.hidden_size;
  const auto table = [&](const std::string& kind, std::int64_t rows) {
    const std::string name = "embeddings." + kind + "_embeddings.weight";
    return arena_->declare(name, {rows, C}, {{.name = name, .shape = {rows, C}, .task = {}}});
  };
  words_ = table("word", config_.vocab_size);
  positions_ = table("position", config_.max_positions);
  types_ = table("token_type", config_.type_vocab_size);
  embedding_norm_ = declare_norm("embeddings.LayerNorm", 0);
  const int last = static_cast<int>(config_.layers) + 1;
  for (int layer = 1; layer < last; ++layer) declare_layer(layer);
  pooler_ = declare_affine("pooler.dense", C, C, last);
  for (int layer = 1; layer < last; ++layer) declare_adapters(layer);
  for (Head& head : heads_) {
    const auto declare = [&](const std::string& kind, const Shape& shape) {
      const std::string name = head.slice_name(kind);
      return arena_->declare(name, shape,
                             {{.name = name,
                               .shape = shape,
                               .layer = last,
                               .decay = kind == "weight",
                               .task = head.task}});
    };
    const auto K = static_cast<std::int64_t>(head.labels.size());
    head.weight = declare("weight", {K, C});
    head.bias = declare("bias", {K});
  }
}

void Model::rebuild() {
  const std::unique_ptr<ParameterArena> old = std::move(arena_);
  declare();
  arena_->allocate(old->dtype());
  std::map<std::string_view, bool> trainable;
  for (const NamedSlice& slice : arena_->slices()) {
    const NamedSlice* before = old->find(slice.name);
    if (before != nullptr) arena_->value(slice).copy_from(old->value(*before));
    trainable[slice.name] = before == nullptr || old->trainable(*before);
  }
  arena_->train_only([&](const NamedSlice& slice) { return trainable.at(slice.name); });
}

void Model::initialize(const NamedSlice& slice, std::uint64_t seed) {
  const Tensor value = arena_->value(slice);
  if (!slice.decay) {
    return value.fill(slice.name.ends_with("LayerNorm.weight") ? 1.0 : 0.0);
  }
  if (slice.adapter &&
      (slice.name.ends_with(".up.weight") || slice.name.ends_with("lora_B.weight")))
    return value.fill(0.0);
  const RandomStream stream(seed, "init/" + slice.name);
  const bool uniform = slice.name.ends_with("lora_A.weight");
  const double bound = 1 / std::sqrt(static_cast<double>(config_.hidden_size));
  dispatch(dtype(), "initialize", [&]<class T>() {
    T* out = value.data<T>();
    parallel_for(slice.size, 4096, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        const auto place = static_cast<std::uint64_t>(i);
        out[i] = static_cast<T>(uniform ? bound * (2 * stream.uniform(0, place) - 1)
                                        : config_.initializer_range * stream.normal(0, place));
      }
    });
  });
}

Model Model::create(const BertConfig& config, DType dtype, std::uint64_t seed) {
  Model model(config, {});
  model.arena_->allocate(dtype);
  for (const NamedSlice& slice : model.arena_->slices()) model.initialize(slice, seed);
  return model;
}

void Model::add_head(const std::string& task, const std::vector<std::string>& labels,
                     std::uint64_t seed, std::vector<LabelBlock> blocks) {
  check_head(*this, task);
  if (labels.empty() || std::set(labels.begin(), labels.end()).size() != labels.size()) {
    throw std::invalid_argument("[model] the labels of \"" + utf8::printable(task) +
                                "\" are none or not unique");
  }
  Head head{.task = task, .labels = labels, .blocks = std::move(blocks)};
  if (!head.blocks_fit()) {
    throw std::invalid_argument("[model] the blocks of \"" + utf8::printable(task) +
                                "\" have not as many labels as the head");
  }
  heads_.push_back(std::move(head));
  rebuild();
  for (const NamedSlice& slice : arena_->slices()) {
    if (slice.task == task) initialize(slice, seed);
  }
}

void Model::rename_head(const std::string& from, const std::string& to) {
  const auto head =
      std::find_if(heads_.begin(), heads_.end(), [&](const Head& h) { return h.task == from; });
  if (head == heads_.end()) {
    throw std::invalid_argument("[model] there is no head \"" + utf8::printable(from) + '"');
  }
  check_head(*this, to);
  head->task = to;
  const std::unique_ptr<ParameterArena> old = std::move(arena_);
  declare();
  arena_->allocate(old->dtype());
  copy_arena(*old, *arena_);
}

void Model::remove_head(const std::string& task) {
  if (std::erase_if(heads_, [&](const Head& head) { return head.task == task; }) == 0) {
    throw std::invalid_argument("[model] there is no head \"" + utf8::printable(task) + '"');
  }
  rebuild();
}

Model Model::clone() const {
  Model copy(config_, heads_, adapter_);
  copy.arena_->allocate(dtype());
  copy_arena(*arena_, *copy.arena_);
  return copy;
}

std::string Model::file_name(const NamedSlice& slice, std::string_view task) {
  if (slice.task.empty()) return "bert." + slice.name;
  if (slice.task != task) return slice.name;
  return slice.shape.rank() == 2 ? "classifier.weight" : "classifier.bias";
}

void Model::set_dropout(double p) {
  if (!(p >= 0.0 && p < 1.0)) throw std::invalid_argument("[model] dropout must be in [0, 1)");
  config_.hidden_dropout = config_.attention_dropout = config_.classifier_dropout = p;
}

bool Head::blocks_fit() const {
  std::size_t count = 0;
  for (const LabelBlock& block : blocks) count += block.labels.size();
  return blocks.empty() || count == labels.size();
}

const Head* Model::head(std::string_view task) const {
  const auto found =
      std::find_if(heads_.begin(), heads_.end(), [&](const Head& h) { return h.task == task; });
  return found == heads_.end() ? nullptr : &*found;
}

}  // namespace holdfast
