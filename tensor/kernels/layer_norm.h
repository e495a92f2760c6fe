// Layer normalisation of rows [Ba et al. 2016, sec. 3].
#pragma once

#include <cstdint>

namespace holdfast::kernels {

template <class T>
struct LayerNorm {
  /// mu = mean(x), rstd = 1/sqrt(mean((x - mu)^2) + eps), xhat = (x - mu) rstd, y = gamma xhat +
  /// beta, row by row: x, y (rows, C), gamma, beta (C); xhat (rows, C) and rstd (rows) are kept
  /// unless xhat is null. y may be x. Accuracy: sums run in fixed lanes of T; in float y is within
  /// 1e-6 max|y| of the double result.
  void (*forward)(const T* x, const T* gamma, const T* beta, double eps, std::int64_t rows,
                  std::int64_t C, T* xhat, T* rstd, T* y);
  /// forward: y = gamma xhat + beta; so with g = gamma dout: dx = rstd (g - mean(g) - xhat mean(g
  /// xhat)). dx may be dout.
  void (*backward)(const T* dout, const T* gamma, const T* xhat, const T* rstd, std::int64_t rows,
                   std::int64_t C, T* dx);
};

}  // namespace holdfast::kernels
