// Importance by its definition: one text at a time, its whole gradient, then squared or made
// absolute.
#pragma once

#include <cmath>
#include <functional>
#include <span>
#include <vector>

#include "autograd/var.h"
#include "nn/model.h"
#include "tensor/random.h"
#include "train/importance.h"
#include "train/sample.h"

namespace holdfast {

/// A gradient of a text's logits (K), and the weight that what it leads to has in the sum.
struct Walk {
  double weight = 1;
  std::vector<double> dlogits;
};
/// Of the text at `place` with logits z and probabilities p.
using WalksOf = std::function<std::vector<Walk>(const std::vector<double>& z,
                                                const std::vector<double>& p, std::size_t place)>;

/// mean over texts of the weighted sum over walks of f(gradient), over the arena (f64 model).
inline std::vector<double> mean_by_loop(Model& model, const Head& head,
                                        std::span<const Sample> samples, const WalksOf& walks_of,
                                        const std::function<double(double)>& f) {
  ParameterArena& arena = model.arena();
  std::vector<double> mean(static_cast<std::size_t>(arena.numel()), 0);
  for (std::size_t n = 0; n < samples.size(); ++n) {
    const TokenSpan text{samples[n].ids, samples[n].type_ids, 0};
    const Batch batch = pack(std::span(&text, 1));
    ActivationTrace every_row;  // and with it no shortcut in the last layer
    const Var logits = model.logits(model.pool(batch, {}, &every_row), head);
    const std::vector<double> z = logits.value().to_vector();
    std::vector<double> p = z;
    double sum = 0;
    for (double& x : p) sum += x = std::exp(x);
    for (double& x : p) x /= sum;
    for (const Walk& walk : walks_of(z, p, n)) {
      arena.zero_grad();
      backward(logits, Tensor::from(walk.dlogits, logits.shape()).to(logits.dtype()));
      arena.clear_unreached();
      const std::vector<double> gradient = arena.grads().to_vector();
      for (std::size_t i = 0; i < mean.size(); ++i) {
        mean[i] += walk.weight * f(gradient[i]) / static_cast<double>(samples.size());
      }
    }
  }
  return mean;
}

/// d -log p_y / dz
inline std::vector<double> toward(const std::vector<double>& p, std::size_t label) {
  std::vector<double> gradient = p;
  gradient[label] -= 1;
  return gradient;
}

/// sum over y of eps_y sqrt(p_y) (p - e_y)
inline std::vector<double> sketch_by_definition(const std::vector<double>& p,
                                                const std::vector<int>& signs) {
  std::vector<double> delta(p.size(), 0);
  for (std::size_t y = 0; y < p.size(); ++y) {
    const std::vector<double> gradient = toward(p, y);
    for (std::size_t i = 0; i < p.size(); ++i) delta[i] += signs[y] * std::sqrt(p[y]) * gradient[i];
  }
  return delta;
}

/// What measure_importance() must give, with the same draws.
inline std::vector<double> importance_by_loop(Model& model, const Head& head,
                                              std::span<const Sample> samples, ImportanceKind kind,
                                              std::uint64_t seed = 0) {
  const auto square = [](double g) { return g * g; };
  const auto by = [&](const WalksOf& walks_of) {
    return mean_by_loop(model, head, samples, walks_of, square);
  };
  switch (kind) {
    case ImportanceKind::true_fisher:
      return by([](const auto&, const auto& p, std::size_t) {
        std::vector<Walk> walks;
        for (std::size_t y = 0; y < p.size(); ++y) walks.push_back({p[y], toward(p, y)});
        return walks;
      });
    case ImportanceKind::empirical:
      return by([&](const auto&, const auto& p, std::size_t n) {
        return std::vector<Walk>{{1, toward(p, static_cast<std::size_t>(samples[n].label))}};
      });
    case ImportanceKind::sampled:
      return by([&](const auto&, const auto& p, std::size_t n) {
        double left = RandomStream(seed, "fisher/labels").uniform(n, 0);
        std::size_t y = 0;
        while (y + 1 < p.size() && left >= p[y]) left -= p[y++];
        return std::vector<Walk>{{1, toward(p, y)}};
      });
    case ImportanceKind::sketch:
      return by([&](const auto&, const auto& p, std::size_t n) {
        std::vector<int> signs;
        for (std::size_t y = 0; y < p.size(); ++y) {
          signs.push_back(RandomStream(seed, "fisher/signs").bits(n, y)[0] % 2 == 1 ? 1 : -1);
        }
        return std::vector<Walk>{{1, sketch_by_definition(p, signs)}};
      });
    default:
      return mean_by_loop(
          model, head, samples,
          [](const auto& z, const auto&, std::size_t) {
            std::vector<double> dlogits;
            for (const double x : z) dlogits.push_back(2 * x);
            return std::vector<Walk>{{1, dlogits}};
          },
          [](double g) { return std::abs(g); });
  }
}

}  // namespace holdfast
