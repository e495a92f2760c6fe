// Lines of a run's ledger: the first, with all that decides its bits and what it ran on; those of
// evaluations; the last. Tested by tests/train/ledger_test.cpp.
#pragma once

#include <string>
#include <vector>

#include "base/json.h"
#include "train/result.h"

namespace holdfast {

/// Steps from one hash in the ledger to the next: the recipe's, or by hash_interval() for the mean
/// text of the new task. `model`: frozen as it will be trained.
std::int64_t ledger_hash_every(const Recipe& recipe, const Inputs& inputs, const Model& model);

/// "holdfast", "isa", "libraries": whose bits these are; "recipe" (every key of computation()),
/// "inputs", "files": what was computed; "execution" (threads, CPU, SHA-256 of recipe.toml, and of
/// portable numerics the instruction set and the libraries): what no bit depends on. `recipe` is
/// resolved.
Json run_line(const Recipe& recipe, const Inputs& inputs, std::int64_t hash_every);

/// With the drift of every layer.
Json evaluation_line(const CurvePoint& point, const std::vector<LayerDrift>& drift);

/// What came out. `weights`: hash_weights() of the model before it took the form in which it is
/// saved; "files": what the output folder holds of it.
Json end_line(const RunResult& result, const std::string& weights);

/// recipe.toml, as a run writes it.
std::string recipe_text(const Recipe& recipe);

}  // namespace holdfast
