// Bias and activation functions, as passes over the rows that a GEMM has just written.
#pragma once

#include <cstdint>

namespace holdfast::kernels {

template <class T>
struct Activations {
  /// pre += bias; y = f(pre): pre, y (rows, C) with rows `ld` elements apart, bias (C). y may be
  /// pre: then it is only y.
  using Forward = void (*)(const T* bias, std::int64_t rows, std::int64_t C, std::int64_t ld,
                           T* pre, T* y);
  /// dpre = dout f'(pre), n elements. `saved` is pre for GELU, y for tanh and relu. dpre may be
  /// dout.
  using Backward = void (*)(const T* saved, const T* dout, std::int64_t n, T* dpre);

  Forward none;
  /// GELU [Hendrycks & Gimpel 2016]: x Phi(x) = x/2 (1 + erf(x/sqrt 2)); derivative Phi(x) + x
  /// phi(x).
  Forward gelu_erf;
  Backward gelu_erf_backward;
  /// x/2 (1 + tanh u), u = sqrt(2/pi) (x + 0.044715 x^3); derivative (1 + tanh u)/2 + x/2 (1 -
  /// tanh^2 u) du/dx.
  Forward gelu_tanh;
  Backward gelu_tanh_backward;
  Forward tanh;
  Backward tanh_backward;
  Forward relu;
  Backward relu_backward;
};

}  // namespace holdfast::kernels
