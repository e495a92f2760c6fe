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
/// length 1 (or 0), their terms below `terms`. The candidates are indexed by term, so that a choice
/// costs what its terms' candidates are many, and one pass over all that are left. Runs over fixed
/// chunks of candidates in parallel: the same choices for any number of threads, and those of an
/// exhaustive search, as every cosine is summed in the order of the terms.
std::vector<MarginalChoice> marginal_relevance(const SparseRows& rows, std::int64_t terms,
                                               std::span<const double> scores,
                                               std::span<const std::int64_t> costs,
                                               double diversity, std::int64_t budget);

}  // namespace holdfast
