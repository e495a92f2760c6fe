#include "train/inherit.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/utf8.h"
#include "train/importance_file.h"
#include "train/replay.h"

namespace holdfast {
namespace {

std::runtime_error missing(const char* table, const TaskData& task, const std::string& needs) {
  return std::runtime_error(fmt::format(
      "{}: task {} has no train, and {}; leave this table out, and the task is only measured",
      table, task.name, needs));
}

bool has_rows_of(const std::filesystem::path& file, const TaskData& task, bool only) {
  try {
    read_memory(file, task.name, task.classes.labels, only);
    return true;
  } catch (const std::runtime_error&) {
    return false;
  }
}

// From the named file, which must serve; else from the first one beside the model that has the
// task.
void take_memory(TaskData& task, std::int32_t number, const DataRecipe& data, const Recipe& recipe,
                 const Inheritance& beside, const Tokenizer& tokenizer) {
  std::filesystem::path file = recipe.replay->memory;
  const bool only = recipe.old.size() == 1;
  for (const std::filesystem::path& candidate : beside.memories) {
    if (file.empty() && has_rows_of(candidate, task, false)) {
      file = candidate;
    }
  }
  if (file.empty()) {
    throw missing("replay", task,
                  "no earlier run has left texts of it beside the model: give "
                  "replay.memory");
  }
  StoredMemory stored = read_memory(file, task.name, task.classes.labels, only);
  task.kept_samples = to_samples(stored.examples, data, file.string(), task.classes.labels,
                                 tokenizer, task.classes.first);
  for (Sample& sample : task.kept_samples) {
    sample.task = number;
  }
  task.examples = std::move(stored.examples);
  task.kept = std::move(stored.selected);
}

// The file that recipe or folder has for the task; empty: none.
std::filesystem::path importance_for(const TaskData& task, const Recipe& recipe,
                                     const Inheritance& beside) {
  const std::string& named = recipe.ewc ? recipe.ewc->importance : std::string();
  if (!named.empty() &&
      (recipe.old.size() == 1 || read_importance_card(named).task == task.heads.start)) {
    return named;
  }
  for (const std::string& name : {task.name, task.heads.start}) {
    const auto found = beside.importance.find(name);
    if (found != beside.importance.end() && task.train.empty()) {
      return found->second;
    }
  }
  return {};
}

}  // namespace

std::string importance_file(const std::string& task) {
  return task.empty() ? "importance.safetensors" : "importance." + task + ".safetensors";
}

Inheritance look_beside(const std::filesystem::path& model) {
  Inheritance found;
  const std::filesystem::path folder =
      (model.has_filename() ? model : model.parent_path()).parent_path();
  std::error_code error;
  for (const char* name : {kReplayFile, kMemoryFile}) {
    if (std::filesystem::exists(folder / name, error)) {
      found.memories.push_back(folder / name);
    }
  }
  const std::filesystem::path here = folder.empty() ? "." : folder;
  for (const auto& entry : std::filesystem::directory_iterator(here, error)) {
    const std::string name = entry.path().filename().string();
    constexpr std::string_view kBegin = "importance.", kEnd = "safetensors";
    if (!name.starts_with(kBegin) || !name.ends_with(kEnd)) {
      continue;
    }
    const std::string middle =
        name.substr(kBegin.size(), name.size() - kBegin.size() - kEnd.size());
    const std::string task = middle.empty() ? read_importance_card(entry.path()).task
                                            : middle.substr(0, middle.size() - 1);
    found.importance[task] = folder / name;
  }
  return found;
}

void inherit(Inputs& inputs, const Recipe& recipe) {
  const Inheritance beside = look_beside(recipe.model);
  const bool needs_file = recipe.ewc && recipe.ewc->fisher == "si";
  for (std::size_t t = 0; t < recipe.old.size(); ++t) {
    TaskData& task = inputs.tasks[t];
    if (recipe.replay && task.train.empty()) {
      take_memory(task, static_cast<std::int32_t>(t), recipe.old[t], recipe, beside,
                  inputs.tokenizer);
    }
    if (!recipe.needs_importance()) {
      continue;
    }
    task.importance = importance_for(task, recipe, beside);
    if (task.importance.empty() && task.train.empty()) {
      throw missing(recipe.ewc       ? "ewc"
                    : recipe.protect ? "protect"
                                     : "merge",
                    task,
                    "no earlier run has left its importance beside the model: give ewc.importance");
    }
    if (task.importance.empty() && needs_file) {
      throw std::runtime_error(
          fmt::format("ewc.fisher = \"si\" is recorded while task {} is learnt: train it with "
                      "leave.path = true, "
                      "and give ewc.importance",
                      task.name));
    }
  }
}

}  // namespace holdfast
