#include "train/merge_search.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/reference/expect_error.h"

namespace holdfast {
namespace {

const std::vector<MergeTask> kTasks = {{"news", true, 0.92}, {"medical", false, 0}};

/// News falls by 0.3 a weight of 1, medical rises in steps of a tenth.
std::vector<double> rising(double weight) {
  return {0.92 - 0.3 * weight, 0.5 + 0.04 * std::floor(10 * weight + 1e-9)};
}

TEST(MergeSearch, TriesTheGridOnceInOrder) {
  std::vector<double> asked;
  const MergeSearch search = search_weight(
      [&](double weight) {
        asked.push_back(weight);
        return rising(weight);
      },
      kTasks, {.retention = 0.95, .steps = 4});
  EXPECT_EQ(asked, (std::vector<double>{0, 0.25, 0.5, 0.75, 1}));
  ASSERT_EQ(search.curve.size(), 5u);
  EXPECT_EQ(search.curve[1].weight, 0.25);
  EXPECT_EQ(search.curve[1].accuracy, rising(0.25));
  EXPECT_EQ(search.curve[1].gained, rising(0.25)[1]);
  EXPECT_NEAR(search.curve[1].retention, (0.92 - 0.075) / 0.92, 1e-15);
}

TEST(MergeSearch, TakesTheBestNewAccuracyThatKeepsTheOldAndOfEqualsTheSmallerWeight) {
  // 0.95 * 0.92 = 0.874: weights up to 0.1533 keep it. Medical: 0.5 up to 0.05, 0.54 at 0.1 and
  // 0.15.
  const MergeSearch search = search_weight(rising, kTasks);
  EXPECT_TRUE(search.satisfied);
  EXPECT_EQ(search.best().weight, 0.1);
  EXPECT_TRUE(search.curve[3].allowed);
  EXPECT_FALSE(search.curve[4].allowed);
  EXPECT_NE(search.why.find("weight 0.1: the best new accuracy (54.0%)"), std::string::npos)
      << search.why;
}

TEST(MergeSearch, ExactlyTheRetentionIsEnoughThoughRoundedBelow) {
  // 9 of 13 right where 10 of 13 were; in double 9/13 is less than 0.9 * (10/13).
  const double before = 10.0 / 13, now = 9.0 / 13;
  ASSERT_LT(now, 0.9 * before);
  const std::vector<MergeTask> tasks = {{"news", true, before}, {"medical", false, 0}};
  const auto evaluate = [&](double weight) {
    return std::vector<double>{weight > 0 ? now : before, weight};
  };
  EXPECT_EQ(search_weight(evaluate, tasks, {.retention = 0.9, .steps = 20}).best().weight, 1);
}

TEST(MergeSearch, EveryOldTaskCounts) {
  const std::vector<MergeTask> tasks = {
      {"news", true, 0.9}, {"law", true, 0.5}, {"sport", true, 0.8}, {"medical", false, 0}};
  const auto evaluate = [](double weight) {
    return std::vector<double>{0.9, 0.5 - 0.1 * weight, 0.8 - 0.1 * weight, weight};
  };
  const MergeSearch search = search_weight(evaluate, tasks, {.retention = 0.9, .steps = 10});
  EXPECT_EQ(search.best().weight, 0.5);
  EXPECT_DOUBLE_EQ(search.best().retention, 0.9);
}

TEST(MergeSearch, WithoutOldTasksTheNewOneDecides) {
  const std::vector<MergeTask> tasks = {{"medical", false, 0}};
  const auto evaluate = [](double weight) { return std::vector<double>{weight * (1 - weight)}; };
  EXPECT_EQ(search_weight(evaluate, tasks).best().weight, 0.5);
}

TEST(MergeSearch, SaysWhenNoWeightKeepsEnoughAndTakesTheBestRetention) {
  const auto evaluate = [](double weight) {
    return std::vector<double>{0.5 - (weight - 0.3) * (weight - 0.3), weight};
  };
  const MergeSearch search = search_weight(evaluate, kTasks, {.retention = 0.95, .steps = 10});
  EXPECT_FALSE(search.satisfied);
  EXPECT_EQ(search.best().weight, 0.3);
  EXPECT_NE(search.why.find("no weight keeps 95% of every old task"), std::string::npos)
      << search.why;
}

TEST(MergeSearch, RefusesWhatHasNoAnswer) {
  const std::vector<MergeTask> old = {{"news", true, 0.9}};
  expect_error<std::invalid_argument>("no new task", "no new task",
                                      [&] { search_weight(rising, old); });
  expect_error<std::invalid_argument>("retention", "retention is 1.2", [&] {
    search_weight(rising, kTasks, {.retention = 1.2, .steps = 20});
  });
  expect_error<std::invalid_argument>("steps", "steps is 0", [&] {
    search_weight(rising, kTasks, {.retention = 0.9, .steps = 0});
  });
  expect_error<std::invalid_argument>("count", "1 accuracies for 2 tasks", [&] {
    search_weight([](double) { return std::vector<double>{0.5}; }, kTasks);
  });
}

}  // namespace
}  // namespace holdfast
