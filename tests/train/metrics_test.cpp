#include "train/metrics.h"

#include <gtest/gtest.h>

#include "tests/reference/expect_error.h"

namespace holdfast {
namespace {

TaskResult task(const std::string& name, bool old, double before, double after) {
  TaskResult result;
  result.name = name;
  result.old = old;
  result.before.emplace().accuracy = before;
  result.after.emplace().accuracy = after;
  return result;
}

RunResult two_old_tasks() {
  RunResult run;
  run.tasks = {task("news", true, 0.8, 0.6), task("law", true, 0.5, 0.6),
               task("medical", false, 0.2, 0.9)};
  run.curve = {{0, 0.2, {{"news", 0.8, 1}, {"law", 0.4, 1}, {"medical", 0.2, 1}}},
               {5, 0.2, {{"news", 0.7, 1}, {"law", 0.3, 1}, {"medical", 0.1, 1}}},
               {9, 0.2, {{"news", 0.76, 1}, {"law", 0.38, 1}, {"medical", 0.9, 1}}}};
  return run;
}

TEST(Metrics, OldTasksAreSummarisedAsASequence) {
  const Json json = metrics_json(two_old_tasks());
  EXPECT_NEAR(json.at("forgetting").as_double(), (0.2 - 0.1) / 2, 1e-15);
  EXPECT_NEAR(json.at("backward_transfer").as_double(), (-0.2 + 0.1) / 2, 1e-15);
  EXPECT_NEAR(json.at("retention").as_double(), 0.6 / 0.8, 1e-15);
  EXPECT_NEAR(json.at("worst_retention").as_double(), 0.3 / 0.4, 1e-15);  // law at step 5
}

TEST(Metrics, WhatWasNotMeasuredIsNull) {
  RunResult run = two_old_tasks();
  run.tasks[0].before.reset();
  run.tasks[0].after.reset();
  run.curve.clear();
  const Json one = metrics_json(run);
  EXPECT_NEAR(one.at("retention").as_double(), 0.6 / 0.5, 1e-15);  // of the task that was
  EXPECT_NEAR(one.at("forgetting").as_double(), -0.1, 1e-15);
  EXPECT_TRUE(one.at("worst_retention").is_null());
  run.tasks[1].after.reset();
  const Json none = metrics_json(run);
  for (const char* key : {"forgetting", "backward_transfer", "retention"}) {
    EXPECT_TRUE(none.at(key).is_null()) << key;
  }
}

TEST(Metrics, APairNeedsTheSameTexts) {
  Evaluation before, after;
  before.predictions = {0, 1, 1};
  after.predictions = {0, 0, 1};
  before.accuracy = 1;
  after.accuracy = 2.0 / 3;
  std::vector<Sample> samples(3);
  samples[1].label = samples[2].label = 1;
  const PairedResult paired = paired_result(before, after, samples);
  EXPECT_NEAR(paired.drop, 1.0 / 3, 1e-15);
  EXPECT_EQ(paired.negative_flips, 1);
  samples.pop_back();
  expect_error<std::invalid_argument>("texts", "not of these texts",
                                      [&] { paired_result(before, after, samples); });
}

}  // namespace
}  // namespace holdfast
