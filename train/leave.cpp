#include "train/leave.h"

#include <algorithm>

#include "base/file.h"
#include "train/importance_file.h"
#include "train/inherit.h"

namespace holdfast {
namespace {

std::filesystem::path file_of_old(const RunContext& run, const TaskData& task) {
  return run.output() / importance_file(run.recipe.old.size() == 1 ? "" : task.name);
}

void hand_on_importance(const RunContext& run) {
  const std::string weights = weights_digest(run.model.arena());
  for (const TaskData& task : run.inputs.tasks) {
    if (!task.old) {
      continue;
    }
    const std::filesystem::path to = file_of_old(run, task);
    const std::filesystem::path from = std::filesystem::exists(to) ? to
                                       : task.importance.empty()   ? task.left_importance
                                                                   : task.importance;
    if (from.empty()) {
      continue;
    }
    Importance importance = load_importance(from, run.model.arena(), task.heads.start);
    carry_to_grown_head(run.model, task.heads, importance.values);
    importance.belongs_to(task.name, task.heads.now);
    ++importance.age;
    if (!importance.weights.empty()) {
      importance.weights = weights;
    }
    save_importance(to, importance, run.model.arena());
  }
}

// Rows of memory.csv: texts of old tasks that [replay] has not kept.
std::string texts_handed_on(const RunContext& run, const Prepared& prepared) {
  std::string rows;
  for (const TaskData& task : run.inputs.tasks) {
    const bool kept = std::any_of(prepared.memories.begin(), prepared.memories.end(),
                                  [&](const Memory& memory) { return memory.task == task.name; });
    if (kept || task.left_memory.empty()) {
      continue;
    }
    const StoredMemory stored =
        read_memory(task.left_memory, task.name, task.classes.labels, false);
    for (std::size_t i = 0; i < stored.examples.size(); ++i) {
      rows += replay_row(task.name, stored.examples[i], stored.selected[i]);
    }
  }
  return rows;
}

std::string texts_of_new_task(const RunContext& run) {
  const TaskData& fresh = run.inputs.fresh();
  ReplayRecipe keep;
  keep.keep = run.recipe.leave.memory;
  keep.select = "balanced";
  std::string rows;
  for (const Selected& selected :
       select_memory(keep, fresh, fresh, run.inputs.tokenizer, run.seed()).selected) {
    rows +=
        replay_row(fresh.name, fresh.examples[static_cast<std::size_t>(selected.index)], selected);
  }
  return rows;
}

void leave_importance(const RunContext& run, const Prepared& prepared) {
  const std::string& kind = run.recipe.leave.importance;
  if (!prepared.path && kind == "none") {
    return;
  }
  const TaskData& fresh = run.inputs.fresh();
  if (!prepared.path) {
    run.model.arena().train_all();
  }
  Importance importance = prepared.path ? prepared.path->finish(run.model.arena(), fresh.heads.now)
                                        : importance_of(run, fresh, kind, 0);
  importance.belongs_to(fresh.name, fresh.heads.now);
  save_importance(run.output() / importance_file(fresh.name), importance, run.model.arena());
}

}  // namespace

void set_importance_aside(const RunContext& run, Prepared& prepared) {
  const Timed timed(run.result.seconds.leave);
  for (std::size_t t = 0; t < prepared.importances.size(); ++t) {
    const TaskData& task = run.inputs.tasks[t];
    if (task.importance.empty()) {
      save_importance(file_of_old(run, task), prepared.importances[t], run.model.arena());
    }
  }
  if (!run.recipe.merge || run.recipe.merge->method != "fisher") {
    prepared.importances.clear();  // 22 million numbers a task that no one asks for any more
  }
}

void leave_behind(const RunContext& run, const Prepared& prepared) {
  const Timed timed(run.result.seconds.leave);
  if (!prepared.memories.empty()) {
    write_replay(run.output() / kReplayFile, prepared.memories, run.inputs.tasks);
  }
  std::string rows = texts_handed_on(run, prepared);
  if (!run.result.interrupted && run.recipe.leave.memory > 0) {
    rows += texts_of_new_task(run);
  }
  if (!rows.empty()) {
    write_file(run.output() / kMemoryFile, std::string(kReplayHeader) + rows);
  }
  hand_on_importance(run);
  if (!run.result.interrupted) {
    leave_importance(run, prepared);
  }
}

}  // namespace holdfast
