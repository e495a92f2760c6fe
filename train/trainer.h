// A run of a recipe from its files to its output folder: check everything, evaluate, select,
// measure importance, train, evaluate, save. One step is in train/step.cpp. Tested by
// tests/train/trainer_test.cpp.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "train/dataset.h"
#include "train/result.h"

namespace holdfast {

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
