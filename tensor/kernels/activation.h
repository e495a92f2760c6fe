// Bias and activation functions, as passes over the rows that a GEMM has just written.
#pragma once

#include <cstdint>

namespace holdfast::kernels {

template <class T>
struct Activations {
  /// y = f(pre + bias), slope = f'(pre + bias) unless it is null: all (rows, C), rows ld_pre or ld
  /// elements apart, bias (C). y may be pre.
  using Forward = void (*)(const T* bias, std::int64_t rows, std::int64_t C, const T* pre,
                           std::int64_t ld_pre, T* y, T* slope, std::int64_t ld);
  /// dpre = dout * slope, n elements, where slope is f'(pre), or follows from `saved` = y for tanh
  /// and relu. dpre may be dout.
  using Backward = void (*)(const T* saved, const T* dout, std::int64_t n, T* dpre);

  Forward none;
  /// GELU [Hendrycks & Gimpel 2016]: x Phi(x) = x/2 (1 + erf(x/sqrt 2)); derivative Phi(x) + x
  /// phi(x).
  Forward gelu_erf;
  /// x/2 (1 + tanh u), u = sqrt(2/pi) (x + 0.044715 x^3); derivative (1 + tanh u)/2 + x/2 (1 -
  /// tanh^2 u) du/dx.
  Forward gelu_tanh;
  Backward gelu_backward;  // of both
  Forward tanh;
  Backward tanh_backward;
  Forward relu;
  Backward relu_backward;
};

}  // namespace holdfast::kernels
