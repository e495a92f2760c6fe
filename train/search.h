// The grid of [search]: every point of it trained, the best chosen on the validation splits.
// Tested by tests/train/search_test.cpp.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "train/arms.h"
#include "train/search_rule.h"

namespace holdfast {

/// One point of the grid.
struct SearchPoint {
  std::vector<std::pair<std::string, Toml>> values;  // key and value, in the grid's order
  Recipe recipe;                                     // with these values
  std::int64_t steps = 0;                            // of its latest run
  std::size_t rung = 0;                              // of its latest run, from 0
  PointOutcome outcome;                              // of its latest run
  std::string failure;                               // what ended it; empty: nothing
  bool front = false;  // on the Pareto front of those that ran all their steps

  /// "ewc.lambda = 0.3, replay.share = 0.2".
  std::string text() const;
};

struct SearchResult {
  Recipe recipe;  // with the grid
  std::vector<SearchPoint> points;
  std::vector<Rung> rungs;
  std::size_t chosen = 0;  // index into points
  bool satisfied = false;  // whether the chosen one keeps enough of every old task
  RunResult best;          // its run in `output`/best, with the test splits
  bool interrupted = false;

  const SearchPoint& choice() const { return points[chosen]; }
  /// Whether a point ran all its steps.
  bool whole(const SearchPoint& point) const { return point.rung + 1 == rungs.size(); }
};

/// The product of the grid's values, the last key's fastest. A point is the recipe with its keys
/// set as --set does: one of a table that was absent switches a measure on. Throws Refused, naming
/// the point, for a value or a combination that a recipe may not have, for more than 10,000 points,
/// and for a recipe without [search].
std::vector<SearchPoint> grid_points(const Recipe& recipe);

/// Runs the points in `output`/point-<n>/steps-<s>. With halving, all points start with few steps
/// and the best go on: from the start again, as a schedule of fewer steps is another one. Chooses
/// the best new validation accuracy among the points that ran to the end and whose every old task
/// keeps search.retention of its validation accuracy; when none does, the best worst retention.
/// A point whose run fails is passed over. No test split is looked at before the choice: then the
/// chosen point runs once more, in `output`/best, which has its test results and its model. Writes
/// `output`/metrics.json and `output`/best.toml, the recipe of that run. A run that the folder
/// already holds is read back (Arms::run); the other points' models are not kept. Throws as
/// run_recipe() does; Refused as grid_points(), and without old tasks or validation splits.
SearchResult search_recipe(const Recipe& recipe, const Hooks& hooks = {});

/// How many runs that is, as far as it can be told before the texts are read.
std::size_t count_arms(const Recipe& recipe);

/// The worst old task's validation accuracy after training / before, and the new task's accuracy.
PointOutcome outcome_of(const RunResult& run);

}  // namespace holdfast
