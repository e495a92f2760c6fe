// bfloat16 from its definition: 8 bits of exponent and 7 of fraction, in double.
#pragma once

#include <cmath>
#include <limits>

namespace holdfast::reference {

/// The bf16 nearest to x, of two equally near ones that with an even fraction.
inline double nearest_bf16(double x) {
  if (x == 0 || !std::isfinite(x)) return x;
  const int exponent = std::max(std::ilogb(x), -126);  // below it, steps stay as they are
  const double step = std::ldexp(1.0, exponent - 7);
  const double rounded = std::nearbyint(x / step) * step;
  const double largest = std::ldexp(2.0 - std::ldexp(1.0, -7), 127);
  return std::abs(rounded) > largest ? std::copysign(std::numeric_limits<double>::infinity(), x)
                                     : rounded;
}

}  // namespace holdfast::reference
