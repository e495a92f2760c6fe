// What a run stands on: its files, read and checked, and its recipe with nothing left open.
#include <algorithm>
#include <cmath>
#include <iterator>

#include "tensor/blas.h"
#include "tensor/cpu.h"
#include "tensor/storage.h"
#include "train/inherit.h"
#include "train/memory.h"
#include "train/output.h"
#include "train/replay.h"
#include "train/threads.h"
#include "train/trainer.h"
#include "train/without_effect.h"

namespace holdfast {

namespace {

void check_precision(const Recipe& recipe) {
  if (recipe.device.is_cuda()) return;  // has both
  if (recipe.tf32) {
    throw std::runtime_error(
        "precision = \"tf32\" needs a GPU: take precision = \"f32\", or device = \"cuda\"");
  }
  const std::string missing = recipe.precision == DType::bf16 ? missing_for_bf16() : "";
  if (!missing.empty()) {
    throw std::runtime_error("precision = \"bf16\" needs " + missing +
                             ": take precision = \"f32\"");
  }
}

}  // namespace

Inputs open_inputs(const Recipe& recipe, const Hooks& hooks, double* seconds) try {
  const Stopwatch watch;
  const PortableNumerics numerics(recipe.portable());
  const OnDevice device(recipe.device);
  check_precision(recipe);
  check_output(recipe.output, recipe.model);
  const ThreadChoice choice = use_threads(recipe.threads);
  set_memory_budget(0);
  Inputs inputs =
      load_inputs(recipe, [&](const std::string& file, std::int64_t done, std::int64_t total) {
        if (hooks.progress) {
          hooks.progress({.phase = "read", .detail = file, .done = done, .total = total});
        }
      });
  inherit(inputs, recipe);
  inputs.files = fingerprint_inputs(recipe, inputs);
  check_memory_budget(recipe, inputs.model);
  set_memory_budget(recipe.training.memory_budget);
  for (const TaskData& task : inputs.tasks) {
    if (task.old && recipe.replay && task.kept.empty()) {
      texts_to_keep(*recipe.replay, task);
    }
  }
  inputs.notices.insert(inputs.notices.begin(), choice.reason);
  std::ranges::copy(settings_without_effect(recipe), std::back_inserter(inputs.notices));
  for (const std::string& line : inputs.notices) {
    if (hooks.notice) {
      hooks.notice(line);
    }
  }
  if (seconds) {
    *seconds = watch.seconds();
  }
  return inputs;
} catch (const std::exception& error) {
  throw Refused(error.what());
}

Recipe resolve(Recipe recipe, const Inputs& inputs) {
  TrainingRecipe& training = recipe.training;
  if (training.steps == 0) {
    const double texts = training.epochs * static_cast<double>(inputs.fresh().train.size());
    training.steps =
        static_cast<std::int64_t>(std::ceil(texts / static_cast<double>(training.batch_size)));
  }
  if (recipe.evaluation.every == 0) {
    recipe.evaluation.every = std::min<std::int64_t>((training.steps + 7) / 8, 500);
  }
  return recipe;
}

}  // namespace holdfast
