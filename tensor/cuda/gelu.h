// GELU [Hendrycks & Gimpel 2016] and its slope, as tensor/kernels/gelu.h.
#pragma once

#include "tensor/cuda/team.h"

namespace holdfast::cuda {

inline constexpr double kSqrtHalf = 0x1.6a09e667f3bcdp-1;        // 1/sqrt(2)
inline constexpr double kInverseSqrt2Pi = 0x1.9884533d43651p-2;  // 1/sqrt(2 pi)
inline constexpr double kSqrt2OverPi = 0x1.9884533d43651p-1;     // sqrt(2/pi)
inline constexpr double kGeluCubic = 0.044715;

/// f(x) and f'(x) together.
template <class T>
struct Point {
  T value, slope;
};

/// x Phi(x) and Phi(x) + x phi(x).
template <class T>
constexpr Point<T> gelu_erf(T x) {
  const T distribution = T(0.5) * (T(1) + std::erf(x * T(kSqrtHalf)));
  const T density = T(kInverseSqrt2Pi) * std::exp(T(-0.5) * x * x);
  return {x * distribution, distribution + x * density};
}

/// x/2 (1 + t) and (1 + t)/2 + x/2 (1 - t^2) du/dx: t = tanh u, u = sqrt(2/pi) (x + 0.044715 x^3).
template <class T>
constexpr Point<T> gelu_tanh(T x) {
  const T t = std::tanh(T(kSqrt2OverPi) * (x + T(kGeluCubic) * x * x * x));
  const T du = T(kSqrt2OverPi) * (T(1) + T(3 * kGeluCubic) * x * x);
  return {T(0.5) * x * (T(1) + t), T(0.5) * (T(1) + t) + T(0.5) * x * (T(1) - t * t) * du};
}

}  // namespace holdfast::cuda
