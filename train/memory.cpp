#include "train/memory.h"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

#include "base/text.h"

namespace holdfast {

std::int64_t model_buffer_bytes(const Recipe& recipe, const Model& model) {
  const std::int64_t element = size_of(model.dtype());
  const std::int64_t models = 4 * element;   // the start and the learner: values and gradients
  const std::int64_t moments = 2 * element;  // of AdamW
  const std::int64_t ewc = recipe.ewc ? 2 * element : 0;     // anchor and importance
  const std::int64_t fisher = recipe.ewc ? 8 + element : 0;  // sums in f64 and F, before training
  return model.arena().numel() * (models + ewc + std::max(moments, fisher));
}

void check_memory_budget(const Recipe& recipe, const Model& model) {
  const std::int64_t budget = recipe.training.memory_budget;
  const std::int64_t least = model_buffer_bytes(recipe, model);
  if (budget == 0 || budget >= least) return;
  throw std::runtime_error(fmt::format(
      "training.memory_budget is {}, but the buffers of this model alone (weights, "
      "gradients, moments{}) take {} ({} bytes), and activations come on top: raise it",
      human_bytes(budget), recipe.ewc ? ", anchor, importance" : "", human_bytes(least), least));
}

}  // namespace holdfast
