// One training step of a BERT classifier (dropout 0.1, clipping, AdamW), as the benchmark programs
// time it.
#pragma once

#include <utility>
#include <vector>

#include "bench/workload.h"
#include "train/optimizer.h"

namespace holdfast::bench {

/// A model with a head "bench", and the optimizer that trains it.
struct Step {
  Model model;
  AdamW optimizer;
  std::uint32_t number = 0;

  explicit Step(Model&& with_head)
      : model(std::move(with_head)),
        optimizer(
            model.arena().numel(), DType::f32,
            update_ranges(model.arena(),
                          std::vector(static_cast<std::size_t>(model.config().layers + 2), 1e-5),
                          0.01, {})) {}

  /// The gradient of the mean loss over one batch, into the arena.
  void differentiate(const std::vector<Sample>& samples) {
    std::vector<TokenSpan> spans;
    std::vector<std::int32_t> labels;
    for (const Sample& sample : samples) {
      labels.push_back(sample.label);
      spans.push_back({sample.ids, {}, static_cast<std::int32_t>(spans.size())});
    }
    const auto B = static_cast<std::int64_t>(samples.size());
    const Batch batch = pack(spans);
    const DropoutPlan dropout{true, 7, number++};
    model.arena().zero_grad();
    {
      const Var pooled = model.pool(batch, dropout);
      const Var logits = model.logits(pooled, *model.head("bench"));
      const Tensor weights = Tensor::full({B}, model.dtype(), 1.0 / static_cast<double>(B));
      backward(softmax_cross_entropy(logits, Tensor::from(labels, {B}), weights));
    }
    model.arena().clear_unreached();
  }

  /// Trains on one batch.
  void operator()(const std::vector<Sample>& samples) {
    differentiate(samples);
    const double norm = gradient_norm(model.arena().grads());
    optimizer.step(model.arena().values(), model.arena().grads(), 1.0, clip_factor(norm, 1.0));
  }
};

}  // namespace holdfast::bench
