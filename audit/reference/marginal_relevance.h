// Maximal marginal relevance by looking at every candidate in every round.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace holdfast {

/// `rows` dense. The choices in order; ties go to the lower candidate.
inline std::vector<std::int64_t> exhaustive_marginal_relevance(
    const std::vector<std::vector<double>>& rows, std::span<const double> scores,
    std::span<const std::int64_t> costs, double diversity, std::int64_t budget) {
  std::vector<std::int64_t> chosen;
  std::vector<bool> taken(rows.size(), false);
  while (true) {
    std::int64_t best = -1;
    double best_value = 0;
    for (std::size_t d = 0; d < rows.size(); ++d) {
      if (taken[d] || costs[d] > budget) continue;
      double nearest = 0;
      for (const std::int64_t c : chosen) {
        double cosine = 0;
        for (std::size_t t = 0; t < rows[d].size(); ++t) {
          cosine += rows[d][t] * rows[static_cast<std::size_t>(c)][t];
        }
        if (cosine > nearest) nearest = cosine;
      }
      const double value = (1 - diversity) * scores[d] - diversity * nearest;
      if (best < 0 || value > best_value) {
        best = static_cast<std::int64_t>(d);
        best_value = value;
      }
    }
    if (best < 0) return chosen;
    taken[static_cast<std::size_t>(best)] = true;
    budget -= costs[static_cast<std::size_t>(best)];
    chosen.push_back(best);
  }
}

}  // namespace holdfast
