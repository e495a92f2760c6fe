#include "train/marginal_relevance.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "audit/reference/marginal_relevance.h"
#include "tensor/random.h"

namespace holdfast {
namespace {

// Random texts over a few words, so that repetitions and ties are frequent; the same rows twice.
struct Case {
  SparseRows rows;
  std::vector<std::vector<double>> dense;
  std::vector<double> scores;
  std::vector<std::int64_t> costs;

  Case(std::int64_t n, std::int64_t terms, std::uint64_t seed, std::int64_t largest_cost) {
    const RandomStream stream(seed, "texts");
    for (std::int64_t d = 0; d < n; ++d) {
      const auto u = static_cast<std::uint64_t>(d);
      std::vector<double> row(static_cast<std::size_t>(terms), 0);
      const std::uint64_t words = stream.below(9, u, 0);  // none for some
      for (std::uint64_t w = 0; w < words; ++w) {
        const double skew = stream.uniform(u, 10 + w);
        row[static_cast<std::size_t>(skew * skew * static_cast<double>(terms))] += 1;
      }
      double squares = 0;
      for (const double x : row) squares += x * x;
      for (double& x : row) x = squares > 0 ? x / std::sqrt(squares) : 0;
      for (std::int64_t t = 0; t < terms; ++t) {
        const double weight = row[static_cast<std::size_t>(t)];
        if (weight > 0) rows.entries.push_back({static_cast<std::int32_t>(t), weight});
      }
      rows.begin.push_back(rows.entries.size());
      dense.push_back(std::move(row));
      scores.push_back(std::round(stream.uniform(u, 1) * 8) / 8);
      costs.push_back(1 + static_cast<std::int64_t>(
                              stream.below(static_cast<std::uint64_t>(largest_cost), u, 2)));
    }
  }
};

std::vector<std::int64_t> candidates(const std::vector<MarginalChoice>& choices) {
  std::vector<std::int64_t> out;
  for (const MarginalChoice& choice : choices) out.push_back(choice.candidate);
  return out;
}

TEST(MarginalRelevance, EqualsTheExhaustiveSearch) {
  for (const std::int64_t terms : {6, 30, 400}) {
    for (const std::int64_t largest_cost : {1, 9}) {
      const Case c(90, terms, static_cast<std::uint64_t>(terms), largest_cost);
      for (const double diversity : {0.0, 0.3, 0.7, 1.0}) {
        for (const std::int64_t budget : {1, 30, 60, 100'000}) {
          EXPECT_EQ(
              candidates(marginal_relevance(c.rows, terms, c.scores, c.costs, diversity, budget)),
              exhaustive_marginal_relevance(c.dense, c.scores, c.costs, diversity, budget))
              << terms << " terms, costs to " << largest_cost << ", diversity " << diversity
              << ", budget " << budget;
        }
      }
    }
  }
}

TEST(MarginalRelevance, SaysHowNearTheNearestWas) {
  const Case c(80, 12, 5, 1);
  const std::vector<MarginalChoice> choices =
      marginal_relevance(c.rows, 12, c.scores, c.costs, 0.5, 40);
  ASSERT_EQ(choices.size(), 40U);
  for (std::size_t i = 0; i < choices.size(); ++i) {
    double nearest = 0;
    for (std::size_t j = 0; j < i; ++j) {
      double cosine = 0;
      for (std::size_t t = 0; t < 12; ++t) {
        cosine += c.dense[static_cast<std::size_t>(choices[i].candidate)][t] *
                  c.dense[static_cast<std::size_t>(choices[j].candidate)][t];
      }
      nearest = std::max(nearest, cosine);
    }
    EXPECT_DOUBLE_EQ(choices[i].nearest, nearest) << i;
  }
}

TEST(MarginalRelevance, EqualsTheExhaustiveSearchAcrossChunks) {
  const Case c(17'000, 12, 8, 1);
  EXPECT_EQ(candidates(marginal_relevance(c.rows, 12, c.scores, c.costs, 0.6, 25)),
            exhaustive_marginal_relevance(c.dense, c.scores, c.costs, 0.6, 25));
}

TEST(MarginalRelevance, NothingToChooseFrom) {
  EXPECT_TRUE(marginal_relevance({}, 0, {}, {}, 0.3, 5).empty());
}

}  // namespace
}  // namespace holdfast
