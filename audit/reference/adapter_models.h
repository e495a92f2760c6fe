// Small models with adapters, for what they compute and for their files.
#pragma once

#include <string>
#include <vector>

#include "audit/reference/small_bert.h"
#include "nn/model.h"
#include "tensor/random.h"

namespace holdfast::testing {

inline AdapterConfig adapter_of(AdapterKind kind) {
  return {.kind = kind, .size = 3, .rank = 2, .alpha = 5};
}

/// Weights far from zero, two heads, no adapter.
inline Model base_model(DType dtype, std::int64_t layers = 2) {
  Model model = Model::create(small_bert(50, 16, layers, 0.3), dtype, 7);
  model.add_head("news", {"world", "sport", "tech"}, 1);
  model.add_head("medical", {"yes", "no"}, 2);
  return model;
}

/// Gives every parameter of the adapter a value, as training would.
inline void scatter_adapter(Model& model, double deviation = 0.3) {
  for (const NamedSlice& slice : model.arena().slices()) {
    if (!slice.adapter) continue;
    const RandomStream stream(3, slice.name);
    const Tensor value = model.arena().value(slice);
    dispatch(model.dtype(), "scatter", [&]<class T>() {
      std::uint64_t i = 0;
      for (T& x : value.span<T>()) x = static_cast<T>(deviation * stream.normal(0, i++));
    });
  }
}

inline Model adapted_model(AdapterKind kind, DType dtype, std::int64_t layers = 2) {
  Model model = base_model(dtype, layers);
  model.add_adapter(adapter_of(kind), 1);
  scatter_adapter(model);
  return model;
}

/// Three texts; the first has four tokens, all have ten.
struct Texts {
  std::vector<std::int32_t> first = {3, 4, 40, 6}, second = {7}, third = {9, 3, 22, 22, 48};
  Batch batch = pack(std::vector<TokenSpan>{{.ids = first, .type_ids = {}, .slot = 0},
                                            {.ids = second, .type_ids = {}, .slot = 1},
                                            {.ids = third, .type_ids = {}, .slot = 2}});
  Tensor labels = Tensor::from<std::int32_t>({2, 0, 1}, {3});
};

inline Var logits_of(Model& model, const Batch& batch, const DropoutPlan& dropout = {},
                     std::size_t head = 0) {
  return model.logits(model.pool(batch, dropout), model.heads()[head]);
}

inline Var loss_of(Model& model, const Texts& texts, const DropoutPlan& dropout = {}) {
  return softmax_cross_entropy(logits_of(model, texts.batch, dropout), texts.labels,
                               Tensor::full({3}, model.dtype(), 1.0 / 3));
}

}  // namespace holdfast::testing
