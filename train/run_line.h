// Lines of a run's ledger: the first, with all that decides its bits and what it ran on; those of
// evaluations; the last. Tested by tests/train/ledger_test.cpp.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/json.h"
#include "train/result.h"

namespace holdfast {

/// Steps from one hash in the ledger to the next: the recipe's, or by hash_interval() for the mean
/// text of the new task. `model`: frozen as it will be trained.
std::int64_t ledger_hash_every(const Recipe& recipe, const Inputs& inputs, const Model& model);

/// "holdfast", "isa", "libraries": whose bits these are; "recipe" (every key of computation()),
/// "inputs", "files", "tested" (false: no test split was seen): what was computed; "execution"
/// (threads, CPU, SHA-256 of recipe.toml, and of portable numerics the instruction set and the
/// libraries): what no bit depends on. `recipe` is resolved.
Json run_line(const Recipe& recipe, const Inputs& inputs, std::int64_t hash_every);

/// With the drift of every layer.
Json evaluation_line(const CurvePoint& point, const std::vector<LayerDrift>& drift);

/// Of what is there before the model and its adapter take their place: `weights`, hash_weights()
/// before it took the form in which it is saved; "files": what it then is.
Json save_line(const RunResult& result, const std::string& weights, const Fingerprints& files);

/// What came out. Under "execution", since times are in some: `files`, all that the run leaves.
Json end_line(const RunResult& result, const Fingerprints& files);

/// For the "execution" of the first line of a run, or of its part: {"found": the model that an
/// earlier run, or part, has left in the folder}; empty when there is none.
Json::Object found_before(const std::filesystem::path& output);

/// recipe.toml, as a run writes it.
std::string recipe_text(const Recipe& recipe);

}  // namespace holdfast
