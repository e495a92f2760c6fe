#include "train/continual.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <stdexcept>

#include "base/elementary.h"

namespace holdfast {
namespace {

std::optional<double> entry(const AccuracyMatrix& accuracy, std::size_t stage, std::size_t task) {
  if (stage >= accuracy.size() || task >= accuracy[stage].size()) return {};
  const double value = accuracy[stage][task];
  return std::isnan(value) ? std::optional<double>() : value;
}

/// Adds up what is known.
class Mean {
 public:
  void add(double value) {
    sum_ += value;
    ++count_;
  }
  std::optional<double> value() const {
    return count_ == 0 ? std::optional<double>() : sum_ / static_cast<double>(count_);
  }

 private:
  double sum_ = 0;
  std::int64_t count_ = 0;
};

/// The least of value(R[l][j], R[j][j]) over all tasks j and stages l >= j where both are known.
template <class Value>
std::optional<double> least(const AccuracyMatrix& accuracy, const Value& value) {
  std::optional<double> worst;
  for (std::size_t task = 0; task < accuracy.size(); ++task) {
    const std::optional<double> learnt = entry(accuracy, task, task);
    for (std::size_t stage = task; learnt && stage < accuracy.size(); ++stage) {
      const std::optional<double> now = entry(accuracy, stage, task);
      if (now) worst = std::min(worst.value_or(value(*now, *learnt)), value(*now, *learnt));
    }
  }
  return worst;
}

/// P(|t| <= sqrt(df) tan(angle)) for 0 <= angle < pi/2: a finite sum for a whole df.
double student_probability(std::int64_t df, double angle) {
  const double sine = elementary::sin(angle), cosine = elementary::cos(angle),
               square = cosine * cosine;
  const bool odd = df % 2 == 1;
  double term = odd ? cosine : 1.0, sum = df == 1 ? 0.0 : term;
  for (std::int64_t k = odd ? 3 : 2; k <= df - 2; k += 2) {
    term *= square * static_cast<double>(k - 1) / static_cast<double>(k);
    sum += term;
  }
  return odd ? (angle + sine * sum) * 2 / std::numbers::pi : sine * sum;
}

}  // namespace

std::optional<double> average_accuracy(const AccuracyMatrix& accuracy) {
  Mean mean;
  for (std::size_t task = 0; task < accuracy.size(); ++task) {
    const std::optional<double> last = entry(accuracy, accuracy.size() - 1, task);
    if (!last) return {};
    mean.add(*last);
  }
  return mean.value();
}

std::optional<double> backward_transfer(const AccuracyMatrix& accuracy) {
  Mean mean;
  for (std::size_t task = 0; task + 1 < accuracy.size(); ++task) {
    const std::optional<double> learnt = entry(accuracy, task, task);
    const std::optional<double> last = entry(accuracy, accuracy.size() - 1, task);
    if (learnt && last) mean.add(*last - *learnt);
  }
  return mean.value();
}

std::optional<double> forward_transfer(const AccuracyMatrix& accuracy,
                                       std::span<const double> untrained) {
  Mean mean;
  for (std::size_t task = 1; task < std::min(accuracy.size(), untrained.size()); ++task) {
    const std::optional<double> before = entry(accuracy, task - 1, task);
    if (before && !std::isnan(untrained[task])) mean.add(*before - untrained[task]);
  }
  return mean.value();
}

std::optional<double> forgetting(const AccuracyMatrix& accuracy) {
  Mean mean;
  for (std::size_t task = 0; task + 1 < accuracy.size(); ++task) {
    std::optional<double> best;
    for (std::size_t stage = 0; stage + 1 < accuracy.size(); ++stage) {
      const std::optional<double> then = entry(accuracy, stage, task);
      if (then) best = std::max(best.value_or(*then), *then);
    }
    const std::optional<double> last = entry(accuracy, accuracy.size() - 1, task);
    if (best && last) mean.add(*best - *last);
  }
  return mean.value();
}

std::optional<double> retention(const AccuracyMatrix& accuracy) {
  const std::optional<double> first = entry(accuracy, 0, 0);
  const std::optional<double> last =
      accuracy.empty() ? std::nullopt : entry(accuracy, accuracy.size() - 1, 0);
  if (!first || !last) return {};
  return *first == 0 ? 1.0 : *last / *first;
}

std::optional<double> worst_retention(const AccuracyMatrix& accuracy) {
  return least(accuracy, [](double now, double learnt) { return learnt == 0 ? 1 : now / learnt; });
}

std::optional<double> worst_accuracy(const AccuracyMatrix& accuracy) {
  return least(accuracy, [](double now, double) { return now; });
}

ContinualSummary summarize(const AccuracyMatrix& accuracy, std::span<const double> untrained) {
  return {.average_accuracy = average_accuracy(accuracy),
          .backward_transfer = backward_transfer(accuracy),
          .forward_transfer = forward_transfer(accuracy, untrained),
          .forgetting = forgetting(accuracy),
          .retention = retention(accuracy),
          .worst_retention = worst_retention(accuracy),
          .worst_accuracy = worst_accuracy(accuracy)};
}

double student_t(std::int64_t df, double level) {
  if (df < 1 || !(level > 0 && level < 1)) {
    throw std::invalid_argument(fmt::format(
        "[student] {} degrees of freedom, level {}: give at least 1, and a level in (0, 1)", df,
        level));
  }
  double low = 0, high = std::numbers::pi / 2;
  for (int i = 0; i < 100; ++i) {
    const double middle = (low + high) / 2;
    (student_probability(df, middle) < level ? low : high) = middle;
  }
  return std::sqrt(static_cast<double>(df)) * std::tan(high);
}

SeedSummary over_seeds(std::span<const double> values) {
  if (values.empty()) throw std::invalid_argument("[seeds] there are no values");
  SeedSummary out;
  out.n = static_cast<std::int64_t>(values.size());
  const double n = static_cast<double>(out.n);
  for (const double value : values) out.mean += value / n;
  if (out.n == 1) return out;
  double squares = 0;
  for (const double value : values) squares += (value - out.mean) * (value - out.mean);
  out.deviation = std::sqrt(squares / (n - 1));
  const double half = student_t(out.n - 1) * out.deviation / std::sqrt(n);
  out.ci95 = Interval{out.mean - half, out.mean + half};
  return out;
}

SeedSummary shares_over_seeds(std::span<const double> shares) {
  SeedSummary out = over_seeds(shares);
  if (out.ci95) {
    out.ci95 = Interval{std::max(out.ci95->low, 0.0), std::min(out.ci95->high, 1.0)};
  }
  return out;
}

SeedSummary paired_over_seeds(std::span<const double> a, std::span<const double> b) {
  if (a.size() != b.size()) {
    throw std::invalid_argument(
        fmt::format("[seeds] {} values against {}: give the same seeds", a.size(), b.size()));
  }
  std::vector<double> differences(a.size());
  std::transform(a.begin(), a.end(), b.begin(), differences.begin(), std::minus<>());
  return over_seeds(differences);
}

}  // namespace holdfast
