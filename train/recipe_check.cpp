#include "train/recipe_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

namespace holdfast {
namespace {

class Checker {
 public:
  Checker(const Toml& document, const std::string& file) : document_(document), file_(file) {}

  /// Refuses table `name` for this reason when `bad`.
  void refuse_if(bool bad, const char* name, const std::string& reason) const {
    if (!bad) {
      return;
    }
    const Toml* table = document_.find(name);
    throw table ? table->error(reason)
                : std::runtime_error(fmt::format("{}: {} {}", file_, name, reason));
  }

 private:
  const Toml& document_;
  const std::string& file_;
};

void check_tasks(const Recipe& recipe, const Toml& document, const std::string& file) {
  for (const auto& [key, value] : {std::pair("model", recipe.model), {"output", recipe.output}}) {
    if (value.empty()) {
      throw std::runtime_error(fmt::format("{}: needs a key {} = \"DIRECTORY\"", file, key));
    }
  }
  if (recipe.fresh.name.empty()) {
    throw std::runtime_error(file + ": needs a table [new], the task to learn");
  }
  if (recipe.fresh.train.empty()) {
    throw std::runtime_error(document.at("new").where() + "new needs train: the texts to learn");
  }
  std::set<std::string> names{recipe.fresh.name};
  for (const DataRecipe& old : recipe.old) {
    if (!names.insert(old.name).second) {
      throw std::runtime_error(file + ": has two tasks of the name \"" + old.name + '"');
    }
  }
}

// Measures that hold on to an old task need one.
void check_old(const Recipe& recipe, const Checker& checker) {
  if (!recipe.old.empty()) {
    return;
  }
  const std::string reason = "needs an [[old]] task: there is none";
  checker.refuse_if(recipe.replay.has_value(), "replay", reason);
  checker.refuse_if(recipe.ewc.has_value(), "ewc", reason);
  checker.refuse_if(recipe.distill.has_value(), "distill", reason);
  checker.refuse_if(recipe.gradient.has_value(), "gradient", reason);
  checker.refuse_if(recipe.merge && recipe.merge->method == "fisher", "merge",
                    "weighs by importance to an [[old]] task: there is none");
  checker.refuse_if(recipe.heads.scenario != "task", "heads",
                    fmt::format("has scenario = \"{}\" and no [[old]] task to share a head with",
                                recipe.heads.scenario));
}

void check_replay(const Recipe& recipe, const Checker& checker) {
  const bool needs_memory =
      recipe.gradient || (recipe.distill && recipe.distill->method == "der++");
  checker.refuse_if(recipe.gradient && !recipe.replay, "gradient",
                    "needs [replay]: a-gem compares with the memory's gradient");
  checker.refuse_if(needs_memory && !recipe.replay, "distill",
                    "needs [replay]: der++ keeps the old model's answers to the memory's texts");
  checker.refuse_if(recipe.replay && recipe.replay->share == 0 && !recipe.gradient, "replay",
                    "has share = 0: no text of the memory would ever be used");
  const bool another_end =
      recipe.evaluation.keep_best || recipe.training.early_stop > 0 || recipe.merge;
  checker.refuse_if(recipe.leave.path && another_end, "leave",
                    "has path = true: synaptic intelligence divides by the way from the first step "
                    "to the last, and keep_best, early_stop and merge keep another model");
  checker.refuse_if(recipe.leave.path && recipe.replay, "leave",
                    "has path = true: synaptic intelligence follows the gradient of the new task "
                    "alone, and [replay] mixes old texts into it");
  checker.refuse_if(
      recipe.leave.path && (recipe.adapter || recipe.gradient || recipe.mixout || recipe.distill),
      "leave",
      "has path = true: synaptic intelligence follows the plain gradient of the "
      "task, which adapter, gradient, mixout and distill change");
}

// Measures that hold the encoder's weights say nothing where these do not move. Those that an
// adapter leaves nothing to hold are refused when the model is known (dataset.cpp).
void check_still(const Recipe& recipe, const Checker& checker) {
  const bool frozen = recipe.training.encoder == "frozen";
  if (!recipe.adapter && !frozen) {
    return;
  }
  if (frozen) {
    for (const std::string& measure : holding_measures(recipe)) {
      checker.refuse_if(true, measure.c_str(),
                        "has nothing to hold: training.encoder is \"frozen\"");
    }
  }
  checker.refuse_if(recipe.unfreeze.has_value(), "unfreeze",
                    frozen ? "has nothing to thaw: training.encoder is \"frozen\""
                           : "has nothing to thaw: with [adapter] the encoder stays as it is");
  checker.refuse_if(frozen && recipe.adapter, "adapter",
                    "is in the encoder, and training.encoder is \"frozen\"");
  checker.refuse_if(frozen && recipe.gradient, "gradient",
                    "has nothing to project: training.encoder is \"frozen\"");
  checker.refuse_if(frozen && recipe.merge, "merge",
                    "has nothing to merge: training.encoder is \"frozen\"");
  checker.refuse_if(recipe.merge && recipe.merge->method == "fisher" && recipe.adapter, "merge",
                    "weighs by the importance of weights that an adapter leaves where they are: "
                    "take method = \"linear\"");
}

void check_protect(const Recipe& recipe, const Checker& checker) {
  checker.refuse_if(
      recipe.protect && recipe.protect->bound == "tensor" && recipe.protect->mode == "freeze",
      "protect",
      "has bound = \"tensor\" and mode = \"freeze\": a whole tensor is only held within "
      "max_drift. Take mode = \"clamp\" or bound = \"weight\"");
}

// A stronger pull would throw weights past the old ones and away (RecAdam::check).
void check_recadam(const Recipe& recipe, const Checker& checker) {
  if (!recipe.recadam) {
    return;
  }
  const RateRecipe& rate = recipe.learning_rate;
  const double largest = rate.layer_wise() ? std::max(*rate.bottom, *rate.top) : rate.rate;
  const double pull = recipe.recadam->pull;
  checker.refuse_if(
      !(largest * pull < 2), "recadam",
      fmt::format("pulls too hard: with pull = {} learning rates must stay below {}, and they go "
                  "up to {}",
                  pull, 2 / pull, largest));
}

void check_splits(const Recipe& recipe, const Checker& checker) {
  const bool searched = recipe.merge && !recipe.merge->weight;
  const bool best = recipe.evaluation.keep_best || recipe.training.early_stop > 0;
  const bool no_new = recipe.fresh.valid.empty();
  const bool no_old = std::any_of(recipe.old.begin(), recipe.old.end(),
                                  [](const DataRecipe& old) { return old.valid.empty(); });
  const std::string reason = "needs valid of the new task and of every [[old]] one";
  checker.refuse_if(searched && (no_new || no_old), "merge",
                    "searches its weight, which " + reason + ": or give weight = 0.5");
  checker.refuse_if(best && (no_new || no_old), "evaluation",
                    "chooses the best model (keep_best, early_stop), which " + reason);
  const AugmentRecipe augment = recipe.augment.value_or(AugmentRecipe{1, 0, 0, 0, ""});
  const bool changes = augment.swap > 0 || augment.remove > 0 || augment.insert > 0 ||
                       (!augment.synonyms.empty() && augment.replace > 0);
  checker.refuse_if(!changes, "augment", "changes nothing: set swap, delete, insert or synonyms");
}

}  // namespace

std::vector<std::string> holding_measures(const Recipe& recipe) {
  std::vector<std::string> measures;
  for (const auto& [on, name] : {std::pair(recipe.ewc.has_value(), "ewc"),
                                 {recipe.protect.has_value(), "protect"},
                                 {recipe.l2 && recipe.l2->weight > 0, "l2"},
                                 {recipe.recadam.has_value(), "recadam"},
                                 {recipe.mixout.has_value(), "mixout"}}) {
    if (on) {
      measures.emplace_back(name);
    }
  }
  return measures;
}

void check_whole(const Recipe& recipe, const Toml& document, const std::string& file) {
  check_tasks(recipe, document, file);
  const Checker checker(document, file);
  check_old(recipe, checker);
  check_replay(recipe, checker);
  check_still(recipe, checker);
  check_protect(recipe, checker);
  check_splits(recipe, checker);
  check_recadam(recipe, checker);
}

}  // namespace holdfast
