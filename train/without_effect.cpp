#include "train/without_effect.h"

#include <fmt/format.h>

namespace holdfast {
namespace {

class Lines {
 public:
  void zero(bool is_zero, const char* measure, const char* keys) {
    if (is_zero) lines.push_back(fmt::format("{} does nothing: {} is 0", measure, keys));
  }
  void idle(bool changed, bool read, const char* key, const char* reader) {
    if (changed && !read) lines.push_back(fmt::format("{} has no effect: {}", key, reader));
  }

  std::vector<std::string> lines;
};

void of_penalties(const Recipe& recipe, Lines& out) {
  if (recipe.ewc) out.zero(recipe.ewc->lambda == 0, "ewc", "lambda");
  if (recipe.l2) {
    out.zero(recipe.l2->weight == 0 && recipe.l2->head == 0, "l2", "each of weight and head");
  }
  if (recipe.mixout) out.zero(recipe.mixout->probability == 0, "mixout", "probability");
  if (const auto& distill = recipe.distill) {
    out.zero(distill->alpha == 0, "distill", "alpha");
    out.idle(distill->temperature != DistillRecipe{}.temperature, distill->method == "lwf",
             "distill.temperature", "der++ compares logits as they are");
  }
  if (const auto& protect = recipe.protect) {
    out.idle(protect->max_drift != ProtectRecipe{}.max_drift, protect->mode == "clamp",
             "protect.max_drift", "mode = \"freeze\" lets key weights not move at all");
  }
}

void of_methods(const Recipe& recipe, Lines& out) {
  if (const auto& replay = recipe.replay) {
    out.idle(replay->diversity != ReplayRecipe{}.diversity, replay->select == "tfidf",
             "replay.diversity", "only select = \"tfidf\" weighs it");
  }
  if (const auto& adapter = recipe.adapter) {
    const bool lora = adapter->kind == "lora";
    out.idle(adapter->rank != AdapterRecipe{}.rank, lora, "adapter.rank", "only lora has it");
    out.idle(adapter->alpha != AdapterRecipe{}.alpha, lora, "adapter.alpha", "only lora has it");
    out.idle(adapter->size != 0, !lora, "adapter.size", "lora has a rank instead");
  }
  if (const auto& merge = recipe.merge) {
    const bool sparse = merge->method == "ties" || merge->method == "dare-ties";
    const bool vectors = sparse || merge->method == "task-arithmetic";
    out.idle(merge->density != MergeRecipe{}.density, sparse, "merge.density",
             "only ties and dare-ties leave parts of a task vector out");
    out.idle(merge->scale != MergeRecipe{}.scale, vectors, "merge.scale",
             "only task-arithmetic, ties and dare-ties add task vectors");
  }
  if (const auto& augment = recipe.augment) {
    out.idle(augment->replace != AugmentRecipe{}.replace, !augment->synonyms.empty(),
             "augment.replace", "there is no file of synonyms");
  }
}

}  // namespace

std::vector<std::string> settings_without_effect(const Recipe& recipe) {
  Lines out;
  of_penalties(recipe, out);
  of_methods(recipe, out);
  return out.lines;
}

}  // namespace holdfast
