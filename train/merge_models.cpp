#include "train/merge_models.h"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>
#include <string_view>

#include "base/utf8.h"

namespace holdfast {
namespace {

/// Where two models cannot be merged.
template <class Value>
void require_equal(const MergeModel& a, const MergeModel& b, std::string_view what,
                   const Value& of_a, const Value& of_b) {
  if (of_a != of_b) {
    throw std::invalid_argument(fmt::format("{} and {} cannot be merged: {} is {} and {}", a.name,
                                            b.name, what, of_a, of_b));
  }
}

void check_configs(const MergeModel& a, const MergeModel& b) {
  const BertConfig& x = a.model->config();
  const BertConfig& y = b.model->config();
  require_equal(a, b, "vocab_size", x.vocab_size, y.vocab_size);
  require_equal(a, b, "hidden_size", x.hidden_size, y.hidden_size);
  require_equal(a, b, "num_hidden_layers", x.layers, y.layers);
  require_equal(a, b, "num_attention_heads", x.heads, y.heads);
  require_equal(a, b, "intermediate_size", x.intermediate_size, y.intermediate_size);
  require_equal(a, b, "max_position_embeddings", x.max_positions, y.max_positions);
  require_equal(a, b, "type_vocab_size", x.type_vocab_size, y.type_vocab_size);
  require_equal(a, b, "layer_norm_eps", x.layer_norm_eps, y.layer_norm_eps);
  if (x.activation != y.activation) {
    throw std::invalid_argument(
        fmt::format("{} and {} cannot be merged: hidden_act differs", a.name, b.name));
  }
  require_equal(a, b, "the adapter", name_of(a.model->adapter().kind),
                name_of(b.model->adapter().kind));
  if (a.model->adapter().kind == AdapterKind::lora) {
    require_equal(a, b, "lora's alpha / rank", a.model->adapter().scale(),
                  b.model->adapter().scale());
  }
  require_equal(a, b, "the type", name_of(a.model->dtype()), name_of(b.model->dtype()));
}

/// That every encoder tensor of `a` is in `b` with the same shape.
void check_tensors(const MergeModel& a, const MergeModel& b) {
  for (const NamedSlice& slice : a.model->arena().slices()) {
    if (!slice.task.empty()) continue;
    const NamedSlice* other = b.model->arena().find(slice.name);
    if (other == nullptr) {
      throw std::invalid_argument(fmt::format("{} and {} cannot be merged: only the first has {}",
                                              a.name, b.name, slice.name));
    }
    require_equal(a, b, slice.name, slice.shape.text(), other->shape.text());
  }
}

std::string list(const std::vector<std::string>& labels) {
  std::string out;
  for (const std::string& label : labels) {
    out += (out.empty() ? "\"" : ", \"") + utf8::printable(label) + '"';
  }
  return out;
}

void check_heads(const MergeModel& a, const MergeModel& b) {
  for (const Head& head : a.model->heads()) {
    if (const Head* other = b.model->head(head.task)) {
      require_equal(a, b, fmt::format("the label list of head \"{}\"", utf8::printable(head.task)),
                    list(head.labels), list(other->labels));
    }
  }
}

/// `values`, which lie as in `from`, laid out as in `to`; tensors that `from` lacks are 0.
Tensor laid_out(const Tensor& values, const ParameterArena& from, const ParameterArena& to) {
  const auto same = [](const NamedSlice& a, const NamedSlice& b) {
    return a.name == b.name && a.offset == b.offset;
  };
  if (!values.defined() || std::ranges::equal(from.slices(), to.slices(), same)) return values;
  const Tensor out = Tensor::zeros({to.numel()}, to.dtype());
  for (const NamedSlice& slice : to.slices()) {
    const NamedSlice* source = from.find(slice.name);
    if (source == nullptr) continue;
    out.slice(0, slice.offset, slice.offset + slice.size)
        .copy_from(values.slice(0, source->offset, source->offset + source->size));
  }
  return out;
}

/// A model with the heads of all, its values those of the last model that has each.
Model with_all_heads(std::span<const MergeModel* const> models) {
  Model out = models.front()->model->clone();
  for (const MergeModel* each : models.subspan(1)) {
    for (const Head& head : each->model->heads()) {
      if (out.head(head.task) == nullptr) out.add_head(head.task, head.labels, 0, head.blocks);
    }
    for (const NamedSlice& slice : each->model->arena().slices()) {
      out.arena().value(*out.arena().find(slice.name)).copy_from(each->model->arena().value(slice));
    }
  }
  return out;
}

/// Of each head of `merged`: empty when all models have it, else the last that does.
std::vector<HeadOrigin> origins(const Model& merged, std::span<const MergeModel* const> models) {
  std::vector<HeadOrigin> heads;
  for (const Head& head : merged.heads()) {
    const auto has = [&](const MergeModel* each) {
      return each->model->head(head.task) != nullptr;
    };
    HeadOrigin origin{.task = head.task, .from = {}};
    if (!std::all_of(models.begin(), models.end(), has)) {
      origin.from = (*std::find_if(models.rbegin(), models.rend(), has))->name;
    }
    heads.push_back(std::move(origin));
  }
  return heads;
}

std::vector<const MergeModel*> in_order(const MergeModel* base,
                                        std::span<const MergeModel> models) {
  std::vector<const MergeModel*> all;
  if (base != nullptr) all.push_back(base);
  for (const MergeModel& each : models) all.push_back(&each);
  return all;
}

}  // namespace

void check_mergeable(std::span<const MergeModel> models) {
  for (std::size_t i = 1; i < models.size(); ++i) {
    check_configs(models[0], models[i]);
    check_tensors(models[0], models[i]);
    check_tensors(models[i], models[0]);
    for (std::size_t j = 0; j < i; ++j) check_heads(models[j], models[i]);
  }
}

MergedModel merge_models(const MergeModel* base, std::span<const MergeModel> models,
                         const MergeOptions& options) {
  if (models.empty()) throw std::invalid_argument("[merge] there are no models");
  const std::vector<const MergeModel*> all = in_order(base, models);
  std::vector<MergeModel> together;
  for (const MergeModel* each : all) together.push_back(*each);
  check_mergeable(together);
  MergedModel out{.model = with_all_heads(all), .report = {}, .heads = {}};
  out.heads = origins(out.model, all);
  std::vector<std::string> kept;
  for (const HeadOrigin& head : out.heads) {
    if (!head.from.empty()) kept.push_back(head.task);
  }
  const ParameterArena& layout = out.model.arena();
  const auto values = [&](const MergeModel& each) {
    return laid_out(each.model->arena().values(), each.model->arena(), layout);
  };
  std::vector<MergeInput> inputs;
  for (const MergeModel& each : models) {
    inputs.push_back({.theta = values(each),
                      .weight = each.weight,
                      .importance = laid_out(each.importance, each.model->arena(), layout)});
  }
  out.report = merge(slices_to_merge(layout, kept), base != nullptr ? values(*base) : Tensor(),
                     inputs, options, layout.values());
  return out;
}

}  // namespace holdfast
