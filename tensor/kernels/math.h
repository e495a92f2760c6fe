// exp, log, tanh and erf that compilers vectorise: no branches, no tables, no library calls for
// float. Include in kernel files only (tensor/kernels/dispatch.h); every function has internal
// linkage and is inlined into each loop.
//
// Accuracy of float over all inputs, as measured and tested (tests/tensor/math_test.cpp), on every
// instruction set:
//   exp 1.1 ulp, log 1 ulp, tanh 1.5 ulp, erf 1.5 ulp, subnormal arguments and results included;
// double is base/elementary.h: exp 1.1 ulp, log 1 ulp, tanh 2.5 ulp, erf 1.5 ulp.
// Special values as in C: exp(-inf) = 0, log(0) = -inf, log(negative) = NaN, tanh and erf(+-inf) =
// +-1, NaN -> NaN.
#pragma once

#include <cstdint>

#include "base/elementary.h"

namespace holdfast::kernels::HOLDFAST_ISA {
namespace {

using elementary::erf;
using elementary::exp;
using elementary::log;
using elementary::tanh;

// 1.5 * 2^(mantissa bits): adding it rounds a small number to an integer, found in the low bits
// of the sum.
constexpr float kRoundF = 0x1.8p23f;

/// 2^n for n in [-126, 127].
[[gnu::always_inline]] inline float power_of_two(std::int32_t n) {
  return __builtin_bit_cast(float, static_cast<std::uint32_t>(n + 127) << 23);
}

/// exp(x) = 2^n exp(r), n = round(x / ln 2), |r| <= ln(2)/2; polynomial of Cephes expf. 2^n is
/// multiplied in as two halves: the range of each suffices, and a subnormal result is rounded once.
[[gnu::always_inline]] inline float exp(float x) {
  x = x < -104.0f ? -104.0f : x;  // exp(-104) = 0 and exp(89) = inf after rounding; NaN passes
  x = x > 89.0f ? 89.0f : x;
  const float rounded = x * 0x1.715476p0f + kRoundF;
  const float n = rounded - kRoundF;
  const float r = (x - n * 0x1.63p-1f) + n * 0x1.bd0106p-13f;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = (p * (r * r) + r) + 1.0f;
  const std::int32_t k =
      __builtin_bit_cast(std::int32_t, rounded) - __builtin_bit_cast(std::int32_t, kRoundF);
  const std::int32_t half = k >> 1;
  return p * power_of_two(half) * power_of_two(k - half);
}

/// log(x) = e ln 2 + log(m), m in [sqrt(1/2), sqrt(2)); polynomial of Cephes logf.
[[gnu::always_inline]] inline float log(float x) {
  const bool tiny = x < 0x1p-126f;
  const float scaled = tiny ? x * 0x1p23f : x;
  // Adding the distance from sqrt(1/2) to 1 puts the exponent's step at sqrt(1/2).
  const auto bits = static_cast<std::int32_t>(__builtin_bit_cast(std::uint32_t, scaled) +
                                              (0x3f800000u - 0x3f3504f3u));
  const float e = static_cast<float>((bits >> 23) - 127 - (tiny ? 23 : 0));
  const float m = __builtin_bit_cast(float, (bits & 0x007fffff) + 0x3f3504f3) - 1.0f;
  float p = 7.0376836292e-2f;
  p = p * m - 1.1514610310e-1f;
  p = p * m + 1.1676998740e-1f;
  p = p * m - 1.2420140846e-1f;
  p = p * m + 1.4249322787e-1f;
  p = p * m - 1.6668057665e-1f;
  p = p * m + 2.0000714765e-1f;
  p = p * m - 2.4999993993e-1f;
  p = p * m + 3.3333331174e-1f;
  const float square = m * m;
  const float tail = (p * m * square - 2.12194440e-4f * e) - 0.5f * square;
  float y = 0.693359375f * e + (m + tail);
  y = x == 0.0f ? -__builtin_inff() : y;
  y = x < 0.0f ? __builtin_nanf("") : y;
  return x < __builtin_inff() ? y : x;  // inf and NaN
}

/// tanh(x) = 1 - 2/(exp(2x) + 1) from 0.625 on, else x + x^3 P(x^2); polynomial of Cephes tanhf.
[[gnu::always_inline]] inline float tanh(float x) {
  const float a = __builtin_fabsf(x), s = x * x;
  const float large = 1.0f - 2.0f / (exp(2.0f * a) + 1.0f);
  float p = -5.70498872745e-3f;
  p = p * s + 2.06390887954e-2f;
  p = p * s - 5.37397155531e-2f;
  p = p * s + 1.33314422036e-1f;
  p = p * s - 3.33332819422e-1f;
  const float small = p * s * x + x;
  return a > 0.625f ? __builtin_copysignf(large, x) : small;
}

/// erf(x) = x + x P(x^2) up to 0.9277, 1 - exp(-|x| - |x| Q(|x|)) beyond, after N. Juffa's minimax
/// polynomials.
[[gnu::always_inline]] inline float erf(float x) {
  const float magnitude = __builtin_fabsf(x), s = x * x;
  const float a = magnitude > 4.0f ? 4.0f : magnitude;  // erf(4) = 1 after rounding
  float q = -1.72853470e-5f;
  q = q * a + 3.83197126e-4f;
  q = q * a - 3.88396438e-3f;
  q = q * a + 2.42546219e-2f;
  q = q * a - 1.06777877e-1f;
  q = q * a - 6.34846687e-1f;
  q = q * a - 1.28717512e-1f;
  const float large = 1.0f - exp(q * a - a);
  float p = -5.96761703e-4f;
  p = p * s + 4.99119423e-3f;
  p = p * s - 2.67681349e-2f;
  p = p * s + 1.12819925e-1f;
  p = p * s - 3.76125336e-1f;
  p = p * s + 1.28379166e-1f;
  const float small = p * x + x;
  return magnitude > 0.927734375f ? __builtin_copysignf(large, x) : small;
}

}  // namespace
}  // namespace holdfast::kernels::HOLDFAST_ISA
