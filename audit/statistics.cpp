// Statistics, beside other forms of the same and published examples.
#include "train/statistics.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "audit/case.h"
#include "audit/reference/wilson.h"
#include "tensor/random.h"
#include "train/continual.h"

namespace holdfast::audit {
namespace {

using Vector = std::vector<double>;

// The ends are the roots in q of n (p - q)^2 = z^2 q (1 - q).
double wilson() {
  Worst worst;
  for (const auto& [k, n] : {std::pair<std::int64_t, std::int64_t>{0, 10},
                             {10, 10},
                             {1, 1},
                             {7, 20},
                             {450, 500},
                             {68, 100},
                             {9999, 10000}}) {
    for (const double z : {kZ95, 1.0}) {
      const double p = static_cast<double>(k) / static_cast<double>(n), N = static_cast<double>(n);
      const Interval found = wilson_interval(k, n, z);
      for (const double q : {found.low, found.high}) {
        worst.add(std::abs(N * (p - q) * (p - q) - z * z * q * (1 - q)) / N);
      }
      worst.add(found.low <= p && p <= found.high && found.low < found.high ? 0 : 1);
    }
  }
  return worst.value();
}

// Sums of exact binomial coefficients.
double mcnemar() {
  Worst worst;
  for (const auto& [b, c] :
       {std::pair{0, 0}, {6, 0}, {0, 5}, {12, 2}, {2, 12}, {40, 25}, {30, 30}, {300, 210}}) {
    const int n = b + c;
    long double term = std::ldexp(1.0L, -n), tail = 0;  // C(n, i) / 2^n
    for (int i = 0; i <= std::min(b, c); ++i) {
      tail += term;
      term = term * static_cast<long double>(n - i) / static_cast<long double>(i + 1);
    }
    worst.add(relative_error(mcnemar_p(b, c), std::min(1.0, static_cast<double>(2 * tail))));
  }
  return worst.value();
}

// Newcombe 1998, method 10, step by step; and its published examples to their four digits.
double newcombe() {
  Worst worst;
  for (const PairedCounts& counts : {PairedCounts{36, 12, 2, 0},
                                     {1, 1, 7, 1},
                                     {0, 0, 0, 5},
                                     {60, 20, 5, 30},
                                     {300, 20, 40, 10},
                                     {5, 12, 13, 3},
                                     {50, 0, 0, 4}}) {
    const auto [a, b, c, d] =
        std::array{static_cast<double>(counts.both_right), static_cast<double>(counts.only_before),
                   static_cast<double>(counts.only_after), static_cast<double>(counts.both_wrong)};
    const double n = a + b + c + d, p1 = (a + b) / n, p2 = (a + c) / n;
    const Interval w1 = reference::wilson(counts.both_right + counts.only_before, counts.n()),
                   w2 = reference::wilson(counts.both_right + counts.only_after, counts.n());
    const double product = a * d - b * c, corrected = product > n / 2 ? product - n / 2
                                                      : product > 0   ? 0
                                                                      : product;
    const double margins = (a + b) * (c + d) * (a + c) * (b + d),
                 phi = margins > 0 ? corrected / std::sqrt(margins) : 0;
    const auto part = [&](double x, double y) {
      return std::sqrt(std::max(0.0, x * x - 2 * phi * x * y + y * y));
    };
    const Interval found = newcombe_paired_interval(counts);
    worst.add(std::abs(found.low - (p1 - p2 - part(p1 - w1.low, w2.high - p2))));
    worst.add(std::abs(found.high - (p1 - p2 + part(w1.high - p1, p2 - w2.low))));
  }
  const Interval published = newcombe_paired_interval({36, 12, 2, 0});  // table II (b), method 10
  if (std::abs(published.low - 0.0569) > 1e-4 || std::abs(published.high - 0.3404) > 1e-4)
    worst.add(1);
  return worst.value();
}

// Of n equal intervals v -+ h: v -+ h / sqrt(n). Skewed ones: each side on its own.
double independent() {
  Worst worst;
  const std::vector<Estimate> equal(4, {0.3, {0.1, 0.5}});
  const Estimate mean = mean_of_independent(equal);
  worst.add(std::abs(mean.value - 0.3));
  worst.add(std::abs(mean.ci95.low - 0.2));
  worst.add(std::abs(mean.ci95.high - 0.4));
  const std::vector<Estimate> skewed{{0.5, {0.2, 0.55}}, {-0.1, {-0.5, 0.02}}};
  const Estimate other = mean_of_independent(skewed);
  worst.add(std::abs(other.value - 0.2));
  worst.add(std::abs(other.ci95.low - (0.2 - 0.25)));    // sqrt(0.3^2 + 0.4^2) / 2
  worst.add(std::abs(other.ci95.high - (0.2 + 0.065)));  // sqrt(0.05^2 + 0.12^2) / 2
  return worst.value();
}

double pairs() {
  const std::vector<std::uint8_t> before{1, 1, 1, 0, 0, 1, 0}, after{1, 0, 1, 1, 0, 0, 0};
  const PairedCounts found = paired_counts(before, after);
  Worst worst;
  worst.add(unequal(std::array{found.both_right, found.only_before, found.only_after,
                               found.both_wrong, found.n(), found.negative_flips()},
                    std::array<std::int64_t, 6>{2, 2, 1, 2, 7, 2}));
  for (const auto& [correct, n] :
       {std::pair<std::int64_t, std::int64_t>{460, 500}, {90, 100}, {20, 20}, {0, 10}}) {
    std::int64_t lost = 1;
    while (lost <= correct &&
           newcombe_paired_interval({correct - lost, lost, 0, n - correct}).low <= 0)
      ++lost;
    worst.add(
        relative_error(smallest_detectable_drop(correct, n),
                       lost > correct ? 1 : static_cast<double>(lost) / static_cast<double>(n)));
  }
  return worst.value();
}

// From sets of items: true positives, those predicted, those that are.
double classification() {
  const RandomStream stream(5, "audit");
  std::vector<std::int32_t> labels, predicted;
  for (std::uint64_t i = 0; i < 80; ++i) {
    labels.push_back(static_cast<std::int32_t>(stream.below(4, 0, i)));
    predicted.push_back(stream.uniform(1, i) < 0.6
                            ? labels.back()
                            : static_cast<std::int32_t>(stream.below(3, 2, i)));
  }
  const ClassificationReport found = classification_report(labels, predicted, 6);
  Worst worst;
  double f1_sum = 0, occurring = 0, right = 0;
  for (std::int32_t c = 0; c < 6; ++c) {
    double hits = 0, guesses = 0, support = 0;
    for (std::size_t i = 0; i < labels.size(); ++i) {
      hits += labels[i] == c && predicted[i] == c, guesses += predicted[i] == c,
          support += labels[i] == c;
    }
    const double precision = guesses > 0 ? hits / guesses : 0,
                 recall = support > 0 ? hits / support : 0;
    const double f1 = precision + recall > 0 ? 2 / (1 / precision + 1 / recall) : 0;
    const ClassRates& rates = found.per_class[static_cast<std::size_t>(c)];
    worst.add(relative_error(rates.precision, precision));
    worst.add(relative_error(rates.recall, recall));
    worst.add(relative_error(rates.f1, hits > 0 ? f1 : 0));
    worst.add(relative_error(static_cast<double>(rates.support), support));
    worst.add(relative_error(
        static_cast<double>(
            found.confusion[static_cast<std::size_t>(c)][static_cast<std::size_t>(c)]),
        hits));
    f1_sum += hits > 0 ? f1 : 0, occurring += guesses + support > 0, right += hits;
  }
  worst.add(relative_error(found.accuracy, right / 80));
  worst.add(relative_error(found.macro_f1, f1_sum / occurring));
  worst.add(unequal(found.correct, static_cast<std::int64_t>(right)));
  std::int64_t all = 0;
  for (std::size_t i = 0; i < 6; ++i)
    for (std::size_t j = 0; j < 6; ++j) {
      std::int64_t count = 0;
      for (std::size_t k = 0; k < 80; ++k)
        count += labels[k] == static_cast<std::int32_t>(i) &&
                 predicted[k] == static_cast<std::int32_t>(j);
      worst.add(unequal(found.confusion[i][j], count));
      all += count;
    }
  worst.add(unequal(all, found.n));
  return worst.value();
}

// The density integrated by Simpson's rule between -t and t is the level.
double student() {
  Worst worst;
  for (const int df : {1, 2, 3, 4, 9, 30}) {
    for (const double level : {0.5, 0.95, 0.99}) {
      const double t = student_t(df, level), nu = df;
      const double scale = std::exp(std::lgamma((nu + 1) / 2) - std::lgamma(nu / 2)) /
                           std::sqrt(nu * std::numbers::pi);
      const int cells = 20000;
      double sum = 0;
      for (int i = 0; i <= cells; ++i) {
        const double x = t * i / cells;
        sum += (i == 0 || i == cells ? 1
                : i % 2 == 1         ? 4
                                     : 2) *
               std::pow(1 + x * x / nu, -(nu + 1) / 2);
      }
      worst.add(relative_error(2 * scale * sum * t / cells / 3, level));
    }
  }
  return worst.value();
}

double seeds() {
  const Vector a{0.91, 0.87, 0.95, 0.90}, b{0.88, 0.88, 0.90, 0.83}, wide{0.0, 1.0, 0.9};
  const auto two_pass = [](const Vector& x) {
    double pairs = 0, mean = 0;  // the variance from all differences
    for (const double u : x) {
      mean += u;
      for (const double v : x) pairs += (u - v) * (u - v);
    }
    const auto n = static_cast<double>(x.size());
    return std::pair(mean / n, std::sqrt(pairs / 2 / n / (n - 1)));
  };
  Vector differences;
  for (std::size_t i = 0; i < a.size(); ++i) differences.push_back(a[i] - b[i]);
  const auto check = [&](const SeedSummary& found, const Vector& x, bool shares) {
    const auto [mean, deviation] = two_pass(x);
    const double half = student_t(static_cast<std::int64_t>(x.size()) - 1) * deviation /
                        std::sqrt(static_cast<double>(x.size()));
    const auto clamped = [&](double v) { return shares ? std::clamp(v, 0.0, 1.0) : v; };
    Worst worst;
    worst.add(std::abs(found.mean - mean));
    worst.add(std::abs(found.deviation - deviation));
    worst.add(found.ci95 ? std::abs(found.ci95->low - clamped(mean - half)) : 1);
    worst.add(found.ci95 ? std::abs(found.ci95->high - clamped(mean + half)) : 1);
    return worst.value();
  };
  Worst worst;
  worst.add(check(over_seeds(a), a, false));
  worst.add(check(shares_over_seeds(wide), wide, true));
  worst.add(check(paired_over_seeds(a, b), differences, false));
  worst.add(over_seeds(Vector{0.5}).ci95 ? 1 : 0);
  return worst.value();
}

}  // namespace

std::vector<Case> statistics_cases() {
  Family family("statistics");
  const std::string statistics = "train/statistics.h: ";
  const std::string continual = "train/continual.h: ";
  family.row("Wilson's interval", "(p + z^2/2n -+ z sqrt(p(1-p)/n + z^2/4n^2)) / (1 + z^2/n)",
             "Wilson 1927", "both ends are roots of n (p - q)^2 = z^2 q (1 - q)",
             statistics + "wilson_interval", 1e-14, wilson, "absolute");
  family.row("McNemar's test, exact", "min(1, 2 P(X <= min(b, c))), X ~ Bin(b + c, 1/2)",
             "McNemar 1947; Agresti 2002", "sums of binomial coefficients in long double",
             statistics + "mcnemar_p", 1e-12, mcnemar);
  family.row("Newcombe's paired interval", "p1 - p2 -+ sqrt(u^2 - 2 phi u v + v^2)",
             "Newcombe 1998, method 10", "step by step, and a published example",
             statistics + "newcombe_paired_interval", 1e-14, newcombe, "absolute");
  family.row("mean of independent estimates", "(sum_i v_i -+ sqrt(sum_i (v_i - limit_i)^2)) / n",
             "Zou & Donner 2008", "limits of symmetric and of skewed intervals, written out",
             statistics + "mean_of_independent", 1e-15, independent, "absolute");
  family.row("paired counts, smallest drop", "items right and wrong before and after", "definition",
             "by hand and by search",
             statistics + "paired_counts, " + statistics + "smallest_detectable_drop", 1e-15,
             pairs);
  family.row("accuracy, precision, recall, F1", "2 P R / (P + R), macro over classes that occur",
             "scikit-learn, zero_division = 0", "harmonic means of counts, one class unseen",
             statistics + "classification_report", 1e-14, classification);
  family.row("Student's t", "P(|t_df| <= t) = level", "Abramowitz & Stegun 26.7",
             "the density by Simpson's rule", continual + "student_t", 1e-11, student);
  family.row("means over seeds", "mean -+ t_{n-1} s / sqrt(n)", "Student 1908",
             "the variance from all pairs",
             continual + "over_seeds, " + continual + "shares_over_seeds, " + continual +
                 "paired_over_seeds",
             1e-14, seeds, "absolute");
  return family.take();
}

}  // namespace holdfast::audit
