#include "train/continual.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/reference/expect_error.h"

namespace holdfast {
namespace {

// Three tasks; what a stage knew of tasks to come is measured, too.
//            news  law   medical
const AccuracyMatrix kFull = {{0.90, 0.30, 0.25}, {0.92, 0.95, 0.40}, {0.60, 0.90, 0.80}};
const std::vector<double> kUntrained = {0.25, 0.20, 0.35};

TEST(Continual, ByHand) {
  EXPECT_NEAR(*average_accuracy(kFull), (0.60 + 0.90 + 0.80) / 3, 1e-15);
  EXPECT_NEAR(*backward_transfer(kFull), (-0.30 - 0.05) / 2, 1e-15);
  EXPECT_NEAR(*forward_transfer(kFull, kUntrained), (0.10 + 0.05) / 2, 1e-15);
  EXPECT_NEAR(*forgetting(kFull), (0.32 + 0.05) / 2, 1e-15);
  EXPECT_NEAR(*retention(kFull), 0.60 / 0.90, 1e-15);
  EXPECT_NEAR(*worst_retention(kFull), 0.60 / 0.90, 1e-15);
  EXPECT_NEAR(*worst_accuracy(kFull), 0.60, 1e-15);
}

TEST(Continual, OnlyTheLowerTriangleIsNeededButForForwardTransfer) {
  const AccuracyMatrix lower = {{0.90}, {0.92, 0.95}, {0.60, 0.90, 0.80}};
  EXPECT_EQ(average_accuracy(lower), average_accuracy(kFull));
  EXPECT_EQ(backward_transfer(lower), backward_transfer(kFull));
  EXPECT_EQ(forgetting(lower), forgetting(kFull));
  EXPECT_EQ(worst_retention(lower), worst_retention(kFull));
  EXPECT_FALSE(forward_transfer(lower, kUntrained));
}

TEST(Continual, ForgettingIsFromTheBestEarlierStage) {
  const AccuracyMatrix known_before = {{0.90, 0.97}, {0.85, 0.95}, {0.88, 0.90, 0.80}};
  EXPECT_NEAR(*forgetting(known_before), (0.90 - 0.88 + 0.97 - 0.90) / 2, 1e-15);
  EXPECT_NEAR(*worst_accuracy(known_before), 0.80, 1e-15);
  EXPECT_NEAR(*worst_retention(known_before), 0.85 / 0.90, 1e-15);
}

TEST(Continual, NegativeForgettingIsGain) {
  EXPECT_NEAR(*forgetting({{0.8}, {0.9, 0.7}}), -0.1, 1e-15);
  EXPECT_NEAR(*backward_transfer({{0.8}, {0.9, 0.7}}), 0.1, 1e-15);
}

TEST(Continual, GapsLeaveTasksOutOrTheAnswerOpen) {
  const AccuracyMatrix gaps = {{0.90}, {kGap, 0.95}, {0.60, kGap, 0.80}};
  EXPECT_FALSE(average_accuracy(gaps));
  EXPECT_NEAR(*backward_transfer(gaps), -0.30, 1e-15);
  EXPECT_NEAR(*forgetting(gaps), 0.30, 1e-15);
  EXPECT_NEAR(*retention(gaps), 0.60 / 0.90, 1e-15);
  EXPECT_NEAR(*worst_accuracy(gaps), 0.60, 1e-15);
  EXPECT_NEAR(*forward_transfer(kFull, std::vector<double>{kGap, kGap, 0.35}), 0.05, 1e-15);
  const AccuracyMatrix unknown = {{kGap}, {0.90, 0.95}};
  EXPECT_FALSE(backward_transfer(unknown));
  EXPECT_FALSE(forgetting(unknown));
  EXPECT_FALSE(retention(unknown));
  EXPECT_NEAR(*worst_accuracy(unknown), 0.95, 1e-15);
}

TEST(Continual, OneStageOrNoneHasNothingToForget) {
  for (const AccuracyMatrix& accuracy : {AccuracyMatrix{}, AccuracyMatrix{{0.9}}}) {
    EXPECT_FALSE(backward_transfer(accuracy));
    EXPECT_FALSE(forgetting(accuracy));
    EXPECT_FALSE(forward_transfer(accuracy, kUntrained));
  }
  EXPECT_FALSE(average_accuracy({}));
  EXPECT_FALSE(retention({}));
  EXPECT_EQ(retention({{0.9}}), 1.0);
  EXPECT_EQ(retention({{0.0}, {0.5, 0.5}}), 1.0);
}

TEST(Continual, SummaryHasAll) {
  const ContinualSummary summary = summarize(kFull, kUntrained);
  EXPECT_EQ(summary.average_accuracy, average_accuracy(kFull));
  EXPECT_EQ(summary.backward_transfer, backward_transfer(kFull));
  EXPECT_EQ(summary.forward_transfer, forward_transfer(kFull, kUntrained));
  EXPECT_EQ(summary.forgetting, forgetting(kFull));
  EXPECT_EQ(summary.retention, retention(kFull));
  EXPECT_EQ(summary.worst_retention, worst_retention(kFull));
  EXPECT_EQ(summary.worst_accuracy, worst_accuracy(kFull));
  EXPECT_FALSE(summarize(kFull).forward_transfer);
}

TEST(Seeds, StudentEqualsScipy) {
  struct Row {
    std::int64_t df;
    double t95, t9999;
  };
  // scipy 1.17.1: stats.t.ppf((1 + level) / 2, df)
  for (const Row& row : {Row{1, 12.706204736174694, 6366.197671316637},
                         {2, 4.302652729749462, 99.99249984375004},
                         {3, 3.1824463052837078, 28.000130010950002},
                         {4, 2.7764451051977934, 15.544100581546113},
                         {9, 2.262157162798205, 6.593682583944882},
                         {10, 2.228138851986274, 6.211050891290746},
                         {29, 2.045229642132703, 4.505511631211001},
                         {100, 1.9839715185235518, 4.053336701201548},
                         {1001, 1.9623367052808798, 3.9063279440312937}}) {
    EXPECT_NEAR(student_t(row.df), row.t95, 1e-12 * row.t95) << row.df;
    EXPECT_NEAR(student_t(row.df, 0.9999), row.t9999, 1e-11 * row.t9999) << row.df;
  }
  EXPECT_NEAR(student_t(1'000'000), kZ95, 1e-5);
}

TEST(Seeds, StudentInClosedFormForOneAndTwoDegrees) {
  for (const double level : {0.01, 0.5, 0.95, 0.9999}) {
    const double p = (1 + level) / 2;
    const double one = std::tan(std::acos(-1.0) * level / 2);
    const double two = level * std::sqrt(2 / (4 * p * (1 - p)));
    EXPECT_NEAR(student_t(1, level), one, 1e-11 * one);
    EXPECT_NEAR(student_t(2, level), two, 1e-11 * two);
  }
}

TEST(Seeds, IntervalOfPairedDifferencesByHand) {
  // Differences 1, 2, 3, 6: mean 3, squares 4 + 1 + 0 + 9, deviation sqrt(14/3).
  const std::vector<double> a{11, 12, 13, 16}, b(4, 10);
  const SeedSummary summary = paired_over_seeds(a, b);
  EXPECT_EQ(summary.n, 4);
  EXPECT_NEAR(summary.mean, 3, 1e-15);
  EXPECT_NEAR(summary.deviation, std::sqrt(14.0 / 3), 1e-14);
  const double half = 3.182446305284263 * std::sqrt(14.0 / 3) / 2;
  EXPECT_NEAR(summary.ci95->low, 3 - half, 1e-12);
  EXPECT_NEAR(summary.ci95->high, 3 + half, 1e-12);
}

TEST(Seeds, PairingTakesOutWhatSeedsShare) {
  const std::vector<double> naive{0.60, 0.70, 0.80}, recipe{0.65, 0.76, 0.84};
  const Interval paired = *paired_over_seeds(recipe, naive).ci95;
  EXPECT_GT(paired.low, 0);
  EXPECT_LT(over_seeds(recipe).ci95->low, over_seeds(naive).ci95->high);
}

TEST(Seeds, TheIntervalOfSharesEndsWhereSharesDo) {
  const SeedSummary high = shares_over_seeds(std::vector<double>{0.97, 0.99});
  EXPECT_DOUBLE_EQ(high.mean, 0.98);
  EXPECT_EQ(high.ci95->high, 1);
  EXPECT_NEAR(high.ci95->low, 0.98 - 12.706204736174707 * 0.01, 1e-12);
  EXPECT_EQ(shares_over_seeds(std::vector<double>{0.01, 0.03}).ci95->low, 0);
}

TEST(Seeds, OneSeedHasNoInterval) {
  const SeedSummary summary = over_seeds(std::vector<double>{0.7});
  EXPECT_EQ(summary.mean, 0.7);
  EXPECT_EQ(summary.deviation, 0);
  EXPECT_FALSE(summary.ci95);
}

TEST(Seeds, RefusesWhatHasNoAnswer) {
  const std::vector<double> two{1, 2}, one{1};
  expect_error<std::invalid_argument>("none", "no values", [] { over_seeds({}); });
  expect_error<std::invalid_argument>("unpaired", "2 values against 1",
                                      [&] { paired_over_seeds(two, one); });
  expect_error<std::invalid_argument>("df", "at least 1", [] { student_t(0); });
  expect_error<std::invalid_argument>("level", "in (0, 1)", [] { student_t(3, 1.0); });
}

}  // namespace
}  // namespace holdfast
