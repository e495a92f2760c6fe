// Distances in units of the last place.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>

namespace holdfast::reference {

/// |value - expected| in units of the last place that T has at `expected`; at 0, and nearer to it
/// than T's normal numbers, in its least number. 0 for the same infinity and for NaN where NaN is
/// expected, infinite for another sign of zero.
template <class T, class Reference>
double ulps(T value, Reference expected) {
  constexpr double kInf = std::numeric_limits<double>::infinity();
  constexpr int kDigits = std::numeric_limits<T>::digits,
                kLowest = std::numeric_limits<T>::min_exponent - kDigits;
  if (std::isnan(expected)) return std::isnan(value) ? 0.0 : kInf;
  const T rounded = static_cast<T>(expected);
  if (value == rounded && std::isinf(value)) return 0;
  if (expected == 0 && value == 0) return std::signbit(value) == std::signbit(expected) ? 0 : kInf;
  int exponent = kLowest + kDigits;
  if (expected != 0) std::frexp(expected, &exponent);
  return static_cast<double>(std::abs(static_cast<Reference>(value) - expected) /
                             std::ldexp(Reference(1), std::max(exponent - kDigits, kLowest)));
}

}  // namespace holdfast::reference
