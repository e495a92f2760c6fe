// What a sequence of tasks has kept, and what repetitions over seeds are worth. Tested by
// tests/train/continual_test.cpp.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <vector>

#include "train/statistics.h"

namespace holdfast {

/// Not measured.
inline constexpr double kGap = std::numeric_limits<double>::quiet_NaN();

/// R[i][j]: accuracy on task j after stage i, in which task i was learnt; i, j = 0 .. T-1. A row
/// may be short and an entry kGap where nothing was measured.
using AccuracyMatrix = std::vector<std::vector<double>>;

/// Each is nullopt when the entries that it needs are missing.
/// Mean over j <= T-1 of R[T-1][j] [Lopez-Paz & Ranzato 2017]: needs the whole last row.
std::optional<double> average_accuracy(const AccuracyMatrix& accuracy);
/// BWT: mean over j < T-1 of R[T-1][j] - R[j][j] [Lopez-Paz & Ranzato 2017], over the tasks of
/// which both are known.
std::optional<double> backward_transfer(const AccuracyMatrix& accuracy);
/// FWT: mean over 0 < j of R[j-1][j] - b_j [Lopez-Paz & Ranzato 2017], b_j = `untrained[j]` the
/// accuracy on task j before anything was learnt, over the tasks of which both are known. (Their
/// text divides by T-1, as here; their code by T, counting the first task as 0.)
std::optional<double> forward_transfer(const AccuracyMatrix& accuracy,
                                       std::span<const double> untrained);
/// Mean over j < T-1 of max over l < T-1 of R[l][j] - R[T-1][j] [Chaudhry et al. 2018], over the
/// tasks of which R[T-1][j] and an earlier accuracy are known.
std::optional<double> forgetting(const AccuracyMatrix& accuracy);
/// R[T-1][0] / R[0][0]; 1 when R[0][0] is 0.
std::optional<double> retention(const AccuracyMatrix& accuracy);
/// The least R[l][j] / R[j][j] over l >= j: how much of any task was left at the worst moment.
std::optional<double> worst_retention(const AccuracyMatrix& accuracy);
/// The least accuracy of any task at or after the stage that learnt it.
std::optional<double> worst_accuracy(const AccuracyMatrix& accuracy);

struct ContinualSummary {
  std::optional<double> average_accuracy, backward_transfer, forward_transfer, forgetting,
      retention, worst_retention, worst_accuracy;
};
ContinualSummary summarize(const AccuracyMatrix& accuracy, std::span<const double> untrained = {});

/// The t of P(|t_df| <= t) = level for Student's distribution of `df` degrees of freedom
/// [Abramowitz & Stegun 26.7.3-4, inverted by bisection]. Relative error below 1e-11 for levels up
/// to 0.9999. Throws std::invalid_argument for df < 1 or a level outside (0, 1).
double student_t(std::int64_t df, double level = 0.95);

/// A quantity over n repetitions (seeds).
struct SeedSummary {
  std::int64_t n = 0;
  double mean = 0;
  double deviation = 0;          // sample standard deviation, n - 1; 0 when n = 1
  std::optional<Interval> ci95;  // mean -+ t_{n-1} deviation / sqrt(n); none when n = 1
};
/// Throws std::invalid_argument for no values.
SeedSummary over_seeds(std::span<const double> values);
/// The same of accuracies: the interval ends where shares do, at 0 and 1.
SeedSummary shares_over_seeds(std::span<const double> shares);
/// Of the differences a[i] - b[i] of the same seeds: the paired t interval. Throws
/// std::invalid_argument for no values and for different numbers of them.
SeedSummary paired_over_seeds(std::span<const double> a, std::span<const double> b);

}  // namespace holdfast
