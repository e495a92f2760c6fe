// A run of a recipe from its files to its output folder: check everything, evaluate, select,
// measure importance, train, evaluate, save. One step is in train/step.cpp. Tested by
// tests/train/trainer_test.cpp.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "train/dataset.h"
#include "train/evaluate.h"
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
  double save = 0;
  /// What a comparison of two arms counts: all but reading, testing and saving.
  double computing() const { return select + fisher + train + evaluate; }
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
  std::int64_t peak_bytes = 0;  // of tensors
  std::vector<std::string> notices;

  const TaskResult& fresh() const { return tasks.back(); }
};

/// Runs a recipe and writes its output folder. An output folder that is neither empty nor an
/// earlier run's is refused; an earlier run's is replaced, its model only when the new one is
/// whole.
RunResult run_recipe(const Recipe& recipe, const Hooks& hooks = {});

/// Checks a recipe with all its files as run_recipe() does before the first step, and computes
/// nothing (`--dry-run`): the resolved recipe, with what was noticed. Throws Refused.
RunResult check_recipe(const Recipe& recipe, const Hooks& hooks = {});

// What run_recipe() is made of, for several runs on the same inputs (train/compare).

/// Sets threads and memory budget, checks the output folder and reads all files; the budget must
/// hold the model's buffers. Throws Refused.
Inputs open_inputs(const Recipe& recipe, const Hooks& hooks, double* seconds = nullptr);
/// The recipe with its number of steps and its evaluation interval.
Recipe resolve(Recipe recipe, const Inputs& inputs);
/// One run from `inputs.model`, which stays as it is. `earlier`, a run from the same inputs, spares
/// it the evaluation of the test splits before training.
RunResult run_on(const Inputs& inputs, const Recipe& resolved, const Hooks& hooks,
                 const RunResult* earlier = nullptr);

}  // namespace holdfast
