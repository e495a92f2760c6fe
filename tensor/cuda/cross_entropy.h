// Softmax cross entropy with label smoothing (autograd/fused.h), sums in double: a row a team, then
// the rows in fixed order.
#pragma once

#include "tensor/cuda/operations.h"
#include "tensor/cuda/team.h"

namespace holdfast::cuda {

/// p = softmax(logits); losses[n] = w_n [-(1-s) log p[y_n] - s/K sum_k log p[k]].
template <class T>
struct CrossEntropyRows {
  const T* logits;
  const std::int32_t* labels;
  const T* weights;
  std::int64_t N, K;
  double smoothing;
  T* p;
  double* losses;

  constexpr Launch launch() const { return over_rows(N, sizeof(double)); }
  template <class Team>
  constexpr void operator()(Team& team, std::int64_t n) const {
    auto* scratch = team.template shared<double>();
    const T* row = logits + n * K;
    double largest = static_cast<double>(row[0]);
    for (std::int64_t k = team.rank(); k < K; k += team.size()) {
      const double x = static_cast<double>(row[k]);
      largest = x > largest ? x : largest;
    }
    const double max =
        team_fold(team, largest, scratch, [](double a, double b) { return a > b ? a : b; });
    const double total = team_sum_of<double>(team, K, scratch, [=](std::int64_t k) {
      return std::exp(static_cast<double>(row[k]) - max);
    });
    const double sum = team_sum_of<double>(
        team, K, scratch, [=](std::int64_t k) { return static_cast<double>(row[k]) - max; });
    for (std::int64_t k = team.rank(); k < K; k += team.size())
      p[n * K + k] = static_cast<T>(std::exp(static_cast<double>(row[k]) - max) / total);
    if (team.rank() == 0) {
      const double log_total = std::log(total);
      const double own = log_total - (static_cast<double>(row[labels[n]]) - max);
      losses[n] = static_cast<double>(weights[n]) *
                  ((1 - smoothing) * own + smoothing * (log_total - sum / static_cast<double>(K)));
    }
  }
};

template <class T>
struct SumLosses {
  const double* losses;
  std::int64_t N;
  T* loss;

  constexpr Launch launch() const { return over_rows(1, sizeof(double)); }
  template <class Team>
  constexpr void operator()(Team& team, std::int64_t) const {
    const double* terms = losses;
    const double sum = team_sum_of<double>(team, N, team.template shared<double>(),
                                           [=](std::int64_t n) { return terms[n]; });
    if (team.rank() == 0) *loss = static_cast<T>(sum);
  }
};

/// dlogits[n,k] = dout w[n] (p[n,k] - (1-s) [k = y[n]] - s/K)
template <class T>
struct CrossEntropyGradient {
  const T* p;
  const std::int32_t* labels;
  const T* weights;
  std::int64_t K;
  double smoothing;
  const T* dout;
  T* dlogits;
  constexpr void operator()(std::int64_t i) const {
    const std::int64_t n = i / K, k = i % K;
    const double weight = static_cast<double>(*dout) * static_cast<double>(weights[n]);
    const double target =
        (k == labels[n] ? 1 - smoothing : 0.0) + smoothing / static_cast<double>(K);
    dlogits[i] = static_cast<T>(weight * (static_cast<double>(p[i]) - target));
  }
};

template <class Launcher, class T>
constexpr CrossEntropy<T> cross_entropy{
    .forward =
        [](const T* logits, const std::int32_t* labels, const T* weights, std::int64_t N,
           std::int64_t K, double smoothing, T* p, double* losses, T* loss) {
          Launcher::run(CrossEntropyRows<T>{logits, labels, weights, N, K, smoothing, p, losses});
          Launcher::run(SumLosses<T>{losses, N, loss});
        },
    .backward =
        [](const T* p, const std::int32_t* labels, const T* weights, std::int64_t N, std::int64_t K,
           double smoothing, const T* dout, T* dlogits) {
          for_each<Launcher>(
              CrossEntropyGradient<T>{p, labels, weights, K, smoothing, dout, dlogits}, N * K);
        }};

}  // namespace holdfast::cuda
