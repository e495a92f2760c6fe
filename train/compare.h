// Naive fine-tuning and the recipe from the same start, and the recipe with one measure removed at
// a time. Tested by tests/train/compare_test.cpp.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "train/trainer.h"

namespace holdfast {

struct CompareOptions {
  bool leave_one_out = false;  // also the recipe without each of its measures, once each
  std::int64_t seeds = 1;      // repeats with seed, seed + 1, ...
};

/// One measure of a recipe, as leaving it out shows it.
struct MeasureWorth {
  std::string measure;       // "replay", "ewc", "layer-wise rates", "controller"
  RunResult without;         // the recipe less this measure
  double old_accuracy = 0;   // points of mean old test accuracy that it is worth, with - without
  double new_accuracy = 0;   // the same of the new task
  std::int64_t changed = 0;  // test predictions that it changes, of all tasks
  std::string inert;         // why it did nothing; empty: it did something
};

/// All arms with one seed.
struct SeedComparison {
  std::int64_t seed = 0;
  std::vector<RunResult> naive;  // one a rate, in the recipe's order
  std::size_t chosen = 0;  // naive: the best new validation accuracy; of equal ones the lower rate
  RunResult recipe;
  std::vector<MeasureWorth> leave_one_out;
  /// Seconds of all that the recipe computes (Seconds::computing) / those of the chosen naive arm
  /// without its watching of old tasks (Seconds::plain) - 1.
  double overhead = 0;
  double overhead_per_token = 0;  // the same a token trained on

  const RunResult& chosen_naive() const { return naive[chosen]; }
};

struct CompareResult {
  std::vector<SeedComparison> seeds;
  bool interrupted = false;
  const SeedComparison& first() const { return seeds.front(); }
};

/// Runs the arms in `output`/naive-<rate>, /recipe and /without-<measure> (under seed-<n>/ when
/// there are several) and writes `output`/metrics.json. An arm that the folder already holds, of
/// the same resolved recipe and the same input files, is read back instead of run again, and said
/// so. Files are read and tokenised once. Throws as run_recipe() does.
CompareResult compare_recipe(const Recipe& recipe, const CompareOptions& options = {},
                             const Hooks& hooks = {});

}  // namespace holdfast
