// The memory of a run: which training texts of an old task are kept, and replay.csv, which says
// why and brings them back when the training texts are gone. Tested by tests/train/replay_test.cpp.
#pragma once

#include <filesystem>
#include <functional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
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

/// What a recipe keeps of an old task: `budget` bytes of text, `count` texts, or `keep` of n
/// rounded to the nearest, at least 1. Throws std::runtime_error, naming the task, when count
/// exceeds n.
Budget texts_to_keep(const ReplayRecipe& replay, const TaskData& old);

/// UTF-8 bytes of each text with its pair.
std::vector<std::int64_t> text_bytes(std::span<const Example> examples);

/// Chooses from `old.train` by the recipe's method: TF-IDF over the tokenizer's words of both
/// tasks' training texts, herding over `features`, (n, C) row-major of old.train
/// (pooled_features()), which no other method asks for. A pure function of texts, recipe, seed and
/// features. Throws std::runtime_error, naming the task, when no text fits into the budget.
Memory select_memory(const ReplayRecipe& replay, const TaskData& old, const TaskData& fresh,
                     const Tokenizer& tokenizer, std::uint64_t seed,
                     const std::function<std::vector<float>()>& features = {});

/// The first line of replay.csv, and one for each text that is kept: task, line (in the task's
/// training file), label, score, reason, text, text_pair. read_examples() reads it, too.
inline constexpr std::string_view kReplayHeader = "task,line,label,score,reason,text,text_pair\n";
std::string replay_row(std::string_view task, const Example& example, const Selected& selected);

/// Writes replay.csv of all tasks' memories.
void write_replay(const std::filesystem::path& path, std::span<const Memory> memories,
                  std::span<const TaskData> tasks);

/// The texts of a task whose training file is gone.
struct StoredMemory {
  std::vector<Example> examples;   // `line` is that of the old training file, 0 where not known
  std::vector<Selected> selected;  // one for each example, in order; score and reason as stored
};

/// What read_memory() throws for a well-formed file without texts of the task.
struct NoTextsOfTask : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// Reads what an earlier run or `holdfast select` kept of `task`: a CSV or TSV file (also .gz or
/// .zst) with the columns text and label, and where they are there task, line, score, reason and
/// text_pair. Rows of other tasks are skipped; a row without a task belongs to `task` when it is
/// the `only_old_task`. Throws std::runtime_error, one line with file and line, for what is
/// malformed, a label that is none of `labels` and a row without a task among several old ones, and
/// NoTextsOfTask, naming the tasks that the file has.
StoredMemory read_memory(const std::filesystem::path& path, const std::string& task,
                         const std::vector<std::string>& labels, bool only_old_task);

}  // namespace holdfast
