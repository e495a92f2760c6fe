// GELU [Hendrycks & Gimpel 2016, "Gaussian error linear units"] and its slope, as inline functions
// of one element. Include in kernel files only (tensor/kernels/dispatch.h).
#pragma once

#include "tensor/kernels/math.h"

namespace holdfast::kernels::HOLDFAST_ISA {
namespace {

constexpr double kSqrtHalf = 0x1.6a09e667f3bcdp-1;        // 1/sqrt(2)
constexpr double kInverseSqrt2Pi = 0x1.9884533d43651p-2;  // 1/sqrt(2 pi)
constexpr double kSqrt2OverPi = 0x1.9884533d43651p-1;     // sqrt(2/pi)
constexpr double kGeluCubic = 0.044715;

/// x Phi(x), Phi the standard normal distribution function.
template <class T>
[[gnu::always_inline]] inline T gelu_erf(T x) {
  return T(0.5) * x * (T(1) + erf(x * T(kSqrtHalf)));
}
/// d/dx x Phi(x) = Phi(x) + x phi(x), phi the standard normal density.
template <class T>
[[gnu::always_inline]] inline T gelu_erf_slope(T x) {
  return T(0.5) * (T(1) + erf(x * T(kSqrtHalf))) + x * (T(kInverseSqrt2Pi) * exp(T(-0.5) * x * x));
}

/// x/2 (1 + tanh u), u = sqrt(2/pi) (x + 0.044715 x^3).
template <class T>
[[gnu::always_inline]] inline T gelu_tanh(T x) {
  return T(0.5) * x * (T(1) + tanh(T(kSqrt2OverPi) * (x + T(kGeluCubic) * x * x * x)));
}
/// (1 + t)/2 + x/2 (1 - t^2) du/dx, t = tanh u, du/dx = sqrt(2/pi) (1 + 3 * 0.044715 x^2).
template <class T>
[[gnu::always_inline]] inline T gelu_tanh_slope(T x) {
  const T t = tanh(T(kSqrt2OverPi) * (x + T(kGeluCubic) * x * x * x));
  const T du = T(kSqrt2OverPi) * (T(1) + T(3 * kGeluCubic) * x * x);
  return T(0.5) * (T(1) + t) + T(0.5) * x * (T(1) - t * t) * du;
}

}  // namespace
}  // namespace holdfast::kernels::HOLDFAST_ISA
