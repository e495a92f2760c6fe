#include "train/search_rule.h"

#include <algorithm>
#include <numeric>
#include <stdexcept>
#include <tuple>

namespace holdfast {

bool satisfies(const PointOutcome& outcome, double retention) {
  return !outcome.failed && outcome.retention >= retention - 1e-12;
}

std::vector<std::size_t> ranked(std::span<const PointOutcome> outcomes, double retention) {
  const auto key = [&](std::size_t i) {
    const PointOutcome& point = outcomes[i];
    const bool kept = satisfies(point, retention);
    const auto [first, second] =
        kept ? std::pair(point.gained, point.retention) : std::pair(point.retention, point.gained);
    return std::tuple(!point.failed, kept, first, second);
  };
  std::vector<std::size_t> order(outcomes.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return key(a) > key(b); });
  return order;
}

std::vector<bool> pareto_front(std::span<const PointOutcome> outcomes) {
  const auto beats = [](const PointOutcome& a, const PointOutcome& b) {
    return !a.failed && a.gained >= b.gained && a.retention >= b.retention &&
           (a.gained > b.gained || a.retention > b.retention);
  };
  std::vector<bool> front;
  for (const PointOutcome& point : outcomes) {
    front.push_back(!point.failed &&
                    std::none_of(outcomes.begin(), outcomes.end(),
                                 [&](const PointOutcome& other) { return beats(other, point); }));
  }
  return front;
}

std::vector<Rung> halving_plan(std::int64_t points, std::int64_t eta, std::int64_t steps) {
  if (points < 1 || steps < 1) {
    throw std::invalid_argument("[search] there are no points, or no steps to take");
  }
  std::int64_t divisor = 1;
  while (eta >= 2 && divisor <= points / eta && divisor <= steps / eta) {
    divisor *= eta;
  }
  std::vector<Rung> rungs;
  for (std::int64_t left = points; divisor >= 1; divisor /= std::max<std::int64_t>(eta, 2)) {
    rungs.push_back({left, divisor});
    left = std::max<std::int64_t>(left / std::max<std::int64_t>(eta, 1), 1);
  }
  return rungs;
}

}  // namespace holdfast
