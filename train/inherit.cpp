#include "train/inherit.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <set>

#include "base/utf8.h"
#include "train/importance_file.h"
#include "train/replay.h"

namespace holdfast {
namespace {

namespace fs = std::filesystem;

std::string shown(const fs::path& file) { return utf8::printable(file.string()); }

std::runtime_error missing(const char* table, const TaskData& task, const std::string& needs) {
  return std::runtime_error(fmt::format(
      "{}: task {} has no train, and {}; leave this table out, and the task is only measured",
      table, task.name, needs));
}

// The first of the files that holds texts of the task. Throws std::runtime_error when none does
// because one cannot be read.
fs::path memory_of(const TaskData& task, const std::vector<fs::path>& files) {
  std::string unreadable;
  for (const fs::path& file : files) {
    try {
      read_memory(file, task.name, task.classes.labels, false);
      return file;
    } catch (const NoTextsOfTask&) {
    } catch (const std::runtime_error& error) {
      unreadable = error.what();
    }
  }
  if (!unreadable.empty()) throw std::runtime_error(unreadable);
  return {};
}

// As memory_of(); what cannot be read is noticed when the recipe does not need it.
void look_for_memory(TaskData& task, const Inheritance& beside, const Recipe& recipe,
                     Notices& notices) {
  try {
    task.left_memory = memory_of(task, beside.memories);
  } catch (const std::runtime_error& error) {
    if (recipe.replay && recipe.replay->memory.empty() && task.train.empty()) throw;
    notices.push_back(
        fmt::format("{}; texts of task {} are not handed on", error.what(), task.name));
  }
}

// Texts for [replay] from the named file, which must serve, or else from beside the model.
void take_memory(TaskData& task, std::int32_t number, const DataRecipe& data, const Recipe& recipe,
                 const Tokenizer& tokenizer) {
  const fs::path file =
      recipe.replay->memory.empty() ? task.left_memory : fs::path(recipe.replay->memory);
  if (file.empty()) {
    throw missing("replay", task,
                  "no earlier run has left texts of it beside the model: give replay.memory");
  }
  const bool only = recipe.old.size() == 1;
  StoredMemory stored = read_memory(file, task.name, task.classes.labels, only);
  task.kept_samples = to_samples(stored.examples, data, file.string(), task.classes.labels,
                                 tokenizer, task.classes.first);
  for (Sample& sample : task.kept_samples) {
    sample.task = number;
  }
  task.examples = std::move(stored.examples);
  task.kept = std::move(stored.selected);
}

// Importance for the old tasks, and whose it is.
class ImportanceFinder {
 public:
  ImportanceFinder(const Inputs& inputs, const Recipe& recipe)
      : recipe_(recipe), weights_(weights_digest(inputs.model.arena())) {
    if (!recipe.ewc || recipe.ewc->importance.empty()) {
      return;
    }
    const std::string task = read_importance_card(recipe.ewc->importance).task;
    std::vector<std::string> names;
    for (const DataRecipe& old : recipe.old) {
      names.push_back(old.name);
      named_for_ = serves(task, old.name) ? old.name : named_for_;
    }
    if (named_for_.empty()) {
      throw std::runtime_error(fmt::format(
          "{}: is the importance to task {}, and the old tasks are {}",
          shown(recipe.ewc->importance), utf8::printable(task), fmt::join(names, " and ")));
    }
  }

  bool fits(const fs::path& file) const {
    const ImportanceCard card = read_importance_card(file);
    return card.weights.empty() || card.weights == weights_;
  }

  // The file that the run uses for the task; empty: none.
  fs::path operator()(const TaskData& task) const {
    const fs::path file = task.name == named_for_ ? fs::path(recipe_.ewc->importance)
                          : task.train.empty()    ? task.left_importance
                                                  : fs::path();
    if (!file.empty() && !fits(file)) {
      throw std::runtime_error(fmt::format(
          "{}: was measured at other weights than {} has: the model has been trained further "
          "since. Start from the model it was left beside, or measure again",
          shown(file), recipe_.model));
    }
    return file;
  }

 private:
  // A file of the only old task may name its head alone, which has no name or other tasks, too.
  bool serves(const std::string& task, const std::string& old) const {
    const bool has_part = fmt::format("+{}+", task).find(fmt::format("+{}+", old)) != task.npos;
    return task == old || (recipe_.old.size() == 1 && (task == "default" || has_part));
  }

  const Recipe& recipe_;
  std::string weights_, named_for_;
};

void notice_kind(const TaskData& task, const EwcRecipe& ewc, Notices& notices) {
  const ImportanceCard card = read_importance_card(task.importance);
  if (name_of(card.kind) != ewc.fisher || (ewc.samples > 0 && ewc.samples != card.samples)) {
    notices.push_back(fmt::format(
        "task {}: {} holds {} importance of {} {}, which is used; ewc.fisher and ewc.samples "
        "are for what is measured",
        task.name, shown(task.importance), name_of(card.kind), card.samples,
        card.kind == ImportanceKind::si ? "steps" : "texts"));
  }
}

// [merge] measures the trained model by the kind that the old tasks have.
void check_merge(const Inputs& inputs, const Recipe& recipe) {
  const std::string fisher = recipe.ewc.value_or(EwcRecipe{}).fisher;
  bool mas = false, other = false;
  for (const TaskData& task : inputs.tasks) {
    if (!task.old) {
      continue;
    }
    const ImportanceKind kind = task.importance.empty()
                                    ? parse_importance_kind(fisher)
                                    : read_importance_card(task.importance).kind;
    if (kind == ImportanceKind::si) {
      throw std::runtime_error(fmt::format(
          "merge: method = \"fisher\" measures the trained model as the old tasks were, and the "
          "importance to task {} was recorded while it was learnt (si)",
          task.name));
    }
    (kind == ImportanceKind::mas ? mas : other) = true;
  }
  if (mas && other) {
    throw std::runtime_error(
        "merge: method = \"fisher\" cannot add the old tasks' importances: some are mas, some are "
        "Fisher information");
  }
}

}  // namespace

std::string importance_file(const std::string& task) {
  return task.empty() ? "importance.safetensors" : "importance." + task + ".safetensors";
}

Inheritance look_beside(const fs::path& model) {
  Inheritance found;
  const fs::path folder = (model.has_filename() ? model : model.parent_path()).parent_path();
  std::error_code error;
  for (const char* name : {kReplayFile, kMemoryFile}) {
    if (fs::exists(folder / name, error)) {
      found.memories.push_back(folder / name);
    }
  }
  const fs::path here = folder.empty() ? "." : folder;
  std::set<std::string> names;
  for (const auto& entry : fs::directory_iterator(here, error)) {
    names.insert(entry.path().filename().string());
  }
  for (const std::string& name : names) {
    if (!name.starts_with("importance.") || !name.ends_with(".safetensors")) {
      continue;
    }
    try {
      const std::string task = read_importance_card(folder / name).task;
      if (name == importance_file(task) || !found.importance.contains(task)) {
        found.importance[task] = folder / name;
      }
    } catch (const std::runtime_error& unreadable) {
      found.unreadable.emplace_back(unreadable.what());
    }
  }
  return found;
}

void inherit(Inputs& inputs, const Recipe& recipe) {
  const Inheritance beside = look_beside(recipe.model);
  const ImportanceFinder importance_of(inputs, recipe);
  const bool needs_file = recipe.ewc && recipe.ewc->fisher == "si";
  for (const std::string& unreadable : beside.unreadable) {
    inputs.notices.push_back(unreadable + "; it is not handed on");
  }
  for (std::size_t t = 0; t < recipe.old.size(); ++t) {
    TaskData& task = inputs.tasks[t];
    look_for_memory(task, beside, recipe, inputs.notices);
    if (const auto found = beside.importance.find(task.name); found != beside.importance.end()) {
      task.left_importance = found->second;
    }
    if (recipe.replay && task.train.empty()) {
      take_memory(task, static_cast<std::int32_t>(t), recipe.old[t], recipe, inputs.tokenizer);
    }
    if (recipe.needs_importance()) {
      task.importance = importance_of(task);
      if (task.importance.empty() && task.train.empty()) {
        if (!beside.unreadable.empty()) throw std::runtime_error(beside.unreadable.front());
        throw missing(
            recipe.ewc       ? "ewc"
            : recipe.protect ? "protect"
                             : "merge",
            task, "no earlier run has left its importance beside the model: give ewc.importance");
      }
      if (task.importance.empty() && needs_file) {
        throw std::runtime_error(
            fmt::format("ewc.fisher = \"si\" is recorded while task {} is learnt: train it with "
                        "leave.path = true, and give ewc.importance",
                        task.name));
      }
    }
    if (recipe.ewc && !task.importance.empty()) {
      notice_kind(task, *recipe.ewc, inputs.notices);
    }
    if (!task.left_importance.empty() && !importance_of.fits(task.left_importance)) {
      inputs.notices.push_back(
          fmt::format("task {}: {} belongs to other weights than {} has, and is not handed on",
                      task.name, shown(task.left_importance), recipe.model));
      task.left_importance.clear();
    }
  }
  if (recipe.merge && recipe.merge->method == "fisher") {
    check_merge(inputs, recipe);
  }
}

void carry_to_grown_head(const Model& model, const TaskHeads& heads, const Tensor& values) {
  if (heads.start == heads.now) {
    return;
  }
  for (const char* kind : {"weight", "bias"}) {
    const NamedSlice& from = *model.arena().find(model.head(heads.start)->slice_name(kind));
    const NamedSlice& to = *model.arena().find(model.head(heads.now)->slice_name(kind));
    values.slice(0, to.offset, to.offset + from.size)
        .copy_from(values.slice(0, from.offset, from.offset + from.size));
  }
}

}  // namespace holdfast
