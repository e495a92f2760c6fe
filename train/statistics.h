// What accuracies, and differences between them, are worth. Tested by
// tests/train/statistics_test.cpp.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace holdfast {

struct Interval {
  double low = 0, high = 0;
};

/// Wilson's score interval for a proportion [Wilson 1927], 95% by default (z = 1.96 to 17 digits).
/// Throws std::invalid_argument unless 0 <= successes <= n and n > 0.
inline constexpr double kZ95 = 1.959963984540054;
Interval wilson_interval(std::int64_t successes, std::int64_t n, double z = kZ95);

/// The same items answered before and after: how many in each of the four cases.
struct PairedCounts {
  std::int64_t both_right = 0, only_before = 0, only_after = 0, both_wrong = 0;
  std::int64_t n() const { return both_right + only_before + only_after + both_wrong; }
  /// Items right before and wrong after: negative flips.
  std::int64_t negative_flips() const { return only_before; }
};
/// `before[i]`, `after[i]`: 1 where item i was answered correctly. Throws std::invalid_argument on
/// different lengths.
PairedCounts paired_counts(std::span<const std::uint8_t> before,
                           std::span<const std::uint8_t> after);

/// Exact McNemar test, two-sided: min(1, 2 P(X <= min(b, c))), X ~ Binomial(b + c, 1/2) [McNemar
/// 1947; exact form in Agresti 2002, sec. 10.1]. 1 when nothing changed.
double mcnemar_p(std::int64_t only_before, std::int64_t only_after);

/// Interval for the drop p_before - p_after on the same items [Newcombe 1998, "Improved confidence
/// intervals for the difference between binomial proportions based on paired data", method 10].
/// Throws std::invalid_argument for no items.
Interval newcombe_paired_interval(const PairedCounts& counts, double z = kZ95);

/// An estimate with its interval.
struct Estimate {
  double value = 0;
  Interval ci95;
};
/// The mean of independent estimates: the distances from it to its limits are those of the
/// estimates, added in squares, / n [Zou & Donner 2008, "Construction of confidence limits about
/// effect measures", eq. 4]. Throws std::invalid_argument for none.
Estimate mean_of_independent(std::span<const Estimate> estimates);

/// The smallest drop of accuracy, in items of n, whose paired interval lies above 0 when every
/// changed item changed for the worse (no item was gained: the most favourable case), from
/// `correct` right before; divided by n. 1 when no drop can be shown.
double smallest_detectable_drop(std::int64_t correct, std::int64_t n, double z = kZ95);

struct ClassRates {
  std::int64_t support = 0;                  // items of this class
  double precision = 0, recall = 0, f1 = 0;  // 0 where 0/0, as scikit-learn's zero_division = 0
};

struct ClassificationReport {
  std::int64_t n = 0, correct = 0;
  double accuracy = 0;
  double macro_f1 = 0;  // mean of f1 over all classes that occur in labels or predictions
  std::vector<ClassRates> per_class;                 // (K)
  std::vector<std::vector<std::int64_t>> confusion;  // [label][predicted], (K, K)
};
/// Throws std::invalid_argument for no items, different lengths or a class outside [0, classes).
ClassificationReport classification_report(std::span<const std::int32_t> labels,
                                           std::span<const std::int32_t> predicted,
                                           std::int64_t classes);

}  // namespace holdfast
