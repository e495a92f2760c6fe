// Sums over the rows of a matrix (rows, cols), row-major.
#pragma once

#include <cstdint>

namespace holdfast::kernels {

template <class T>
struct Reduce {
  /// y[c] = sum over r of x[r, c]; in ascending r, a single column in vector lanes.
  void (*column_sum)(const T* x, std::int64_t rows, std::int64_t cols, T* y);
  /// y[c] = sum over r of x[r, c] z[r, c], in the same order.
  void (*column_dot)(const T* x, const T* z, std::int64_t rows, std::int64_t cols, T* y);
};

}  // namespace holdfast::kernels
