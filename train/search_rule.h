// Which point of a grid is the best, which go on to the next rung, and which no other one beats in
// both respects: on numbers alone, without training. Tested by tests/train/search_rule_test.cpp.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace holdfast {

/// What a point has come to, on the validation splits.
struct PointOutcome {
  double gained = 0;     // accuracy of the new task
  double retention = 1;  // the worst old task's accuracy / that before training
  bool failed = false;   // its run ended with an error
};

/// Whether every old task keeps the share `retention` (rounding below 1e-12 is forgiven).
bool satisfies(const PointOutcome& outcome, double retention);

/// The points from the best to the worst: those that satisfy `retention` by what they gain (and if
/// that is equal, by what they retain), then the others by what they retain (and gain), then those
/// that failed; of equal ones the earlier first. So the best is on the Pareto front.
std::vector<std::size_t> ranked(std::span<const PointOutcome> outcomes, double retention);

/// For each point whether it is on the Pareto front: none has more of one and no less of the other.
/// Failed ones are not.
std::vector<bool> pareto_front(std::span<const PointOutcome> outcomes);

/// A rung of successive halving: so many points run 1/divisor of their steps.
struct Rung {
  std::int64_t points = 0;
  std::int64_t divisor = 1;
};

/// Rungs of n, n/eta, n/eta^2 ... points (rounded down, at least 1) with steps T/eta^s ... T/eta, T
/// [Jamieson & Talwalkar 2016]; s is the most with eta^s <= n, and with at least one step in the
/// first rung. One rung of all points when eta < 2. Throws std::invalid_argument for no points or
/// steps.
std::vector<Rung> halving_plan(std::int64_t points, std::int64_t eta, std::int64_t steps);

}  // namespace holdfast
