// A whole run with device = "cuda" beside one on the CPU: importance, replay, EWC, layer-wise
// rates, evaluation, the controller; its ledger, and its second execution.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "audit/reference/instruction_sets.h"
#include "audit/reference/twins.h"
#include "tensor/blas.h"
#include "tests/cuda/on_simulation.h"
#include "tests/reference/expect_error.h"
#include "tests/train/run_fixture.h"
#include "train/trainer.h"
#include "train/verify.h"

namespace holdfast {
namespace {

using RunOnDevice = OnDeviceTest;  // with teams of one: many threads take their time

Recipe recipe_of(const RunFixture& files, const std::string& output, DType precision,
                 Device device) {
  Recipe recipe = files.full(output);
  recipe.precision = precision;
  recipe.device = device;
  return recipe;
}

Tensor weights_of(const RunFixture& files, const std::string& output) {
  return Model::load(files.path(output) / "model", DType::f64).arena().values();
}

void expect_equal(const RunResult& found, const RunResult& expected, double bound) {
  const auto near = [&](double a, double b, const char* what, std::size_t step) {
    EXPECT_LE(std::abs(a - b), bound * std::max(1.0, std::abs(b))) << what << " of step " << step;
  };
  ASSERT_EQ(found.ledger.size(), expected.ledger.size());
  for (std::size_t i = 0; i < found.ledger.size(); ++i) {
    const StepRecord &a = found.ledger[i], &b = expected.ledger[i];
    near(a.loss, b.loss, "loss", i);
    near(a.grad_norm, b.grad_norm, "gradient norm", i);
    near(a.penalty, b.penalty, "penalty", i);
    EXPECT_EQ(a.tokens, b.tokens);
    EXPECT_EQ(a.projected, b.projected) << i;
    EXPECT_EQ(a.at_bound, b.at_bound) << i;
  }
  near(found.mean_fisher, expected.mean_fisher, "mean importance", 0);
  ASSERT_EQ(found.tasks.size(), expected.tasks.size());
  for (std::size_t i = 0; i < found.tasks.size(); ++i) {
    EXPECT_EQ(found.tasks[i].after->accuracy, expected.tasks[i].after->accuracy);
    near(found.tasks[i].after->loss, expected.tasks[i].after->loss, "test loss", i);
  }
}

TEST_P(RunOnDevice, EqualsTheCpusInDouble) {
  const RunFixture files;
  const RunResult expected = run_recipe(recipe_of(files, "cpu", DType::f64, Device()));
  const std::int64_t before = kernels_run();
  const RunResult found = run_recipe(recipe_of(files, "gpu", DType::f64, {0}));
  EXPECT_GT(kernels_run(), before);
  expect_equal(found, expected, 1e-9);
  EXPECT_LE(difference(weights_of(files, "gpu"), weights_of(files, "cpu")), 1e-9);
  EXPECT_EQ(current_device(), Device());
}

TEST_P(RunOnDevice, InFloatEqualsTheCpusInDoubleToFloatsAccuracy) {
  const RunFixture files;
  const RunResult expected = run_recipe(recipe_of(files, "cpu", DType::f64, Device()));
  const RunResult found = run_recipe(recipe_of(files, "gpu", DType::f32, {0}));
  ASSERT_EQ(found.ledger.size(), expected.ledger.size());
  for (std::size_t i = 0; i < found.ledger.size(); ++i)
    EXPECT_NEAR(found.ledger[i].loss, expected.ledger[i].loss, 1e-4) << i;
}

double largest_difference(const RunResult& a, const RunResult& b) {
  double largest = a.ledger.size() == b.ledger.size() ? 0 : 1e9;
  for (std::size_t i = 0; i < a.ledger.size() && i < b.ledger.size(); ++i)
    largest = std::max(largest, std::abs(a.ledger[i].loss - b.ledger[i].loss));
  return largest;
}

// Steps multiply in bf16, importance and evaluation in f32; no instruction of the CPU's is needed.
TEST_P(RunOnDevice, InBf16EqualsTheCpusToItsAccuracy) {
  const reference::KeepMachine keep;
  const RunFixture files;
  const RunResult exact = run_recipe(recipe_of(files, "cpu", DType::f64, Device()));
  const RunResult single = run_recipe(recipe_of(files, "single", DType::f32, {0}));
  set_isa(Isa::baseline);
  const RunResult found = run_recipe(recipe_of(files, "gpu", DType::bf16, {0}));
  EXPECT_EQ(found.mean_fisher, single.mean_fisher);
  EXPECT_EQ(found.tasks[0].before->loss, single.tasks[0].before->loss);
  EXPECT_LE(largest_difference(found, exact), 5e-3);
  EXPECT_GT(largest_difference(found, exact), 1e-4);
}

// But for attention's products, which are f32 on the CPU.
TEST_P(RunOnDevice, InBf16EqualsTheCpusInBf16) {
  if (!missing_for_bf16().empty()) GTEST_SKIP() << missing_for_bf16();
  const RunFixture files;
  const RunResult expected = run_recipe(recipe_of(files, "cpu", DType::bf16, Device()));
  const RunResult found = run_recipe(recipe_of(files, "gpu", DType::bf16, {0}));
  const StepRecord &first = found.ledger[0], &wanted = expected.ledger[0];
  EXPECT_NEAR(first.loss, wanted.loss, 1e-3);
  EXPECT_NEAR(first.grad_norm, wanted.grad_norm, 3e-3 * wanted.grad_norm);
  EXPECT_LE(largest_difference(found, expected), 5e-3);  // Adam enlarges what rounding differs by
}

TEST_P(RunOnDevice, InTf32LiesBetweenFloatAndBf16) {
  const RunFixture files;
  const RunResult exact = run_recipe(recipe_of(files, "cpu", DType::f64, Device()));
  Recipe recipe = recipe_of(files, "gpu", DType::f32, {0});
  recipe.tf32 = true;
  const RunResult found = run_recipe(recipe);
  EXPECT_LE(largest_difference(found, exact), 5e-4);
  EXPECT_GT(largest_difference(found, exact), 1e-5);
  const std::string ledger = file_text(files.path("gpu") / "ledger.jsonl");
  EXPECT_NE(ledger.find("\"precision\":\"tf32\""), std::string::npos);
  EXPECT_TRUE(verify_run(files.path("gpu"), {}, {}).equal());
}

TEST_P(RunOnDevice, IsRecordedAndCanBeExecutedAgainToTheSameBits) {
  const RunFixture files;
  run_recipe(recipe_of(files, "gpu", DType::f32, {0}));
  const std::string ledger = file_text(files.path("gpu") / "ledger.jsonl");
  EXPECT_NE(ledger.find("\"device\":\"cuda:0\""), std::string::npos);
  EXPECT_NE(ledger.find("compute capability"), std::string::npos);
  const Verification verification = verify_run(files.path("gpu"), {}, {});
  EXPECT_TRUE(verification.equal());
  EXPECT_TRUE(verification.end);
}

// All measures that touch the update (update_test.cpp has their arithmetic). Adam divides gradients
// that are nothing but rounding by their own size, which a pull past the anchor makes larger still.
TEST_P(RunOnDevice, WithEveryPullEqualsTheCpusInDouble) {
  const RunFixture files;
  const auto run = [&](const std::string& output, Device device) {
    Recipe recipe = recipe_of(files, output, DType::f64, device);
    recipe.training.steps = 4;
    recipe.ewc->coupling = "decoupled";
    recipe.l2.emplace();
    recipe.l2->weight = 0.01;
    recipe.l2->head = 0.02;
    recipe.recadam.emplace();
    recipe.protect.emplace();
    recipe.training.label_smoothing = 0.1;
    return run_recipe(recipe);
  };
  expect_equal(run("gpu", {0}), run("cpu", Device()), 1e-8);
  EXPECT_LE(difference(weights_of(files, "gpu"), weights_of(files, "cpu")), 1e-7);
}

// What a step costs beside its arithmetic: it waits for the gradient's norm and for the update's
// sums, and asks for few kernels.
TEST_P(RunOnDevice, AStepWaitsTwice) {
  if (GetParam() == kGpu) GTEST_SKIP() << "a GPU does not count who waits";
  const RunFixture files;
  struct Cost {
    std::int64_t waits, kernels;
  };
  const auto cost_of = [&](std::int64_t steps) {
    Recipe recipe = recipe_of(files, "gpu" + std::to_string(steps), DType::f32, {0});
    recipe.training.steps = steps;
    recipe.evaluation.every = 100;
    recipe.evaluation.controller = false;
    const Cost before{cuda::waits(), kernels_run()};
    run_recipe(recipe);
    return Cost{cuda::waits() - before.waits, kernels_run() - before.kernels};
  };
  const Cost few = cost_of(3), many = cost_of(7);
  EXPECT_EQ(many.waits - few.waits, 4 * 2);
  EXPECT_EQ(many.kernels - few.kernels, 4 * 78);  // two layers
}

// Every measure that passes over all weights, where passes_test.cpp has its arithmetic.
TEST_P(RunOnDevice, WithEveryMeasureEqualsTheCpusInDouble) {
  struct Case {
    const char* name;
    void (*add)(Recipe&);
  };
  const RunFixture files;
  std::int64_t projected = 0;
  for (const auto& [name, add] :
       {Case{"a-gem and a tensor's bound",
             [](Recipe& recipe) {
               recipe.gradient.emplace().projection = "a-gem";
               recipe.protect.emplace().bound = "tensor";
               recipe.protect->max_drift = 0.001;
             }},
        Case{"mixout, key neurons, a Fisher merge",
             [](Recipe& recipe) {
               recipe.mixout.emplace().probability = 0.3;
               recipe.protect.emplace().unit = "neuron";
               recipe.merge.emplace().method = "fisher";
               recipe.merge->weight = 0.5;
             }},
        Case{"path importance, key weights frozen, gradual unfreezing", [](Recipe& recipe) {
               recipe.leave.path = true;
               recipe.protect.emplace().mode = "freeze";
               recipe.unfreeze.emplace().schedule = "gradual";
               recipe.unfreeze->every = 1;
             }}}) {
    SCOPED_TRACE(name);
    const auto run = [&, add = add](const std::string& output, Device device) {
      Recipe recipe = recipe_of(files, output, DType::f64, device);
      recipe.training.steps = 3;
      recipe.evaluation.every = 3;
      add(recipe);
      return run_recipe(recipe);
    };
    const RunResult expected = run("cpu", Device());
    expect_equal(run("gpu", {0}), expected, 1e-8);
    EXPECT_LE(difference(weights_of(files, "gpu"), weights_of(files, "cpu")), 1e-7);
    EXPECT_GT(expected.ledger.back().at_bound, 0);
    projected += std::ranges::count_if(expected.ledger,
                                       [](const StepRecord& step) { return step.projected; });
  }
  EXPECT_GT(projected, 0);
}

TEST(RunOnMissingDevice, IsRefused) {
  const cuda::Runtime* runtime = cuda::built_in();
  if (runtime != nullptr && runtime->missing(0).empty()) GTEST_SKIP() << "this machine has a GPU";
  const RunFixture files;
  expect_error<Refused>("no GPU",
                        runtime == nullptr ? "device \"cuda:0\": this build has no CUDA: build with"
                                           : "device \"cuda:0\": CUDA finds no GPU here",
                        [&] { run_recipe(recipe_of(files, "out", DType::f32, {0})); });
  EXPECT_FALSE(std::filesystem::exists(files.path("out")));
}

INSTANTIATE_TEST_SUITE_P(Cuda, RunOnDevice, testing::Values(1, kGpu), device_test_name);

}  // namespace
}  // namespace holdfast
