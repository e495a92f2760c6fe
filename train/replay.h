// The memory of a run: which training texts of an old task are kept, and replay.csv, which says
// why. Tested by tests/train/replay_test.cpp.
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "train/dataset.h"
#include "train/selection.h"

namespace holdfast {

/// What is kept of one old task.
struct Memory {
  std::string task;
  std::vector<Selected> selected;  // indices into the old task's training texts
  std::vector<Sample> samples;     // the same texts
};

/// count, or keep of n rounded to the nearest, at least 1. Throws std::runtime_error, naming the
/// task, when count exceeds n.
std::int64_t texts_to_keep(const ReplayRecipe& replay, const TaskData& old);

/// Chooses from `old.train` by the recipe's method; TF-IDF over the tokenizer's words of both
/// tasks' training texts. A pure function of texts, recipe and seed.
Memory select_memory(const ReplayRecipe& replay, const TaskData& old, const TaskData& fresh,
                     const Tokenizer& tokenizer, std::uint64_t seed);

/// Writes task, line (in the task's training file), label, score, reason and the text (and its
/// pair) of every text kept; read_examples() reads it.
void write_replay(const std::filesystem::path& path, std::span<const Memory> memories,
                  std::span<const TaskData> tasks);

}  // namespace holdfast
