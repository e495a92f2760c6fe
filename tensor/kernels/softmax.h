// Softmax and log softmax of the rows of a matrix (rows, cols), cols >= 1.
#pragma once

#include <cstdint>

namespace holdfast::kernels {

template <class T>
struct Softmax {
  /// y = exp(x - m) / sum exp(x - m), m = max x: no overflow for any finite row.
  void (*softmax)(const T* x, T* y, std::int64_t rows, std::int64_t cols);
  /// dx = y (dout - sum dout y)
  void (*softmax_backward)(const T* y, const T* dout, T* dx, std::int64_t rows, std::int64_t cols);
  /// y = (x - m) - log sum exp(x - m)
  void (*log_softmax)(const T* x, T* y, std::int64_t rows, std::int64_t cols);
  /// dx = dout - exp(y) sum dout
  void (*log_softmax_backward)(const T* y, const T* dout, T* dx, std::int64_t rows,
                               std::int64_t cols);
};

}  // namespace holdfast::kernels
