// Sums of squared or absolute per-sample gradients (train/per_sample.h). Accumulators are double,
// or T within one batch.
#pragma once

#include <cstdint>

namespace holdfast::kernels {

/// A function f of single elements: the square or the absolute value.
template <class T>
struct Magnitude {
  /// y_i = f(x_i)
  void (*assign)(const T* x, T* y, std::int64_t n);
  /// y_i += f(x_i)
  void (*add)(const T* x, T* y, std::int64_t n);
  /// y_i += f(x_i), f in double
  void (*widen_add)(const T* x, double* y, std::int64_t n);
};

template <class T>
struct PerSample {
  Magnitude<T> squares, absolutes;
  /// y_i += x_i
  void (*widen_add)(const T* x, double* y, std::int64_t n);
  /// y_j += sum over `rows` rows t of a[t * stride + j], j < n
  void (*column_sums)(const T* a, std::int64_t rows, std::int64_t stride, T* y, std::int64_t n);
  /// y_j += sum over rows of a[t * stride + j] b[t * stride + j]
  void (*column_products)(const T* a, const T* b, std::int64_t rows, std::int64_t stride, T* y,
                          std::int64_t n);
};

}  // namespace holdfast::kernels
