// Wilson's interval by its closed form.
#pragma once

#include <cmath>
#include <cstdint>

#include "train/statistics.h"

namespace holdfast::reference {

/// (p + z^2/2n -+ z sqrt(p (1 - p) / n + z^2/4n^2)) / (1 + z^2/n), p = right / n, z the 97.5%
/// quantile of the normal distribution [Wilson 1927].
inline Interval wilson(std::int64_t right, std::int64_t items) {
  constexpr double z = 1.959963984540054;
  const auto n = static_cast<double>(items);
  const double p = static_cast<double>(right) / n, middle = p + z * z / (2 * n),
               margin = z * std::sqrt(p * (1 - p) / n + z * z / (4 * n * n)), scale = 1 + z * z / n;
  return {(middle - margin) / scale, (middle + margin) / scale};
}

}  // namespace holdfast::reference
