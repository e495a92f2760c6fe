// What an earlier run left beside the model that it wrote: texts and importance of the tasks that
// the model knows. train/leave.h writes it. Tested by tests/train/inherit_test.cpp.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "train/dataset.h"

namespace holdfast {

inline constexpr const char* kReplayFile = "replay.csv";  // texts of a run's old tasks, of [replay]
inline constexpr const char* kMemoryFile = "memory.csv";  // of its new task, and handed on
/// importance.<task>.safetensors; of a run's only old task importance.safetensors.
std::string importance_file(const std::string& task);

struct Inheritance {
  std::vector<std::filesystem::path> memories;              // kReplayFile, kMemoryFile, as found
  std::map<std::string, std::filesystem::path> importance;  // by task, as the files say
  std::vector<std::string> unreadable;                      // importance files: what is wrong
};

/// Looks in the folder that holds `model`.
Inheritance look_beside(const std::filesystem::path& model);

/// Notes what is beside the model for each old task of `inputs`, and gives those that have no
/// training texts what the recipe's measures need: texts from replay.memory, else from beside the
/// model; importance from ewc.importance, else from beside the model. A task that has its texts
/// takes importance from ewc.importance alone. Throws std::runtime_error, one line, naming the
/// measure, when nothing is there, for importance of another task, of another model, or of a kind
/// that [merge] cannot weigh by, and for a file that is needed and cannot be read. What cannot be
/// read and is not needed is noticed, and not handed on.
void inherit(Inputs& inputs, const Recipe& recipe);

/// What `values` (the arena's numel) hold for the head at the start goes to the first rows of the
/// head that has grown from it.
void carry_to_grown_head(const Model& model, const TaskHeads& heads, const Tensor& values);

}  // namespace holdfast
