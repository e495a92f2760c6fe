// The greedy choice that weighs likeness to a target against repetition. Tested by
// tests/train/marginal_relevance_test.cpp.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "train/tfidf.h"

namespace holdfast {

/// One choice.
struct MarginalChoice {
  std::int64_t candidate = 0;
  double nearest = 0;  // largest cosine to what was chosen before; 0 for the first
};

/// Maximal marginal relevance [Carbonell & Goldstein 1998]: candidate after candidate,
///   argmax over d of  (1 - diversity) scores(d) - diversity max over chosen c of cos(d, c),
/// of those whose cost still fits into the budget; ties go to the lower candidate. `rows` are of
/// length 1 (or 0) without negative weights, `terms` more than any term in them.
///
/// Evaluated lazily: a candidate's value only falls as more is chosen, so that one whose stale
/// value is below the best current one need not be looked at. The nearest chosen row is found
/// through an inverted index, heaviest terms first, until what the remaining terms can add
/// (Cauchy-Schwarz) is less than the best so far. Both bounds leave room for rounding, and what is
/// compared are the same sums as without them: the result is that of the exhaustive search.
std::vector<MarginalChoice> marginal_relevance(const SparseRows& rows, std::int64_t terms,
                                               std::span<const double> scores,
                                               std::span<const std::int64_t> costs,
                                               double diversity, std::int64_t budget);

}  // namespace holdfast
