#include "train/controller.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "tests/reference/expect_error.h"

namespace holdfast {
namespace {

// n items of which the first `right` are answered correctly.
TaskOutcome outcome(std::int64_t right, std::int64_t n, const std::string& task = "news") {
  TaskOutcome result{task, std::vector<std::uint8_t>(static_cast<std::size_t>(n), 0)};
  std::fill_n(result.correct.begin(), right, std::uint8_t{1});
  return result;
}

TEST(Controller, ExactlyTheAllowedDropIsNone) {
  for (const std::int64_t n : {20, 100, 300, 1000, 100000}) {
    for (const double allowed : {0.05, 0.07, 0.10, 0.15, 0.29, 0.35}) {
      const auto exact = std::llround(allowed * static_cast<double>(n));
      if (std::abs(static_cast<double>(exact) - allowed * static_cast<double>(n)) > 1e-6) continue;
      EXPECT_FALSE(dropped_too_far(n, n - exact, n, allowed, DropKind::absolute))
          << n << " " << allowed;
      EXPECT_TRUE(dropped_too_far(n, n - exact - 1, n, allowed, DropKind::absolute))
          << n << " " << allowed;
    }
  }
  EXPECT_FALSE(dropped_too_far(80, 76, 100, 0.05, DropKind::relative));  // 4 of 80 is 5%
  EXPECT_TRUE(dropped_too_far(80, 75, 100, 0.05, DropKind::relative));
  EXPECT_FALSE(dropped_too_far(80, 75, 100, 0.05, DropKind::absolute));
  EXPECT_FALSE(dropped_too_far(0, 0, 10, 0.0, DropKind::relative));
  EXPECT_FALSE(dropped_too_far(50, 60, 100, 0.0, DropKind::absolute));
}

// A0 = 92 of 100; drops of 4, 5, 6 and 20, an improvement, then drops up to the cap.
TEST(Controller, ScriptedSeries) {
  BalanceController controller({.max_drop = 0.05,
                                .drop = DropKind::absolute,
                                .boost = 1.2,
                                .max_share = 0.3,
                                .gate = Gate::point},
                               0.2, {outcome(92, 100)});
  struct Step {
    std::int64_t right;
    bool acted;
    double share;
  };
  for (const auto& [right, acted, share] :
       {Step{88, false, 0.2}, Step{87, false, 0.2}, Step{86, true, 0.24}, Step{72, true, 0.288},
        Step{95, false, 0.288}, Step{70, true, 0.3}, Step{60, false, 0.3}}) {
    const BalanceDecision decision = controller.evaluate({outcome(right, 100)});
    EXPECT_EQ(decision.acted, acted) << decision.reason;
    EXPECT_NEAR(decision.share, share, 1e-12) << decision.reason;
    EXPECT_EQ(controller.share(), decision.share);
  }
}

TEST(Controller, SaysWhy) {
  BalanceController controller({}, 0.2, {outcome(92, 100)});
  EXPECT_EQ(controller.evaluate({outcome(87, 100)}).reason,
            "news: 87 of 100 right, 92 before, absolute drop 0.0500; none above 0.05");
  EXPECT_EQ(controller.evaluate({outcome(80, 100)}).reason,
            "news: 80 of 100 right, 92 before, absolute drop 0.1200; news above 0.05: share of old "
            "data 0.2 -> 0.24");
}

TEST(Controller, ActsOnceForSeveralTasksAndNamesTheWorst) {
  BalanceController controller({}, 0.2, {outcome(90, 100, "news"), outcome(45, 50, "sport")});
  const BalanceDecision decision =
      controller.evaluate({outcome(80, 100, "news"), outcome(35, 50, "sport")});
  EXPECT_TRUE(decision.acted);
  EXPECT_NEAR(decision.share, 0.24, 1e-12);
  EXPECT_NE(decision.reason.find("sport above 0.05"), std::string::npos) << decision.reason;
}

TEST(Controller, PairedGateWaitsForEvidence) {
  const ControllerOptions paired{.max_drop = 0.05,
                                 .drop = DropKind::absolute,
                                 .boost = 1.2,
                                 .max_share = 0.5,
                                 .gate = Gate::paired};
  BalanceController small(paired, 0.2, {outcome(92, 100)}),
      large(paired, 0.2, {outcome(9200, 10000)});
  EXPECT_FALSE(small.evaluate({outcome(85, 100)}).acted);  // 7%, but as little as 3% is possible
  EXPECT_TRUE(large.evaluate({outcome(8500, 10000)}).acted);
  EXPECT_TRUE(small.evaluate({outcome(70, 100)}).acted);
}

TEST(Controller, RefusesNonsense) {
  expect_error<std::invalid_argument>("boost", "boost at least 1", [] {
    BalanceController({.max_drop = 0.05,
                       .drop = DropKind::absolute,
                       .boost = 0.9,
                       .max_share = 0.5,
                       .gate = Gate::point},
                      0.2, {outcome(1, 2)});
  });
  expect_error<std::invalid_argument>("no items", "\"news\" has no validation items",
                                      [] { BalanceController({}, 0.2, {outcome(0, 0)}); });
  BalanceController controller({}, 0.2, {outcome(1, 2)});
  expect_error<std::invalid_argument>("tasks", "watches 1 tasks, was given 0",
                                      [&] { controller.evaluate({}); });
  expect_error<std::invalid_argument>("items", "must be those of before training",
                                      [&] { controller.evaluate({outcome(1, 3)}); });
  expect_error<std::invalid_argument>("gate", "known: \"point\", \"paired\"",
                                      [] { parse_gate("none"); });
}

}  // namespace
}  // namespace holdfast
