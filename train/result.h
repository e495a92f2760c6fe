// What a run was and what came of it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "train/evaluate.h"
#include "train/merge_search.h"
#include "train/progress.h"
#include "train/recipe.h"
#include "train/step.h"
#include "train/watch.h"

namespace holdfast {

/// The same texts before and after training.
struct PairedResult {
  double drop = 0;                  // accuracy before - after
  Interval drop_ci95;               // Newcombe's
  double mcnemar_p = 1;             // exact, two-sided
  std::int64_t negative_flips = 0;  // right before, wrong after
};

/// One task before and after training, on its test split.
struct TaskResult {
  std::string name;
  bool old = false;
  std::optional<Evaluation> before, after;  // empty: there is no test split
  std::optional<PairedResult> paired;
  std::optional<Evaluation> valid;  // after training, on the validation split
};

/// Seconds of the parts of a run.
struct Seconds {
  double read = 0, select = 0, fisher = 0, train = 0;
  double evaluate = 0;      // of the validation splits, which decide
  double evaluate_old = 0;  // the part of `evaluate` that watches old tasks
  double test = 0;          // of the test splits, which only measure
  double leave = 0;         // what later runs may need: the new task's importance and memory
  double save = 0;          // of checkpoints, too
  double ledger = 0;        // hashes, and writing its lines
  /// What a comparison of two arms counts: all but reading, testing, leaving and saving.
  double computing() const { return select + fisher + train + evaluate + ledger; }
  /// The same without watching old tasks, which plain fine-tuning would not do.
  double plain() const { return computing() - evaluate_old; }
};

struct RunResult {
  Recipe recipe;  // resolved
  bool interrupted = false;
  std::int64_t steps = 0;   // taken
  std::int64_t tokens = 0;  // trained on
  Seconds seconds;
  std::vector<TaskResult> tasks;  // old ones in the recipe's order, then the new one
  std::vector<CurvePoint> curve;
  std::vector<StepRecord> ledger;
  std::vector<Action> actions;
  std::int64_t replayed = 0;     // old texts kept
  double mean_fisher = 0;        // over the penalised parameters with F > 0
  double penalty_share = 0;      // mean over steps of penalty / (task loss + penalty)
  double max_penalty_share = 0;  // its highest value
  std::vector<LayerDrift> drift;
  std::int64_t best_step = 0;  // whose model was kept; 0: the last one's
  bool stopped_early = false;
  std::optional<MergeSearch> merge;    // the weights that [merge] tried
  std::int64_t protected_weights = 0;  // by [protect]
  std::int64_t peak_bytes = 0;         // of tensors
  std::vector<std::string> notices;
  std::string chain;  // of the ledger's last line, which stands for all; empty: none was written

  const TaskResult& fresh() const { return tasks.back(); }
};

}  // namespace holdfast
