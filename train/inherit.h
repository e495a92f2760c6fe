// What an earlier run left beside the model that it wrote: texts and importance of the tasks that
// the model knows. Tested by tests/train/inherit_test.cpp.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "train/dataset.h"

namespace holdfast {

inline constexpr const char* kReplayFile = "replay.csv";  // texts of a run's old tasks
inline constexpr const char* kMemoryFile = "memory.csv";  // texts of its new task
/// importance.<task>.safetensors; of a run's only old task importance.safetensors.
std::string importance_file(const std::string& task);

struct Inheritance {
  std::vector<std::filesystem::path> memories;              // kReplayFile, kMemoryFile, as found
  std::map<std::string, std::filesystem::path> importance;  // by task
};

/// Looks in the folder that holds `model`. Throws std::runtime_error for an importance file there
/// that cannot be read.
Inheritance look_beside(const std::filesystem::path& model);

/// Gives the old tasks of `inputs` that have no training texts what the recipe's measures need of
/// them: texts from replay.memory, else from beside the model; importance from ewc.importance, else
/// from beside the model. A task that has its texts takes importance from ewc.importance alone.
/// Throws std::runtime_error, one line, naming the measure, when nothing is there.
void inherit(Inputs& inputs, const Recipe& recipe);

}  // namespace holdfast
