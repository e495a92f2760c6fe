// Naive fine-tuning and the recipe from the same start; the recipe with one measure removed at a
// time; and the bounds between which all of them lie. Tested by tests/train/compare_test.cpp.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "train/arms.h"
#include "train/continual.h"

namespace holdfast {

struct CompareOptions {
  bool leave_one_out = false;  // also the recipe without each of its measures, once each
  bool bounds = false;         // also joint training and the frozen encoder
  std::int64_t seeds = 1;      // repeats with seed, seed + 1, ...
};

/// One measure of a recipe, as leaving it out shows it.
struct MeasureWorth {
  std::string measure;       // of measures_of()
  RunResult without;         // the recipe less this measure
  double old_accuracy = 0;   // points of mean old test accuracy that it is worth, with - without
  double new_accuracy = 0;   // the same of the new task
  std::int64_t changed = 0;  // test predictions that it changes, of all tasks
  std::string inert;         // why it did nothing; empty: it did something
};

/// What no recipe is expected to leave, at the same number of steps: keeping everything and
/// learning beside it, and learning without touching what is known.
struct Bounds {
  RunResult joint;   // all old and new texts in proportion to their numbers, at naive's chosen rate
  NaiveArms frozen;  // heads alone learn; the rate chosen from naive's list as naive's is
};

/// All arms with one seed.
struct SeedComparison {
  std::int64_t seed = 0;
  std::vector<RunResult> naive;  // one a rate, in the recipe's order
  std::size_t chosen = 0;  // naive: the best new validation accuracy; of equal ones the lower rate
  RunResult recipe;
  std::vector<MeasureWorth> leave_one_out;
  double overhead = 0;            // of the recipe's time over the chosen naive arm's (overhead_of)
  double overhead_per_token = 0;  // the same a token trained on
  /// Over that of a naive arm that never looked at the old tasks (Seconds::plain).
  double overhead_unwatched = 0;
  std::optional<Bounds> bounds;

  const RunResult& chosen_naive() const { return naive[chosen]; }
};

struct CompareResult {
  std::vector<SeedComparison> seeds;
  bool interrupted = false;
  const SeedComparison& first() const { return seeds.front(); }
};

/// What the seeds of a comparison say together. A summary of n = 0 was not measured.
struct CompareSummary {
  struct Arm {
    std::string name;  // "naive" (each seed's chosen one), "recipe", "joint", "frozen"
    SeedSummary old_accuracy, old_drop, new_accuracy;  // on the test splits; old: mean over tasks
    SeedSummary overhead;                              // of time, over naive's
  };
  std::vector<Arm> arms;
  SeedSummary old_gain, new_gain;  // recipe - naive, paired by seed
};
CompareSummary over_seeds(const CompareResult& result);

/// Runs the arms in `output`/naive-<rate>, /recipe, /without-<measure>, /joint and /frozen-<rate>
/// (under seed-<n>/ when there are several) and writes `output`/metrics.json. An arm that the
/// folder already holds is read back (Arms::run). Files are read and tokenised once a seed. Throws
/// as run_recipe() does; Refused for bounds without old training texts.
CompareResult compare_recipe(const Recipe& recipe, const CompareOptions& options = {},
                             const Hooks& hooks = {});

/// How many runs that are: at most, as some are known to change nothing.
std::size_t count_arms(const Recipe& recipe, const CompareOptions& options);

}  // namespace holdfast
