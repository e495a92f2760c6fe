// checkpoints/step-<N>/: what a run stands on after a step, so that it can go on from there. Tested
// by tests/train/checkpoint_test.cpp and, on whole runs, tests/train/resume_test.cpp.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <vector>

#include "train/finish.h"
#include "train/ledger.h"
#include "train/result.h"

namespace holdfast {

/// All that the rest of a run depends on beside its inputs. What is a pure function of the inputs
/// (memories, importance, the old model's answers, evaluations before training) is not in it: a run
/// that is resumed computes it again. The order of texts and every random decision are functions of
/// (seed, step), so that there is no state of a generator. Taken between a step and the evaluation
/// that may follow.
struct Checkpoint {
  Tensor weights, first_moment, second_moment;  // the arena's (n)
  std::vector<std::int64_t> range_steps;        // AdamW's
  Tensor path;                                  // of [leave] path: w (n) f64; undefined: off
  std::optional<BestModel::State> best;         // with [evaluation] keep_best or early stopping
  RunResult result;                             // so far: the steps, the curve, the actions
  LedgerPlace ledger;                           // the end of the last step's line

  std::int64_t step() const { return result.steps; }
};

/// Writes state.safetensors, state.json and, last, manifest.json with the XXH3-128 of both, in a
/// folder beside that is then renamed; afterwards all but the latest `keep` go. Throws
/// std::runtime_error when it cannot be written; the earlier ones are then as they were.
void save_checkpoint(const std::filesystem::path& output, const Checkpoint& checkpoint,
                     std::int64_t keep);

/// The steps of the checkpoints that a run's folder holds, ascending, whole or broken.
std::vector<std::int64_t> checkpoint_steps(const std::filesystem::path& output);
std::filesystem::path checkpoint_folder(const std::filesystem::path& output, std::int64_t step);

/// Takes away those of later steps: of a run that goes on before them.
void remove_checkpoints_after(const std::filesystem::path& output, std::int64_t step);

/// Throws std::runtime_error, naming the file, for a checkpoint that is not as it was written.
void check_checkpoint(const std::filesystem::path& output, std::int64_t step);
/// All of a checkpoint but its tensors, after check_checkpoint(), and these, which are large.
/// Throws std::runtime_error, too, for a checkpoint of another step than its folder's name says.
Checkpoint load_checkpoint(const std::filesystem::path& output, std::int64_t step);
void load_tensors(const std::filesystem::path& output, Checkpoint& checkpoint);

}  // namespace holdfast
