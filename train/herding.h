// Herding: exemplars whose mean is the mean of their class. Tested by tests/train/herding_test.cpp.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "train/selection.h"

namespace holdfast {

/// Keeps the texts whose features together stay nearest to the mean of their class [Rebuffi 2017,
/// iCaRL, algorithm 4; Welling 2009]. Features phi are divided by their L2 norm, mu is their mean
/// over the class (over all texts without a quota), and the k-th text is
///   argmin over x of || mu - (phi(x) + sum over j < k of phi(p_j)) / k ||
/// of those not yet chosen that still fit; ties go to the lower index. The score is that distance.
/// features (n, C) row-major, n = labels.size(). Returned in order of choice, class by class; the
/// first ones are the best, so that a buffer can be cut short. O(n C) a choice. The same bits for
/// any number of threads. Throws std::invalid_argument when the features are not n equal rows or
/// not finite, or the budget is negative or, as a number, above n.
std::vector<Selected> select_herding(std::span<const float> features,
                                     std::span<const std::int32_t> labels, const Budget& budget,
                                     bool quota_by_class);

}  // namespace holdfast
