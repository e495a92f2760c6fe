// Which head answers for which task: one each, one over all labels, or one for the same labels.
// Tested by tests/train/heads_test.cpp.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "nn/model.h"
#include "train/recipe.h"

namespace holdfast {

/// A task's head before training, and from then on. They differ for old tasks of scenario "class"
/// alone, whose head grows.
struct TaskHeads {
  std::string start, now;
};

/// The classes of a head that a task's texts can have.
struct TaskClasses {
  std::vector<std::string> labels;  // as the texts have them
  std::int32_t first = 0;           // class of labels[0]; the others follow
};

/// The classes that `task` has of `head`: its block's; all, where it has no block.
TaskClasses classes_of(const Head& head, std::string_view task);

/// The head of `task`: the one of its name, or the one that shares it, named as in "news+medical".
/// Null if there is none.
const Head* head_of_task(const Model& model, std::string_view task);

/// The heads of all old tasks, in the recipe's order. A model's only head, of no name ("default"),
/// becomes the only old task's. Throws std::runtime_error naming the heads there are when a task
/// has none.
std::vector<std::string> adopt_old_heads(Model& model, const Recipe& recipe, Notices& notices);

/// The new task's head, by [heads] scenario [van de Ven & Tolias 2019]:
///   task    its own, with these labels; one that is there already is trained further
///   domain  the old tasks' head, which must have the same labels, is shared: "<old>+<new>"
///   class   a head "<old>+<new>" over the old head's labels and then these, a block a task; old
///           labels' rows begin as they were. When tasks have a label in common, all are told
///           apart: "<task>:<label>".
/// Returns the heads of the old tasks, then the new one's. Throws std::runtime_error, one line,
/// when that cannot be.
std::vector<TaskHeads> prepare_heads(Model& model, const Recipe& recipe,
                                     std::vector<std::string> old_heads,
                                     const std::vector<std::string>& new_labels, Notices& notices);

}  // namespace holdfast
