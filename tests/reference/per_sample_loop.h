// Fisher information by its definition: one text at a time, every class weighted by its
// probability.
#pragma once

#include <cmath>
#include <span>
#include <vector>

#include "autograd/var.h"
#include "nn/model.h"
#include "train/fisher.h"
#include "train/sample.h"

namespace holdfast {

/// F over the arena (f64 model), sum over y of p_y (d log p(y|x) / d theta)^2 or the observed y
/// alone, mean over samples.
inline std::vector<double> fisher_by_loop(Model& model, const Head& head,
                                          std::span<const Sample> samples, ImportanceKind kind) {
  ParameterArena& arena = model.arena();
  std::vector<double> fisher(static_cast<std::size_t>(arena.numel()), 0);
  for (const Sample& sample : samples) {
    const TokenSpan text{sample.ids, sample.type_ids, 0};
    const Batch batch = pack(std::span(&text, 1));
    const Var logits = model.logits(model.pool(model.encode(batch), batch), head);
    std::vector<double> p = logits.value().to_vector();
    double sum = 0;
    for (double& z : p) sum += z = std::exp(z);
    for (double& z : p) z /= sum;
    for (std::size_t y = 0; y < p.size(); ++y) {
      if (kind == ImportanceKind::empirical && static_cast<std::int32_t>(y) != sample.label)
        continue;
      std::vector<double> dlogits = p;
      dlogits[y] -= 1;
      arena.zero_grad();
      backward(logits, Tensor::from(dlogits, logits.shape()).to(logits.dtype()));
      arena.clear_unreached();
      const double weight = kind == ImportanceKind::empirical ? 1 : p[y];
      const std::vector<double> gradient = arena.grads().to_vector();
      for (std::size_t i = 0; i < fisher.size(); ++i)
        fisher[i] += weight * gradient[i] * gradient[i];
    }
  }
  for (double& f : fisher) f /= static_cast<double>(samples.size());
  return fisher;
}

}  // namespace holdfast
