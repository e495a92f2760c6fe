#include "train/statistics.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <stdexcept>
#include <string>

#include "base/elementary.h"

namespace holdfast {

Interval wilson_interval(std::int64_t successes, std::int64_t n, double z) {
  if (n <= 0 || successes < 0 || successes > n) {
    throw std::invalid_argument("[wilson] " + std::to_string(successes) + " successes of " +
                                std::to_string(n) + ": give 0 <= successes <= n and n > 0");
  }
  const double size = static_cast<double>(n);
  const double p = static_cast<double>(successes) / size;
  const double center = (p + z * z / (2 * size)) / (1 + z * z / size);
  const double half =
      z / (1 + z * z / size) * std::sqrt(p * (1 - p) / size + z * z / (4 * size * size));
  return {successes == 0 ? 0.0 : std::max(0.0, center - half),
          successes == n ? 1.0 : std::min(1.0, center + half)};
}

PairedCounts paired_counts(std::span<const std::uint8_t> before,
                           std::span<const std::uint8_t> after) {
  if (before.size() != after.size()) {
    throw std::invalid_argument("[paired counts] " + std::to_string(before.size()) +
                                " items before, " + std::to_string(after.size()) +
                                " after: give the same items");
  }
  PairedCounts counts;
  for (std::size_t i = 0; i < before.size(); ++i) {
    if (before[i] != 0) {
      ++(after[i] != 0 ? counts.both_right : counts.only_before);
    } else {
      ++(after[i] != 0 ? counts.only_after : counts.both_wrong);
    }
  }
  return counts;
}

double mcnemar_p(std::int64_t only_before, std::int64_t only_after) {
  if (only_before < 0 || only_after < 0) {
    throw std::invalid_argument("[mcnemar] counts must not be negative");
  }
  const std::int64_t n = only_before + only_after;
  const std::int64_t k = std::min(only_before, only_after);
  // log of C(n, k) / 2^n, then the smaller terms by C(n, i-1) = C(n, i) i / (n - i + 1).
  double log_term = -static_cast<double>(n) * std::numbers::ln2;
  for (std::int64_t i = 1; i <= k; ++i) {
    log_term += elementary::log(static_cast<double>(n - k + i) / static_cast<double>(i));
  }
  double ratio = 1, sum = 1;
  for (std::int64_t i = k; i > 0 && ratio > 1e-18; --i) {
    ratio *= static_cast<double>(i) / static_cast<double>(n - i + 1);
    sum += ratio;
  }
  return std::min(1.0, 2 * elementary::exp(log_term) * sum);
}

namespace {

// Newcombe's estimate of the correlation phi, towards zero by n/2 where it is positive (method 10).
double corrected_phi(double a, double b, double c, double d) {
  const double margins = (a + b) * (c + d) * (a + c) * (b + d);
  if (margins == 0) return 0;
  double determinant = a * d - b * c;
  if (determinant > 0) determinant = std::max(0.0, determinant - (a + b + c + d) / 2);
  return determinant / std::sqrt(margins);
}

}  // namespace

Interval newcombe_paired_interval(const PairedCounts& counts, double z) {
  const std::int64_t n = counts.n();
  const std::int64_t before = counts.both_right + counts.only_before;
  const std::int64_t after = counts.both_right + counts.only_after;
  const Interval first = wilson_interval(before, n, z), second = wilson_interval(after, n, z);
  const double p1 = static_cast<double>(before) / static_cast<double>(n);
  const double p2 = static_cast<double>(after) / static_cast<double>(n);
  const double phi =
      corrected_phi(static_cast<double>(counts.both_right), static_cast<double>(counts.only_before),
                    static_cast<double>(counts.only_after), static_cast<double>(counts.both_wrong));
  const auto width = [phi](double u, double v) {
    return std::sqrt(std::max(0.0, u * u - 2 * phi * u * v + v * v));
  };
  const double drop = p1 - p2;
  return {drop - width(p1 - first.low, second.high - p2),
          drop + width(first.high - p1, p2 - second.low)};
}

Estimate mean_of_independent(std::span<const Estimate> estimates) {
  if (estimates.empty()) throw std::invalid_argument("[mean] no estimates: give at least one");
  const auto n = static_cast<double>(estimates.size());
  double sum = 0, below = 0, above = 0;
  for (const auto& [value, ci95] : estimates) {
    sum += value;
    below += (value - ci95.low) * (value - ci95.low);
    above += (ci95.high - value) * (ci95.high - value);
  }
  return {sum / n, {(sum - std::sqrt(below)) / n, (sum + std::sqrt(above)) / n}};
}

double smallest_detectable_drop(std::int64_t correct, std::int64_t n, double z) {
  if (n <= 0 || correct < 0 || correct > n) {
    throw std::invalid_argument("[smallest drop] " + std::to_string(correct) + " correct of " +
                                std::to_string(n) + ": give 0 <= correct <= n and n > 0");
  }
  for (std::int64_t lost = 1; lost <= correct; ++lost) {
    const PairedCounts counts{correct - lost, lost, 0, n - correct};
    if (newcombe_paired_interval(counts, z).low > 0) {
      return static_cast<double>(lost) / static_cast<double>(n);
    }
  }
  return 1;
}

namespace {

double ratio(std::int64_t part, std::int64_t whole) {
  return whole == 0 ? 0.0 : static_cast<double>(part) / static_cast<double>(whole);
}

}  // namespace

ClassificationReport classification_report(std::span<const std::int32_t> labels,
                                           std::span<const std::int32_t> predicted,
                                           std::int64_t classes) {
  if (labels.empty() || labels.size() != predicted.size()) {
    throw std::invalid_argument("[classification report] " + std::to_string(labels.size()) +
                                " labels, " + std::to_string(predicted.size()) +
                                " predictions: give as many, and at least one");
  }
  const auto k = static_cast<std::size_t>(classes);
  ClassificationReport report;
  report.n = static_cast<std::int64_t>(labels.size());
  report.per_class.resize(k);
  report.confusion.assign(k, std::vector<std::int64_t>(k, 0));
  for (std::size_t i = 0; i < labels.size(); ++i) {
    if (labels[i] < 0 || labels[i] >= classes || predicted[i] < 0 || predicted[i] >= classes) {
      throw std::invalid_argument("[classification report] item " + std::to_string(i) +
                                  " has a class outside 0.." + std::to_string(classes - 1));
    }
    ++report.confusion[static_cast<std::size_t>(labels[i])][static_cast<std::size_t>(predicted[i])];
    report.correct += labels[i] == predicted[i] ? 1 : 0;
  }
  double f1_sum = 0;
  std::int64_t occurring = 0;
  for (std::size_t c = 0; c < k; ++c) {
    std::int64_t predicted_as_c = 0;
    ClassRates& rates = report.per_class[c];
    for (std::size_t other = 0; other < k; ++other) {
      rates.support += report.confusion[c][other];
      predicted_as_c += report.confusion[other][c];
    }
    const std::int64_t right = report.confusion[c][c];
    rates.precision = ratio(right, predicted_as_c);
    rates.recall = ratio(right, rates.support);
    rates.f1 = ratio(2 * right, predicted_as_c + rates.support);
    if (predicted_as_c + rates.support > 0) {
      f1_sum += rates.f1;
      ++occurring;
    }
  }
  report.accuracy = ratio(report.correct, report.n);
  report.macro_f1 = f1_sum / static_cast<double>(occurring);
  return report;
}

}  // namespace holdfast
