#include "train/inert.h"

#include <gtest/gtest.h>

namespace holdfast {
namespace {

RunResult run() {
  RunResult result;
  for (int step = 1; step <= 4; ++step) {
    StepRecord record;
    record.step = step;
    record.loss = 1;
    result.ledger.push_back(record);
  }
  result.steps = 4;
  return result;
}

TEST(Inert, TermsTooSmallToSteer) {
  RunResult result = run();
  result.max_penalty_share = 1e-4;
  result.ledger[2].l2 = 1e-4;
  result.ledger[1].distill = 1e-4;
  EXPECT_EQ(inert_reason("ewc", result), "its penalty was never more than 0.01% of the loss");
  EXPECT_EQ(inert_reason("l2", result), "its penalty was never more than 0.01% of the loss");
  EXPECT_EQ(inert_reason("lwf", result), "its loss was never more than 0.01% of the loss");
  EXPECT_EQ(inert_reason("der++", result), inert_reason("lwf", result));
  result.max_penalty_share = result.ledger[2].l2 = result.ledger[1].distill = 0.01;
  for (const char* measure : {"ewc", "l2", "lwf", "der++"}) {
    EXPECT_EQ(inert_reason(measure, result), "") << measure;
  }
}

TEST(Inert, WhatNeverActed) {
  RunResult result = run();
  EXPECT_NE(inert_reason("protect", result), "");
  EXPECT_NE(inert_reason("a-gem", result), "");
  EXPECT_NE(inert_reason("controller", result), "");
  EXPECT_TRUE(changes_nothing("controller", result));
  EXPECT_NE(inert_reason("unfreeze", result), "");
  result.ledger[3].at_bound = 1;
  result.ledger[3].projected = true;
  result.ledger[0].lowest_layer = 2;
  result.actions.emplace_back();
  for (const char* measure : {"protect", "a-gem", "controller", "unfreeze"}) {
    EXPECT_EQ(inert_reason(measure, result), "") << measure;
    EXPECT_FALSE(changes_nothing(measure, result));
  }
}

TEST(Inert, MergeOfWeightOneAndTheLastModelAsTheBest) {
  RunResult result = run();
  result.recipe.merge.emplace().weight = 1;
  EXPECT_NE(inert_reason("merge", result), "");
  result.recipe.merge->weight = 0.5;
  EXPECT_EQ(inert_reason("merge", result), "");
  result.merge.emplace().curve = {{0, {}}, {1, {}}};
  result.merge->chosen = 1;
  EXPECT_NE(inert_reason("merge", result), "");
  EXPECT_TRUE(changes_nothing("best model", result));
  EXPECT_NE(inert_reason("best model", result), "");
  result.stopped_early = true;
  EXPECT_FALSE(changes_nothing("best model", result));
  result.stopped_early = false;
  result.best_step = 2;
  EXPECT_EQ(inert_reason("best model", result), "");
}

TEST(Inert, WhatCannotBeSeenInTheRunAlone) {
  for (const char* measure : {"replay", "mixout", "recadam", "augment", "layer-wise rates"}) {
    EXPECT_EQ(inert_reason(measure, run()), "") << measure;
  }
}

}  // namespace
}  // namespace holdfast
