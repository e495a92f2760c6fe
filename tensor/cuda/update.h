// AdamW with its penalties over the whole arena in one launch, and sums of squares; formulas as in
// tensor/kernels/update.h.
#pragma once

#include "tensor/cuda/operations.h"
#include "tensor/cuda/team.h"

namespace holdfast::cuda {

/// One element: what pulls it, and the step. Sums of its penalties are added to `sums`.
template <class T>
struct AdamWElement {
  const UpdateRange<T>& range;

  constexpr T gradient(std::int64_t i, T x, T task, kernels::PullSums& sums) const {
    const kernels::PullSpans<T>& pull = range.pull;
    T g = static_cast<T>(range.step.clip) * task;
    if (pull.importance != nullptr) {
      const double d = static_cast<double>(x) - static_cast<double>(pull.anchor[i]);
      sums.ewc += static_cast<double>(pull.importance[i]) * d * d;
    }
    if (pull.l2 != 0) {
      const T difference = pull.l2_to_anchor ? x - pull.anchor[i] : x;
      sums.l2 += static_cast<double>(difference) * static_cast<double>(difference);
      g += static_cast<T>(2 * pull.l2) * difference;
    }
    if (pull.lambda != 0)
      g += static_cast<T>(2 * pull.lambda) * pull.importance[i] * (x - pull.anchor[i]);
    return g;
  }

  constexpr T step(T x, T g, T& m, T& v) const {
    const kernels::AdamWStep& s = range.step;
    m += static_cast<T>(s.one_minus_beta1) * (g - m);
    v = static_cast<T>(s.beta2) * v + static_cast<T>(s.one_minus_beta2) * g * g;
    const T root = std::sqrt(v) / static_cast<T>(s.root_bias2) + static_cast<T>(s.epsilon);
    return static_cast<T>(s.decay) * x - static_cast<T>(s.step_size) * (m / root);
  }

  constexpr T held(std::int64_t i, T x) const {
    const kernels::PullSpans<T>& pull = range.pull;
    if (pull.proximal != 0) {
      const T strength = static_cast<T>(pull.proximal) * pull.importance[i];
      if (strength > 0) x = pull.anchor[i] + (x - pull.anchor[i]) / (T(1) + strength);
    }
    if (pull.keep != 1) x = pull.anchor[i] + static_cast<T>(pull.keep) * (x - pull.anchor[i]);
    return x;
  }
};

template <class T>
struct AdamWPieces {
  const UpdateRange<T>* ranges;
  const UpdatePiece* pieces;
  std::int64_t count;
  T* theta;
  const T* gradient;
  T *m, *v;
  kernels::PullSums* sums;

  constexpr Launch launch() const { return over_rows(count, sizeof(double)); }
  template <class Team>
  constexpr void operator()(Team& team, std::int64_t p) const {
    const UpdatePiece piece = pieces[p];
    const AdamWElement<T> element{ranges[piece.range]};
    kernels::PullSums own;
    for (std::int64_t i = piece.begin + team.rank(); i < piece.end; i += team.size()) {
      const std::int64_t at = i - piece.range_begin;
      const T g = element.gradient(at, theta[i], gradient[i], own);
      theta[i] = element.held(at, element.step(theta[i], g, m[i], v[i]));
    }
    auto* scratch = team.template shared<double>();
    const double ewc = team_sum(team, own.ewc, scratch), l2 = team_sum(team, own.l2, scratch);
    if (team.rank() == 0) sums[p] = {ewc, l2};
  }
};

template <class T>
struct SumSquares {
  const UpdatePiece* pieces;
  std::int64_t count;
  const T* x;
  double* sums;

  constexpr Launch launch() const { return over_rows(count, sizeof(double)); }
  template <class Team>
  constexpr void operator()(Team& team, std::int64_t p) const {
    const T* first = x + pieces[p].begin;
    const double sum = team_sum_of<double>(
        team, pieces[p].end - pieces[p].begin, team.template shared<double>(), [=](std::int64_t i) {
          return static_cast<double>(first[i]) * static_cast<double>(first[i]);
        });
    if (team.rank() == 0) sums[p] = sum;
  }
};

template <class Launcher, class T>
constexpr UpdateAll<T> update{
    .adamw =
        [](const UpdateRange<T>* ranges, const UpdatePiece* pieces, std::int64_t count, T* theta,
           const T* gradient, T* m, T* v, kernels::PullSums* sums) {
          Launcher::run(AdamWPieces<T>{ranges, pieces, count, theta, gradient, m, v, sums});
        },
    .sum_squares =
        [](const UpdatePiece* pieces, std::int64_t count, const T* x, double* sums) {
          Launcher::run(SumSquares<T>{pieces, count, x, sums});
        }};

}  // namespace holdfast::cuda
