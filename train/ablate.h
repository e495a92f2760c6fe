// What each measure of a recipe is worth on its own: naive fine-tuning, naive with one measure, and
// all together, over seeds. Tested by tests/train/ablate_test.cpp.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "train/arms.h"
#include "train/continual.h"

namespace holdfast {

/// One arm with one seed.
struct AblationRun {
  RunResult run;
  double old_accuracy = 0;  // test accuracy after training: mean over the old tasks
  double new_accuracy = 0;
  double retention = 0;  // mean over the old tasks of accuracy after / before; 1 from 0
  double old_gain = 0;   // old_accuracy less that of the seed's naive arm
  double new_gain = 0;
  Interval old_gain_ci95, new_gain_ci95;  // over the texts that both arms have answered
  double overhead = 0;                    // of time, against the seed's naive arm (overhead_of)
};

/// One arm over the seeds.
struct AblationArm {
  std::string name;  // "naive", a measure, "all together"
  std::vector<AblationRun> runs;
  SeedSummary old_accuracy, new_accuracy, retention, overhead;
  /// Paired by seed. With one seed there is no such interval: ci95 is then the one over texts.
  SeedSummary old_gain, new_gain;
};

struct AblateResult {
  std::vector<std::int64_t> seeds;
  std::vector<AblationArm> arms;  // naive first, all together last
  bool interrupted = false;
};

/// Runs the arms seed by seed in `output`/seed-<n>/naive-<rate>, /alone-<measure> and /recipe, and
/// writes `output`/metrics.json. Naive takes the rate of its list that is best for the new task on
/// validation, each seed its own; the measures alone take that rate. An arm that the folder already
/// holds is read back (Arms::run); models are not kept. Throws as run_recipe() does; Refused for a
/// recipe without old tasks, test splits or measures.
AblateResult ablate_recipe(const Recipe& recipe, std::int64_t seeds = 1, const Hooks& hooks = {});

/// How many runs that are.
std::size_t count_arms(const Recipe& recipe, std::int64_t seeds);

/// What ablate_recipe() reads and computes of one arm: the accuracies and the differences to
/// `naive`, with their intervals over the test texts of `tasks`. That of several old tasks' mean
/// is mean_of_independent(). Throws std::invalid_argument
/// when the runs are not of these tasks.
AblationRun measure_against(const RunResult& run, const RunResult& naive,
                            std::span<const TaskData> tasks);

/// Fills in what is over seeds.
void summarise(AblationArm& arm);

}  // namespace holdfast
