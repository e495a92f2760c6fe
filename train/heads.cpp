#include "train/heads.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>

#include "base/utf8.h"

namespace holdfast {
namespace {

std::string shown(const std::vector<std::string>& labels) {
  constexpr std::size_t kShown = 12;
  std::string text;
  for (std::size_t i = 0; i < std::min(labels.size(), kShown); ++i) {
    text += (i == 0 ? "" : ", ") + utf8::printable(labels[i]);
  }
  return labels.size() > kShown ? text + ", ..." : text;
}

bool same_labels(const std::vector<std::string>& a, const std::vector<std::string>& b) {
  return std::set(a.begin(), a.end()) == std::set(b.begin(), b.end());
}

// The one head that all old tasks have.
const Head& only_head(const Model& model, const Recipe& recipe,
                      const std::vector<std::string>& old_heads) {
  if (std::set(old_heads.begin(), old_heads.end()).size() != 1) {
    throw std::runtime_error(fmt::format(
        "heads.scenario = \"{}\" goes on with one head for all old tasks, but {} has {}",
        recipe.heads.scenario, utf8::printable(recipe.model), fmt::join(old_heads, " and ")));
  }
  return *model.head(old_heads.front());
}

void refuse_known(const Model& model, const Recipe& recipe) {
  if (head_of_task(model, recipe.fresh.name)) {
    throw std::runtime_error(fmt::format(
        "heads.scenario = \"{}\": {} has a head for task {} already; give the new task another "
        "name",
        recipe.heads.scenario, utf8::printable(recipe.model), recipe.fresh.name));
  }
}

std::string own_head(Model& model, const Recipe& recipe, const std::vector<std::string>& labels,
                     Notices& notices) {
  const std::string& task = recipe.fresh.name;
  const Head* present = head_of_task(model, task);
  if (!present) {
    model.add_head(task, labels, static_cast<std::uint64_t>(recipe.seed));
    return task;
  }
  if (!same_labels(labels, present->labels)) {
    throw std::runtime_error(fmt::format(
        "{}: the labels are {}, but the model's head for task {} has {}: give the new task "
        "another name",
        utf8::printable(recipe.fresh.train), shown(labels), task, shown(present->labels)));
  }
  notices.push_back("task " + task + " has a head already, which is trained further");
  return present->task;
}

std::string shared_head(Model& model, const Recipe& recipe, const std::string& old,
                        const std::vector<std::string>& labels) {
  const Head& head = *model.head(old);
  if (!same_labels(labels, head.labels)) {
    throw std::runtime_error(
        fmt::format("{}: heads.scenario = \"domain\" needs the old labels, {}, and found {}",
                    utf8::printable(recipe.fresh.train), shown(head.labels), shown(labels)));
  }
  const std::string name = old + '+' + recipe.fresh.name;
  model.rename_head(old, name);
  return name;
}

// Names of a head's classes: the blocks' labels, all with their task's name unless they are unique
// without.
std::vector<std::string> class_names(const std::vector<LabelBlock>& blocks) {
  std::vector<std::string> plain, told_apart;
  for (const LabelBlock& block : blocks) {
    for (const std::string& label : block.labels) {
      plain.push_back(label);
      told_apart.push_back(block.task + ':' + label);
    }
  }
  const bool unique = std::set(plain.begin(), plain.end()).size() == plain.size();
  return unique ? plain : told_apart;
}

std::string grown_head(Model& model, const Recipe& recipe, const std::string& old,
                       const std::vector<std::string>& labels) {
  const std::string name = old + '+' + recipe.fresh.name;
  std::vector<LabelBlock> blocks = model.head(old)->blocks;
  if (blocks.empty()) {
    blocks.push_back({old, model.head(old)->labels});
  }
  blocks.push_back({recipe.fresh.name, labels});
  model.add_head(name, class_names(blocks), static_cast<std::uint64_t>(recipe.seed), blocks);
  ParameterArena& arena = model.arena();
  for (const auto& [from, to] : {std::pair{model.head(old)->weight, model.head(name)->weight},
                                 {model.head(old)->bias, model.head(name)->bias}}) {
    const Tensor values = arena[from].value;
    arena[to].value.slice(0, 0, values.size(0)).copy_from(values);
  }
  return name;
}

// Whether a head or block of this name, as "news+medical", is of the task.
bool is_of_task(std::string_view name, std::string_view task) {
  return fmt::format("+{}+", name).find(fmt::format("+{}+", task)) != std::string::npos;
}

}  // namespace

TaskClasses classes_of(const Head& head, std::string_view task) {
  std::int32_t first = 0;
  for (const LabelBlock& block : head.blocks) {
    if (is_of_task(block.task, task)) {
      return {block.labels, first};
    }
    first += static_cast<std::int32_t>(block.labels.size());
  }
  return {head.labels, 0};
}

const Head* head_of_task(const Model& model, std::string_view task) {
  if (const Head* own = model.head(task)) {
    return own;
  }
  for (const Head& head : model.heads()) {
    if (is_of_task(head.task, task)) {
      return &head;
    }
  }
  return nullptr;
}

std::vector<std::string> adopt_old_heads(Model& model, const Recipe& recipe, Notices& notices) {
  std::vector<std::string> heads;
  for (const DataRecipe& old : recipe.old) {
    const bool nameless = model.heads().size() == 1 && model.heads().front().task == "default";
    if (!head_of_task(model, old.name) && recipe.old.size() == 1 && nameless) {
      notices.push_back(fmt::format("the classifier of {} is taken for task {}",
                                    utf8::printable(recipe.model), old.name));
      model.rename_head("default", old.name);
    }
    const Head* head = head_of_task(model, old.name);
    if (!head) {
      std::vector<std::string> names;
      for (const Head& candidate : model.heads()) {
        names.push_back(candidate.task);
      }
      throw std::runtime_error(fmt::format(
          "{}: has no head for the old task {}{}", utf8::printable(recipe.model), old.name,
          names.empty() ? ": train it on this task first" : "; it has: " + shown(names)));
    }
    heads.push_back(head->task);
  }
  return heads;
}

std::vector<TaskHeads> prepare_heads(Model& model, const Recipe& recipe,
                                     std::vector<std::string> old_heads,
                                     const std::vector<std::string>& new_labels, Notices& notices) {
  std::vector<TaskHeads> heads;
  if (recipe.heads.scenario == "task") {
    for (const std::string& old : old_heads) {
      heads.push_back({old, old});
    }
    const std::string own = own_head(model, recipe, new_labels, notices);
    heads.push_back({own, own});
    return heads;
  }
  const bool grows = recipe.heads.scenario == "class";
  refuse_known(model, recipe);
  const std::string old = only_head(model, recipe, old_heads).task;
  const std::string now = grows ? grown_head(model, recipe, old, new_labels)
                                : shared_head(model, recipe, old, new_labels);
  for (std::size_t i = 0; i < old_heads.size(); ++i) {
    heads.push_back({grows ? old : now, now});
  }
  heads.push_back({now, now});
  return heads;
}

}  // namespace holdfast
