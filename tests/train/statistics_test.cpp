#include "train/statistics.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/reference/expect_error.h"
#include "tests/reference/golden_json.h"

namespace holdfast {
namespace {

TEST(Statistics, WilsonIntervalEqualsScipy) {
  const Json golden = golden_json("recipe_statistics.json");
  for (const Json& row : golden.at("wilson").array()) {
    const std::vector<double> x = numbers(row);
    const Interval interval =
        wilson_interval(static_cast<std::int64_t>(x[0]), static_cast<std::int64_t>(x[1]));
    EXPECT_NEAR(interval.low, x[2], 1e-12) << x[0] << " of " << x[1];
    EXPECT_NEAR(interval.high, x[3], 1e-12) << x[0] << " of " << x[1];
  }
}

// Newcombe 1998, "Two-sided confidence intervals for the single proportion", examples of method 3.
TEST(Statistics, WilsonIntervalEqualsThePaper) {
  EXPECT_NEAR(wilson_interval(81, 263).low, 0.2553, 5e-5);
  EXPECT_NEAR(wilson_interval(81, 263).high, 0.3662, 5e-5);
  EXPECT_NEAR(wilson_interval(15, 148).low, 0.0624, 5e-5);
  EXPECT_NEAR(wilson_interval(15, 148).high, 0.1605, 5e-5);
}

TEST(Statistics, McNemarEqualsScipysBinomialTest) {
  const Json golden = golden_json("recipe_statistics.json");
  for (const Json& row : golden.at("mcnemar").array()) {
    const std::vector<double> x = numbers(row);
    const auto b = static_cast<std::int64_t>(x[0]), c = static_cast<std::int64_t>(x[1]);
    EXPECT_NEAR(mcnemar_p(b, c), x[2], 1e-12 + 1e-10 * x[2]) << b << ", " << c;
    EXPECT_EQ(mcnemar_p(b, c), mcnemar_p(c, b));
  }
}

// n equal intervals v -+ h have the mean v -+ h / sqrt(n); each side goes by its own distances.
TEST(Statistics, MeanOfIndependentEstimatesAddsDistancesInSquares) {
  const Estimate equal = mean_of_independent(std::vector<Estimate>(9, {0.3, {0, 0.9}}));
  EXPECT_NEAR(equal.value, 0.3, 1e-15);
  EXPECT_NEAR(equal.ci95.low, 0.2, 1e-15);
  EXPECT_NEAR(equal.ci95.high, 0.5, 1e-15);
  const Estimate skewed =
      mean_of_independent(std::vector<Estimate>{{0.5, {0.2, 0.55}}, {-0.1, {-0.5, 0.02}}});
  EXPECT_NEAR(skewed.ci95.low, 0.2 - 0.5 / 2, 1e-15);
  EXPECT_NEAR(skewed.ci95.high, 0.2 + 0.13 / 2, 1e-15);
  expect_error<std::invalid_argument>("no estimates", "at least one",
                                      [] { mean_of_independent({}); });
}

// Newcombe 1998, "Improved confidence intervals for the difference between binomial proportions
// based on paired data", table of examples, method 10.
TEST(Statistics, NewcombeIntervalEqualsThePaper) {
  struct Example {
    PairedCounts counts;
    double low, high;
  };
  for (const auto& [counts, low, high] :
       {Example{{36, 12, 2, 0}, 0.0569, 0.3404}, Example{{18, 12, 2, 18}, 0.0562, 0.3290},
        Example{{53, 0, 0, 1}, -0.0729, 0.0729}, Example{{0, 30, 0, 0}, 0.8395, 1.0}}) {
    const Interval interval = newcombe_paired_interval(counts);
    EXPECT_NEAR(interval.low, low, 5e-5) << counts.both_right;
    EXPECT_NEAR(interval.high, high, 5e-5) << counts.both_right;
    const PairedCounts swapped{counts.both_right, counts.only_after, counts.only_before,
                               counts.both_wrong};
    EXPECT_NEAR(newcombe_paired_interval(swapped).low, -interval.high, 1e-15);
  }
}

TEST(Statistics, PairedCountsSortItemsIntoFourCases) {
  const std::vector<std::uint8_t> before{1, 1, 1, 0, 0, 1}, after{1, 0, 1, 1, 0, 0};
  const PairedCounts counts = paired_counts(before, after);
  EXPECT_EQ(counts.both_right, 2);
  EXPECT_EQ(counts.negative_flips(), 2);
  EXPECT_EQ(counts.only_after, 1);
  EXPECT_EQ(counts.both_wrong, 1);
  EXPECT_EQ(counts.n(), 6);
  expect_error<std::invalid_argument>("lengths", "the same items",
                                      [&] { paired_counts(before, std::span(after).first(5)); });
}

TEST(Statistics, SmallestDetectableDropIsTheFirstWhoseIntervalExcludesZero) {
  for (const auto& [correct, n] :
       {std::pair<std::int64_t, std::int64_t>{460, 500}, {90, 100}, {5000, 5000}}) {
    const double drop = smallest_detectable_drop(correct, n);
    const auto lost = static_cast<std::int64_t>(std::lround(drop * static_cast<double>(n)));
    EXPECT_GT(newcombe_paired_interval({correct - lost, lost, 0, n - correct}).low, 0);
    EXPECT_LE(newcombe_paired_interval({correct - lost + 1, lost - 1, 0, n - correct}).low, 0);
  }
  EXPECT_EQ(smallest_detectable_drop(0, 10), 1);
}

TEST(Statistics, ReportEqualsScikitLearns) {
  const Json golden = golden_json("recipe_statistics.json");
  std::vector<std::int32_t> labels, predicted;
  for (const double y : numbers(golden.at("labels")))
    labels.push_back(static_cast<std::int32_t>(y));
  for (const double y : numbers(golden.at("predicted")))
    predicted.push_back(static_cast<std::int32_t>(y));
  const ClassificationReport report = classification_report(labels, predicted, 5);
  EXPECT_DOUBLE_EQ(report.accuracy, golden.at("accuracy").as_double());
  EXPECT_NEAR(report.macro_f1, golden.at("macro_f1").as_double(), 1e-14);
  for (std::size_t c = 0; c < 5; ++c) {
    EXPECT_NEAR(report.per_class[c].precision, numbers(golden.at("precision"))[c], 1e-14);
    EXPECT_NEAR(report.per_class[c].recall, numbers(golden.at("recall"))[c], 1e-14);
    EXPECT_NEAR(report.per_class[c].f1, numbers(golden.at("f1"))[c], 1e-14);
    EXPECT_EQ(static_cast<double>(report.per_class[c].support), numbers(golden.at("support"))[c]);
    const std::vector<double> row = numbers(golden.at("confusion").array()[c]);
    EXPECT_EQ(std::vector<double>(report.confusion[c].begin(), report.confusion[c].end()), row);
  }
}

TEST(Statistics, RefusesWhatHasNoAnswer) {
  expect_error<std::invalid_argument>("no items", "n > 0", [] { wilson_interval(0, 0); });
  expect_error<std::invalid_argument>("too many", "5 successes of 4",
                                      [] { wilson_interval(5, 4); });
  expect_error<std::invalid_argument>("no pairs", "n > 0", [] { newcombe_paired_interval({}); });
  const std::vector<std::int32_t> labels{0, 2};
  expect_error<std::invalid_argument>("class", "item 1 has a class outside 0..1",
                                      [&] { classification_report(labels, labels, 2); });
}

}  // namespace
}  // namespace holdfast
