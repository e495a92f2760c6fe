// Softmax and log softmax of rows, as tensor/kernels/softmax.h: a row a team.
#pragma once

#include "tensor/cuda/team.h"
#include "tensor/kernels/softmax.h"

namespace holdfast::cuda {

/// The largest of x (n), n >= 1.
template <class Team, class T>
constexpr T team_max_of(Team& team, const T* x, std::int64_t n, T* scratch) {
  T largest = x[0];
  for (std::int64_t i = team.rank(); i < n; i += team.size())
    largest = x[i] > largest ? x[i] : largest;
  return team_fold(team, largest, scratch, [](T a, T b) { return a > b ? a : b; });
}

template <class T>
struct SoftmaxForward {
  const T* x;
  T* y;
  std::int64_t rows, cols;
  bool logarithm;

  constexpr Launch launch() const { return over_rows(rows, sizeof(T)); }
  template <class Team>
  constexpr void operator()(Team& team, std::int64_t r) const {
    T* scratch = team.template shared<T>();
    const T* x_r = x + r * cols;
    const T largest = team_max_of(team, x_r, cols, scratch);
    const T total = team_sum_of<T>(team, cols, scratch,
                                   [=](std::int64_t c) { return std::exp(x_r[c] - largest); });
    const T log_sum = std::log(total);
    for (std::int64_t c = team.rank(); c < cols; c += team.size()) {
      const T distance = x_r[c] - largest;
      y[r * cols + c] = logarithm ? distance - log_sum : std::exp(distance) / total;
    }
  }
};

template <class T>
struct SoftmaxBackward {
  const T *y, *dout;
  T* dx;
  std::int64_t rows, cols;
  bool logarithm;

  constexpr Launch launch() const { return over_rows(rows, sizeof(T)); }
  template <class Team>
  constexpr void operator()(Team& team, std::int64_t r) const {
    const T *y_r = y + r * cols, *dout_r = dout + r * cols;
    const bool weigh = !logarithm;
    const T sum = team_sum_of<T>(team, cols, team.template shared<T>(), [=](std::int64_t c) {
      return weigh ? y_r[c] * dout_r[c] : dout_r[c];
    });
    for (std::int64_t c = team.rank(); c < cols; c += team.size()) {
      dx[r * cols + c] =
          logarithm ? dout_r[c] - std::exp(y_r[c]) * sum : y_r[c] * (dout_r[c] - sum);
    }
  }
};

template <class Launcher, class T>
constexpr kernels::Softmax<T> softmax{
    .softmax =
        [](const T* x, T* y, std::int64_t rows, std::int64_t cols) {
          Launcher::run(SoftmaxForward<T>{x, y, rows, cols, false});
        },
    .softmax_backward =
        [](const T* y, const T* dout, T* dx, std::int64_t rows, std::int64_t cols) {
          Launcher::run(SoftmaxBackward<T>{y, dout, dx, rows, cols, false});
        },
    .log_softmax =
        [](const T* x, T* y, std::int64_t rows, std::int64_t cols) {
          Launcher::run(SoftmaxForward<T>{x, y, rows, cols, true});
        },
    .log_softmax_backward =
        [](const T* y, const T* dout, T* dx, std::int64_t rows, std::int64_t cols) {
          Launcher::run(SoftmaxBackward<T>{y, dout, dx, rows, cols, true});
        }};

}  // namespace holdfast::cuda
