#include "train/search_rule.h"

#include <gtest/gtest.h>

#include <numeric>

#include "tests/reference/expect_error.h"

namespace holdfast {
namespace {

using Order = std::vector<std::size_t>;

PointOutcome point(double gained, double retention) { return {gained, retention, false}; }

const PointOutcome kFailed{1, 1, true};

TEST(SearchRule, TakesTheMostGainedAmongWhatIsKept) {
  const std::vector<PointOutcome> points = {point(0.95, 0.80), point(0.85, 0.97), point(0.90, 0.95),
                                            kFailed, point(0.80, 0.99)};
  EXPECT_EQ(ranked(points, 0.95), (Order{2, 1, 4, 0, 3}));
}

TEST(SearchRule, TakesTheBestRetentionWhenNothingKeepsEnough) {
  const std::vector<PointOutcome> points = {point(0.95, 0.80), point(0.60, 0.91),
                                            point(0.90, 0.90)};
  EXPECT_EQ(ranked(points, 0.95), (Order{1, 2, 0}));
}

TEST(SearchRule, TakesTheBetterInTheOtherRespectAndThenTheEarlierOfEquals) {
  const std::vector<PointOutcome> points = {point(0.9, 0.96), point(0.9, 0.98), point(0.9, 0.98),
                                            point(0.7, 0.5), point(0.8, 0.5)};
  EXPECT_EQ(ranked(points, 0.95), (Order{1, 2, 0, 4, 3}));
}

TEST(SearchRule, ExactlyTheRetentionSatisfies) {
  EXPECT_TRUE(satisfies(point(0, 0.95), 0.95));
  EXPECT_TRUE(satisfies(point(0, 0.95 - 1e-13), 0.95));
  EXPECT_FALSE(satisfies(point(0, 0.9499), 0.95));
  EXPECT_FALSE(satisfies(kFailed, 0.95));
}

TEST(SearchRule, FrontIsWhatNoOtherPointBeats) {
  const std::vector<PointOutcome> points = {point(0.9, 0.8), point(0.8, 0.9), point(0.8, 0.8),
                                            kFailed,         point(0.9, 0.8), point(0.85, 0.7)};
  EXPECT_EQ(pareto_front(points), (std::vector<bool>{true, true, false, false, true, false}));
}

// The best of any set is on its front.
TEST(SearchRule, TheBestIsOnTheFront) {
  std::vector<PointOutcome> points;
  for (int gained = 0; gained < 4; ++gained) {
    for (int retention = 3; retention >= 0; --retention) {
      points.push_back(point(0.25 * gained, 0.25 * retention));
    }
  }
  for (const double needed : {0.0, 0.3, 0.5, 0.99, 1.0}) {
    EXPECT_TRUE(pareto_front(points)[ranked(points, needed).front()]) << needed;
  }
}

TEST(SearchRule, HalvingRunsFewPointsLong) {
  const auto text = [](std::int64_t points, std::int64_t eta, std::int64_t steps) {
    std::string out;
    for (const Rung& rung : halving_plan(points, eta, steps)) {
      out += std::to_string(rung.points) + "/" + std::to_string(rung.divisor) + " ";
    }
    return out;
  };
  EXPECT_EQ(text(9, 3, 900), "9/9 3/3 1/1 ");
  EXPECT_EQ(text(10, 3, 900), "10/9 3/3 1/1 ");
  EXPECT_EQ(text(8, 3, 900), "8/3 2/1 ");
  EXPECT_EQ(text(6, 2, 900), "6/4 3/2 1/1 ");
  EXPECT_EQ(text(6, 2, 3), "6/2 3/1 ");  // a rung has at least a step
  EXPECT_EQ(text(5, 0, 900), "5/1 ");
  EXPECT_EQ(text(5, 1, 900), "5/1 ");
  EXPECT_EQ(text(1, 4, 900), "1/1 ");
  expect_error<std::invalid_argument>("no points", "no points", [] { halving_plan(0, 2, 9); });
}

}  // namespace
}  // namespace holdfast
