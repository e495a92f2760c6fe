#include "train/memory.h"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

#include "base/text.h"

namespace holdfast {

std::int64_t model_buffer_bytes(const Recipe& recipe, const Model& model) {
  const std::int64_t element = size_of(model.dtype());
  const std::int64_t measuring = 8 + element;  // sums in f64 and F, while importance is measured
  const std::int64_t models = 4 * element;     // the start and the learner: values and gradients

  std::int64_t held = 0;  // from the first step to the last
  const bool to_old = recipe.l2 && recipe.l2->toward == "old";
  held += recipe.ewc ? 2 * element : 0;  // anchor and importance
  held +=
      !recipe.ewc && (recipe.protect || recipe.recadam || recipe.mixout || to_old) ? element : 0;
  held += recipe.protect ? 1 : 0;         // which weights are key
  held += recipe.mixout ? element : 0;    // the weights that are set aside
  held += recipe.gradient ? element : 0;  // the reference gradient
  held += recipe.leave.path ? 2 * element + 8 : 0;
  const bool best = recipe.evaluation.keep_best || recipe.training.early_stop > 0;
  held += best ? element : 0;

  const std::int64_t before = recipe.needs_importance() ? measuring : 0;
  const std::int64_t training = 2 * element;  // moments of AdamW
  const std::int64_t merging = recipe.merge ? 2 * element : 0;
  const std::int64_t leaving = recipe.leave.importance != "none" ? measuring : 0;
  return model.arena().numel() * (models + held + std::max({before, training, merging, leaving}));
}

void check_memory_budget(const Recipe& recipe, const Model& model) {
  const std::int64_t budget = recipe.training.memory_budget;
  const std::int64_t least = model_buffer_bytes(recipe, model);
  if (budget == 0 || budget >= least) return;
  throw std::runtime_error(fmt::format(
      "training.memory_budget is {}, but the buffers of this model alone (weights, "
      "gradients, moments, what measures hold) take {} ({} bytes), and activations come on "
      "top: raise it",
      human_bytes(budget), human_bytes(least), least));
}

}  // namespace holdfast
