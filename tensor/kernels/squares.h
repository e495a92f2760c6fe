// Sums and squares of per-sample gradients (train/per_sample.h). Accumulators are double, or T
// within one batch.
#pragma once

#include <cstdint>

namespace holdfast::kernels {

template <class T>
struct Squares {
  /// y_i += x_i^2
  void (*add_squares)(const T* x, T* y, std::int64_t n);
  /// y_i = x_i^2
  void (*square)(const T* x, T* y, std::int64_t n);
  /// y_i += x_i
  void (*widen_add)(const T* x, double* y, std::int64_t n);
  /// y_i += x_i^2, squared in double
  void (*widen_add_squares)(const T* x, double* y, std::int64_t n);
  /// y_j = sum over `rows` rows t of a[t * stride + j], j < n
  void (*column_sums)(const T* a, std::int64_t rows, std::int64_t stride, T* y, std::int64_t n);
  /// y_j = sum over rows of a[t * stride + j] b[t * stride + j]
  void (*column_products)(const T* a, const T* b, std::int64_t rows, std::int64_t stride, T* y,
                          std::int64_t n);
};

}  // namespace holdfast::kernels
