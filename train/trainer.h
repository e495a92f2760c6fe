// A run of a recipe from its files to its output folder: check everything, evaluate, select,
// measure importance, train, evaluate, save. One step is in train/step.cpp. Tested by
// tests/train/trainer_test.cpp.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "train/dataset.h"
#include "train/ledger.h"
#include "train/result.h"

namespace holdfast {

/// Runs a recipe and writes its output folder. An output folder that is neither empty nor an
/// earlier run's is refused; an earlier run's is replaced, its model only when the new one is
/// whole.
RunResult run_recipe(const Recipe& recipe, const Hooks& hooks = {});

/// The run that the output folder holds goes on from its latest checkpoint, to the same bits and
/// the same ledger, times apart, as if it had never stopped. Another recipe, other files, another
/// instruction set or library are refused (train/resume.h).
RunResult resume_recipe(const Recipe& recipe, const Hooks& hooks = {});

/// Checks a recipe with all its files as run_recipe() does before the first step, and computes
/// nothing (`--dry-run`): the resolved recipe, with what was noticed. Throws Refused.
RunResult check_recipe(const Recipe& recipe, const Hooks& hooks = {});

// What run_recipe() is made of, for several runs on the same inputs (train/compare).

/// Sets threads and memory budget, checks the output folder and reads all files; the budget must
/// hold the model's buffers. Throws Refused.
Inputs open_inputs(const Recipe& recipe, const Hooks& hooks, double* seconds = nullptr);
/// The recipe with its number of steps and its evaluation interval.
Recipe resolve(Recipe recipe, const Inputs& inputs);
/// How run_on() goes about a run.
struct Execution {
  const RunResult* earlier = nullptr;  // from the same inputs: spares the evaluation of the test
                                       // splits before training
  bool resume = false;                 // the run that the output folder holds
  // To execute again a run that is there (train/verify.h), in a folder of its own:
  LineWriter lines{};  // takes the lines, and nothing is left for later runs; what it throws
                       // ends the run
  std::filesystem::path from{};  // the folder whose checkpoint of `from_step` it begins from
  std::int64_t from_step = 0;    // 0: its first step
};
/// One run from `inputs.model`, which stays as it is.
RunResult run_on(const Inputs& inputs, const Recipe& resolved, const Hooks& hooks,
                 const Execution& execution = {});

}  // namespace holdfast
