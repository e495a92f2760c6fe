#include "train/numbers.h"

#include <gtest/gtest.h>

namespace holdfast {
namespace {

TEST(Numbers, TiesGoAwayFromZero) {
  for (const auto& [share, text] : {std::pair(0.0125, "1.3"),
                                    {0.0135, "1.4"},
                                    {0.8725, "87.3"},
                                    {-0.0125, "-1.3"},
                                    {-0.0004, "0.0"},
                                    {1.0, "100.0"}}) {
    EXPECT_EQ(percent(share), text) << share;
  }
  EXPECT_EQ(points(0.0125), "+1.3");
  EXPECT_EQ(points(-0.0125), "-1.3");
  EXPECT_EQ(points(0.0004), "0.0");
  EXPECT_EQ(points(-0.0), "0.0");
}

TEST(Numbers, SummariesShowTheirInterval) {
  SeedSummary summary;
  EXPECT_EQ(percent(summary), "-");
  EXPECT_EQ(points(summary), "-");
  summary = {.n = 1, .mean = 0.5, .deviation = 0, .ci95 = {}};
  EXPECT_EQ(percent(summary), "50.0");
  EXPECT_EQ(points(summary), "+50.0");
  summary.ci95 = Interval{-0.0125, 0.75};
  EXPECT_EQ(points(summary), "+50.0 [-1.3, +75.0]");
  EXPECT_EQ(percent(summary), "50.0 [-1.3, 75.0]");
}

TEST(Numbers, ADropHasItsIntervalWhereItIsPaired) {
  TaskResult task;
  EXPECT_EQ(drop_text(task), "-");
  task.before.emplace().accuracy = 0.9;
  task.after.emplace().accuracy = 0.8875;
  EXPECT_EQ(drop_text(task), "1.3");
  task.paired = PairedResult{0.0125, {-0.01, 0.02}, 0.5, 3};
  EXPECT_EQ(drop_text(task), "1.3 [-1.0, 2.0]");
}

}  // namespace
}  // namespace holdfast
