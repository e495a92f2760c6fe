// Layer normalisation of rows, as tensor/kernels/layer_norm.h: a row a team.
#pragma once

#include "tensor/cuda/team.h"
#include "tensor/kernels/layer_norm.h"

namespace holdfast::cuda {

template <class T>
struct LayerNormForward {
  const T *x, *gamma, *beta;
  T eps;
  std::int64_t rows, C;
  T *xhat, *rstd, *y;

  constexpr Launch launch() const { return over_rows(rows, sizeof(T)); }
  template <class Team>
  constexpr void operator()(Team& team, std::int64_t r) const {
    T* scratch = team.template shared<T>();
    const T* x_r = x + r * C;
    const T count = static_cast<T>(C);
    const T mean = team_sum_of<T>(team, C, scratch, [=](std::int64_t i) { return x_r[i]; }) / count;
    const T variance =
        team_sum_of<T>(team, C, scratch,
                       [=](std::int64_t i) { return (x_r[i] - mean) * (x_r[i] - mean); }) /
        count;
    const T scale = T(1) / std::sqrt(variance + eps);
    for (std::int64_t i = team.rank(); i < C; i += team.size()) {
      const T normalised = (x_r[i] - mean) * scale;
      if (xhat != nullptr) xhat[r * C + i] = normalised;
      y[r * C + i] = normalised * gamma[i] + beta[i];
    }
    if (xhat != nullptr && team.rank() == 0) rstd[r] = scale;
  }
};

template <class T>
struct LayerNormBackward {
  const T *dout, *gamma, *xhat, *rstd;
  std::int64_t rows, C;
  T* dx;

  constexpr Launch launch() const { return over_rows(rows, sizeof(T)); }
  template <class Team>
  constexpr void operator()(Team& team, std::int64_t r) const {
    T* scratch = team.template shared<T>();
    const T *dout_r = dout + r * C, *xhat_r = xhat + r * C, *g = gamma;
    const T count = static_cast<T>(C);
    const T mean =
        team_sum_of<T>(team, C, scratch, [=](std::int64_t i) { return dout_r[i] * g[i]; }) / count;
    const T slope = team_sum_of<T>(team, C, scratch,
                                   [=](std::int64_t i) { return dout_r[i] * g[i] * xhat_r[i]; }) /
                    count;
    const T scale = rstd[r];
    for (std::int64_t i = team.rank(); i < C; i += team.size())
      dx[r * C + i] = scale * (dout_r[i] * g[i] - mean - xhat_r[i] * slope);
  }
};

template <class Launcher, class T>
constexpr kernels::LayerNorm<T> layer_norm{
    .forward =
        [](const T* x, const T* gamma, const T* beta, double eps, std::int64_t rows, std::int64_t C,
           T* xhat, T* rstd, T* y) {
          Launcher::run(
              LayerNormForward<T>{x, gamma, beta, static_cast<T>(eps), rows, C, xhat, rstd, y});
        },
    .backward =
        [](const T* dout, const T* gamma, const T* xhat, const T* rstd, std::int64_t rows,
           std::int64_t C, T* dx) {
          Launcher::run(LayerNormBackward<T>{dout, gamma, xhat, rstd, rows, C, dx});
        }};

}  // namespace holdfast::cuda
