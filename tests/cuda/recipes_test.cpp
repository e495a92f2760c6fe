// Runs of every measure on a device beside the CPU; several arms; a budget of memory; where the
// time goes.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "audit/reference/twins.h"
#include "autograd/ops.h"
#include "base/parallel.h"
#include "base/profile.h"
#include "tests/cuda/on_simulation.h"
#include "tests/reference/expect_error.h"
#include "tests/train/run_fixture.h"
#include "train/compare.h"
#include "train/memory.h"
#include "train/trainer.h"

namespace holdfast {
namespace {

using RecipesOnDevice = OnDeviceTest;

struct Case {
  const char* name;
  std::function<void(Recipe&)> change;
  double loss = 1e-8, weights = 1e-6;  // Adam divides gradients that are rounding by their size
};

const std::vector<Case>& cases() {
  static const std::vector<Case> all = {
      {"houlsby", [](Recipe& r) { r.ewc.reset(), r.adapter = {.kind = "houlsby"}; }},
      {"pfeiffer", [](Recipe& r) { r.ewc.reset(), r.adapter = {.kind = "pfeiffer"}; }},
      {"lora and merge",
       [](Recipe& r) {
         r.ewc.reset();
         r.adapter = {.kind = "lora"};
         r.merge.emplace().method = "linear";
       }},
      {"one head for all labels", [](Recipe& r) { r.heads.scenario = "class"; }},
      {"lwf", [](Recipe& r) { r.distill = {.method = "lwf"}; }},
      {"der++ and herding",
       [](Recipe& r) {
         r.distill = {.method = "der++"};
         r.replay->select = "herding";
       }},
      {"a-gem with mixout",
       [](Recipe& r) {
         r.gradient = {.projection = "a-gem", .texts = 8};
         r.mixout.emplace();
       }},
      {"merge by importance, searched", [](Recipe& r) { r.merge.emplace().method = "fisher"; }},
      {"merge by slerp",
       [](Recipe& r) {
         r.merge.emplace().method = "slerp";
         r.merge->weight = 0.5;
       }},
      {"ties and the best",
       [](Recipe& r) {
         r.merge.emplace().method = "ties";
         r.merge->weight = 0.5;
         r.evaluation.keep_best = true;
         r.training.early_stop = 1;
       }},
      {"gradual unfreezing",
       [](Recipe& r) {
         r.ewc.reset();
         r.unfreeze = {.schedule = "gradual", .every = 1};
       }},
      {"frozen encoder, three threads",
       [](Recipe& r) {
         r.ewc.reset();
         r.training.encoder = "frozen";
         r.threads = 3;
       }},
      {"bounds of neurons and of tensors", [](Recipe& r) { r.protect.emplace().unit = "neuron"; }},
      {"drift of tensors",
       [](Recipe& r) {
         r.protect.emplace().bound = "tensor";
         r.protect->max_drift = 0.001;
       }},
      {"path",
       [](Recipe& r) {
         r.replay.reset();
         r.leave = {.importance = "none", .memory = 0, .path = true};
       }},
      {"mas, augmented, balanced, smoothed", [](Recipe& r) {
         r.ewc->fisher = "mas";
         r.ewc->normalize = "max";
         r.augment.emplace().swap = 0.2;
         r.fresh.class_weights = "balanced";
         r.training.label_smoothing = 0.1;
       }}};
  return all;
}

Recipe recipe_of(const RunFixture& files, const std::string& output, Device device) {
  Recipe recipe = files.full(output);
  recipe.precision = DType::f64;
  recipe.device = device;
  recipe.training.steps = 4;
  recipe.evaluation.every = 2;
  return recipe;
}

Tensor weights_of(const RunFixture& files, const std::string& output) {
  return Model::load(files.path(output) / "model", DType::f64).arena().values();
}

TEST_P(RecipesOnDevice, EveryMeasureEqualsTheCpusInDouble) {
  for (const Case& one : cases()) {
    SCOPED_TRACE(one.name);
    const RunFixture files;
    const auto run = [&](const std::string& output, Device device) {
      Recipe recipe = recipe_of(files, output, device);
      one.change(recipe);
      return run_recipe(recipe);
    };
    const RunResult expected = run("cpu", Device()), found = run("gpu", {0});
    ASSERT_EQ(found.ledger.size(), expected.ledger.size());
    for (std::size_t i = 0; i < found.ledger.size(); ++i) {
      const StepRecord &a = found.ledger[i], &b = expected.ledger[i];
      EXPECT_LE(std::abs(a.loss - b.loss), one.loss * std::max(1.0, b.loss)) << i;
      EXPECT_LE(std::abs(a.distill - b.distill), one.loss * std::max(1.0, b.distill)) << i;
      EXPECT_LE(std::abs(a.grad_norm - b.grad_norm), one.loss * std::max(1.0, b.grad_norm)) << i;
      EXPECT_EQ(a.projected, b.projected) << i;
    }
    EXPECT_EQ(found.best_step, expected.best_step);
    EXPECT_EQ(found.protected_weights, expected.protected_weights);
    for (std::size_t t = 0; t < found.tasks.size(); ++t)
      EXPECT_EQ(found.tasks[t].after->predictions, expected.tasks[t].after->predictions);
    EXPECT_LE(difference(weights_of(files, "gpu"), weights_of(files, "cpu")), one.weights);
    set_thread_count(1);
  }
}

TEST_P(RecipesOnDevice, ArmsOfAComparisonEqualTheCpus) {
  const RunFixture files;
  const CompareResult expected = compare_recipe(recipe_of(files, "cpu", Device())),
                      found = compare_recipe(recipe_of(files, "gpu", {0}));
  const CompareSummary a = over_seeds(found), b = over_seeds(expected);
  ASSERT_EQ(a.arms.size(), b.arms.size());
  for (std::size_t i = 0; i < a.arms.size(); ++i) {
    EXPECT_EQ(a.arms[i].old_accuracy.mean, b.arms[i].old_accuracy.mean);
    EXPECT_EQ(a.arms[i].new_accuracy.mean, b.arms[i].new_accuracy.mean);
  }
  EXPECT_EQ(current_device(), Device());
}

TEST_P(RecipesOnDevice, ABudgetOfMemoryHoldsThere) {
  const RunFixture files;
  const std::int64_t before = memory_use().live;
  Recipe recipe = recipe_of(files, "out", {0});
  recipe.training.memory_budget = 1000;
  expect_error<Refused>("below the model", "and activations come on top",
                        [&] { run_recipe(recipe); });
  const std::int64_t least =
      model_buffer_bytes(recipe, open_inputs(recipe_of(files, "out", {0}), {}).model);
  recipe.training.memory_budget = least;
  expect_error<std::runtime_error>("below the activations", "raise memory_budget, or lower",
                                   [&] { run_recipe(recipe); });
  set_memory_budget(0);
  EXPECT_EQ(current_device(), Device());
  EXPECT_EQ(memory_use().live, before);
  recipe.training.memory_budget = 1 << 28;
  EXPECT_GT(run_recipe(recipe).peak_bytes, least);
  set_memory_budget(0);
}

TEST_P(RecipesOnDevice, AProfileWaitsForEachOperation) {
  const OnDevice scope({0});
  const Tensor x = Tensor::full({10}, DType::f64, 2);
  Profile profile;
  const ProfiledStep step(&profile, 1);
  const std::int64_t before = kernels_run();
  const Var y = exp(Var(x));
  EXPECT_GT(kernels_run(), before);
}

INSTANTIATE_TEST_SUITE_P(Cuda, RecipesOnDevice, testing::Values(1, kGpu), device_test_name);

}  // namespace
}  // namespace holdfast
