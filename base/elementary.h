// Elementary functions in double by + - * / and sqrt alone, which IEEE 754 defines to the last bit:
// the same bits on every machine, whatever its C library. Non-kernel code is compiled without
// contraction, so nothing else can change them; kernels (tensor/kernels/math.h) inline the same
// functions, with contraction where their set has it. exp, log, tanh and erf have no branches:
// loops over them are vectorised. Internal linkage, no standard header: kernel files may include
// this.
//
// Accuracy, as tested (tests/base/elementary_test.cpp): exp 1.1 ulp, log 1 ulp, tanh 2.5 ulp,
// erf 1.5 ulp, with contraction or without (tests/tensor/math_test.cpp); without, sin and cos 1.5
// ulp for |x| <= pi and 1.2e-16 beyond, acos 6 ulp, power 1 ulp. Special values as in C: exp(-inf)
// = 0, log(0) = -inf, log(negative) = NaN, tanh and erf(+-inf) =
// +-1, NaN -> NaN.
#pragma once

#include <cstdint>

namespace holdfast::elementary {
namespace {

/// Adding it rounds |x| < 2^51 to an integer, found in the low bits of the sum.
constexpr double kRound = 0x1.8p52;
constexpr double kLog2E = 0x1.71547652b82fep0;
constexpr double kLn2High = 0x1.62e42fee00000p-1, kLn2Low = 0x1.a39ef35793c76p-33;

/// ((p x + next) x + ...): coefficients of descending powers.
[[gnu::always_inline]] inline double horner(double, double p) { return p; }
template <class... Rest>
[[gnu::always_inline]] inline double horner(double x, double p, double next, Rest... rest) {
  return horner(x, p * x + next, rest...);
}

/// 2^n for n in [-1022, 1023], modulo 2^64.
[[gnu::always_inline]] inline double power_of_two(std::uint64_t n) {
  return __builtin_bit_cast(double, (n + 1023) << 52);
}

/// The integer that kRound + n holds, modulo 2^64: of a NaN, some number.
[[gnu::always_inline]] inline std::uint64_t integer_of(double rounded) {
  return __builtin_bit_cast(std::uint64_t, rounded) - __builtin_bit_cast(std::uint64_t, kRound);
}

/// exp(r) - 1 for |r| <= ln(2)/2: the Taylor polynomial of degree 13, whose remainder is below
/// 2^-57.
[[gnu::always_inline]] inline double small_expm1(double r) {
  const double p = horner(r, 1.0 / 6227020800.0, 1.0 / 479001600.0, 1.0 / 39916800.0,
                          1.0 / 3628800.0, 1.0 / 362880.0, 1.0 / 40320.0, 1.0 / 5040.0, 1.0 / 720.0,
                          1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5);
  return p * (r * r) + r;
}

/// exp(x) = 2^n exp(r), n = round(x / ln 2). 2^n is multiplied in as two halves: the range of each
/// suffices, and a subnormal result is rounded once.
[[gnu::always_inline]] inline double exp(double x) {
  x = x < -746.0 ? -746.0 : x;  // exp(-746) = 0 and exp(710) = inf after rounding; NaN passes
  x = x > 710.0 ? 710.0 : x;
  const double rounded = x * kLog2E + kRound, n = rounded - kRound;
  const double r = (x - n * kLn2High) - n * kLn2Low;
  const double p = small_expm1(r) + 1.0;
  const std::uint64_t k = integer_of(rounded);
  // floor(k / 2) by an unsigned shift: AVX2 has no signed one of 64 bits.
  const std::uint64_t half = ((k + 2048) >> 1) - 1024;
  return p * power_of_two(half) * power_of_two(k - half);
}

/// log(x) = e ln 2 + log(1 + f), 1 + f in [sqrt(1/2), sqrt(2)). With s = f / (2 + f):
///   log(1 + f) = 2 atanh(s) = 2s + s R, R = sum_{k>=1} 2 s^2k / (2k + 1), and 2s = f - s f = f -
///   f^2/2 + s f^2/2.
/// The series is cut at k = 11: what is left out is below 2^-62.
[[gnu::always_inline]] inline double log(double x) {
  constexpr std::uint64_t kOne = 0x3ff0000000000000, kRootHalf = 0x3fe6a09e667f3bcd,
                          kMantissa = 0x000fffffffffffff;
  const bool tiny = x < 0x1p-1022;
  // Adding the distance from sqrt(1/2) to 1 puts the exponent's step at sqrt(1/2).
  const std::uint64_t bits =
      __builtin_bit_cast(std::uint64_t, tiny ? x * 0x1p54 : x) + (kOne - kRootHalf);
  // The exponent becomes a double through the low bits of 2^52: AVX2 converts no 64-bit integers.
  const double e = __builtin_bit_cast(double, bits >> 52 | 0x4330000000000000) -
                   (tiny ? 0x1p52 + 1077.0 : 0x1p52 + 1023.0);
  const double f = __builtin_bit_cast(double, (bits & kMantissa) + kRootHalf) - 1.0;
  const double s = f / (2.0 + f), z = s * s, half = 0.5 * f * f;
  const double r = z * horner(z, 2.0 / 23, 2.0 / 21, 2.0 / 19, 2.0 / 17, 2.0 / 15, 2.0 / 13,
                              2.0 / 11, 2.0 / 9, 2.0 / 7, 2.0 / 5, 2.0 / 3);
  double y = e * kLn2High - ((half - (s * (half + r) + e * kLn2Low)) - f);
  y = x == 0.0 ? -__builtin_inf() : y;
  y = x < 0.0 ? __builtin_nan("") : y;
  return x < __builtin_inf() ? y : x;  // inf and NaN
}

/// tanh(x) = m / (m + 2), m = exp(2|x|) - 1 = 2^n expm1(r) + (2^n - 1), with the sign of x.
[[gnu::always_inline]] inline double tanh(double x) {
  double a = __builtin_fabs(x);
  a = a > 22.0 ? 22.0 : a;  // tanh(22) = 1 after rounding
  const double rounded = 2.0 * a * kLog2E + kRound, n = rounded - kRound;
  const double r = (2.0 * a - n * kLn2High) - n * kLn2Low;
  const double scale = power_of_two(integer_of(rounded));
  const double m = scale * small_expm1(r) + (scale - 1.0);
  return __builtin_copysign(m / (m + 2.0), x);
}

/// erf(x) = x + x P(x^2) up to 1, 1 - exp(-a^2) t Q(t), a = |x|, t = 1 / (1 + 0.3 a), beyond; both
/// polynomials from scripts/fit_erf.py, within 2^-58.
[[gnu::always_inline]] inline double erf(double x) {
  const double magnitude = __builtin_fabs(x), s = x * x;
  const double a = magnitude > 6.0 ? 6.0 : magnitude;  // erf(6) = 1 after rounding
  const double p = horner(s, 0x1.05ffd737fb32ep-34, -0x1.389d4f2641625p-30, 0x1.f7b4bf3b13964p-27,
                          -0x1.5f1ecb6f0764cp-23, 0x1.b9df224ca4b97p-20, -0x1.f4d1e3183f7aep-17,
                          0x1.f9a321d5b8e1ep-14, -0x1.c02db3dac435fp-11, 0x1.565bcd0dbaa38p-8,
                          -0x1.b82ce31284e00p-6, 0x1.ce2f21a042b30p-4, -0x1.812746b0379e6p-2,
                          0x1.06eba8214db69p-3);
  const double t = 1.0 / (1.0 + 0.3 * a);
  const double q = horner(
      t, 0x1.18438ff60fe5fp-7, -0x1.efb1315841ec8p-5, 0x1.6792604b402eap-3, -0x1.08992b73c50c9p-2,
      0x1.83ceafd7cfab6p-3, -0x1.3875ca036c219p-5, -0x1.74af221cca191p-4, 0x1.3705877bbcc79p-3,
      -0x1.99e4820862538p-5, 0x1.db1fc6c79f832p-4, 0x1.50631428cfa31p-4, 0x1.0794210f01099p-3,
      0x1.2a4e9de127dc4p-3, 0x1.4b3aa01794c64p-3, 0x1.5a9fb13d84f29p-3, 0x1.5aa379b5e5d06p-3);
  const double large = 1.0 - exp(-a * a) * (t * q);
  return magnitude > 1.0 ? __builtin_copysign(large, x) : p * x + x;
}

/// sin(x) and cos(x), |x| <= 2^20. x = n pi/2 + r, |r| <= pi/4: pi/2 is subtracted in three parts,
/// of which n times the first two is exact. Taylor polynomials of degree 19 and 18: what is left
/// out is below 2^-63. NaN beyond the range.
struct SineCosine {
  double sine, cosine;
};
inline SineCosine sine_cosine(double x) {
  const double rounded = x * 0x1.45f306dc9c883p-1 + kRound, n = rounded - kRound;
  const double r =
      ((x - n * 0x1.921fb54400000p+0) - n * 0x1.0b4611a600000p-34) - n * 0x1.3198a2e037073p-69;
  const double z = r * r;
  const double s = z * horner(z, -1.0 / 121645100408832000.0, 1.0 / 355687428096000.0,
                              -1.0 / 1307674368000.0, 1.0 / 6227020800.0, -1.0 / 39916800.0,
                              1.0 / 362880.0, -1.0 / 5040.0, 1.0 / 120.0, -1.0 / 6.0);
  const double c =
      z * z *
      horner(z, -1.0 / 6402373705728000.0, 1.0 / 20922789888000.0, -1.0 / 87178291200.0,
             1.0 / 479001600.0, -1.0 / 3628800.0, 1.0 / 40320.0, -1.0 / 720.0, 1.0 / 24.0);
  const double sine = r + r * s, half = 0.5 * z, near = 1.0 - half;
  const double cosine = near + (((1.0 - near) - half) + c);
  if (!(__builtin_fabs(x) <= 0x1p20)) return {x - x + __builtin_nan(""), x - x + __builtin_nan("")};
  switch (integer_of(rounded) & 3) {
    case 0:
      return {sine, cosine};
    case 1:
      return {cosine, -sine};
    case 2:
      return {-sine, -cosine};
    default:
      return {-cosine, sine};
  }
}
inline double sin(double x) { return sine_cosine(x).sine; }
inline double cos(double x) { return sine_cosine(x).cosine; }

/// acos(x) = 2 atan(sqrt((1 - x) / (1 + x))), |x| <= 1. Thrice atan(t) = 2 atan(t / (1 + sqrt(1 +
/// t^2))), the last time for t <= 0.2, then the series of atan.
inline double acos(double x) {
  double t = __builtin_sqrt((1.0 - x) / (1.0 + x)), factor = 2.0;
  if (x == -1.0) return 0x1.921fb54442d18p+1;
  while (t > 0.2) {
    t = t / (1.0 + __builtin_sqrt(1.0 + t * t));
    factor *= 2.0;
  }
  const double z = t * t;
  const double p = z * horner(z, 1.0 / 21, -1.0 / 19, 1.0 / 17, -1.0 / 15, 1.0 / 13, -1.0 / 11,
                              1.0 / 9, -1.0 / 7, 1.0 / 5, -1.0 / 3);
  return factor * (t + t * p);
}

/// A number as the sum of two doubles: twice their digits.
struct Double2 {
  double high, low;
};

/// a b in twice the digits, by Dekker's splitting of both into halves of 26 bits ["A floating-point
/// technique", 1971].
inline Double2 multiply(Double2 a, Double2 b) {
  constexpr double kSplit = 0x1p27 + 1.0;
  const double scaled_a = kSplit * a.high, a1 = scaled_a - (scaled_a - a.high), a2 = a.high - a1;
  const double scaled_b = kSplit * b.high, b1 = scaled_b - (scaled_b - b.high), b2 = b.high - b1;
  const double product = a.high * b.high;
  const double rest =
      (((a1 * b1 - product) + a1 * b2 + a2 * b1) + a2 * b2) + (a.high * b.low + a.low * b.high);
  const double high = product + rest;
  return {high, rest - (high - product)};
}

/// x^n, |x| <= 1 and n >= 0, by squaring in twice the digits.
inline double power(double x, std::int64_t n) {
  Double2 result{1.0, 0.0}, square{x, 0.0};
  for (; n > 0; n >>= 1) {
    if ((n & 1) != 0) result = multiply(result, square);
    square = multiply(square, square);
  }
  return result.high;
}

}  // namespace
}  // namespace holdfast::elementary
