// Runs on a device that die and go on there, to the same bits; and what does not go on: on another
// device, or where there is none.
#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <string>
#include <vector>

#include "tests/cuda/on_simulation.h"
#include "tests/reference/expect_error.h"
#include "tests/train/resume_fixture.h"
#include "train/verify.h"

namespace holdfast {
namespace {

class ResumeOnDevice : public OnDeviceTest {
 protected:
  static Recipe on_device(const RunFixture& files) {
    Recipe recipe = files.full();
    recipe.device = {0};
    recipe.checkpoint.every = 3;
    recipe.ledger.hash_every = 1;
    return recipe;
  }
  /// A run that has died after its fifth step; its checkpoint is of the third.
  static Recipe killed_run(const RunFixture& files) {
    const Recipe recipe = on_device(files);
    EXPECT_THROW(run_recipe(recipe, killing_at("train", 5)), Killed);
    EXPECT_EQ(current_device(), Device());
    return recipe;
  }
};

TEST_P(ResumeOnDevice, GoesOnToTheSameBitsFromAnyMoment) {
  const RunFixture files;
  const Recipe recipe = on_device(files);
  expect_same_after(files, recipe, {{"train", 1}}, "before a checkpoint");
  expect_same_after(files, recipe, {{"fisher", 1}, {"evaluate", 4}, {"train", 7}, {"train", 8}},
                    "often");
  expect_same_after(files, recipe, {{"save", 1}}, "late");
}

TEST_P(ResumeOnDevice, GoesOnWithEveryMeasure) {
  struct Case {
    const char* name;
    std::function<void(Recipe&)> change;
  };
  const std::vector<Case> cases = {
      {"best",
       [](Recipe& r) {
         r.evaluation.keep_best = true;
         r.evaluation.every = 2;
         r.training.early_stop = 3;
       }},
      {"si", [](Recipe& r) { r.leave = {.importance = "none", .memory = 0.1, .path = true}; }},
      {"importance", [](Recipe& r) { r.leave = {.importance = "empirical", .memory = 0.1}; }},
      {"agem", [](Recipe& r) { r.gradient = {.projection = "a-gem", .texts = 8}; }},
      {"mixout", [](Recipe& r) { r.mixout.emplace(); }},
      {"der", [](Recipe& r) { r.distill = {.method = "der++"}; }},
      {"protect", [](Recipe& r) { r.protect.emplace(); }},
      {"recadam", [](Recipe& r) { r.recadam.emplace(); }},
      {"lora", [](Recipe& r) { r.ewc.reset(), r.adapter = {.kind = "lora"}; }},
      {"merge", [](Recipe& r) { r.merge.emplace().method = "fisher"; }},
      {"f64", [](Recipe& r) { r.precision = DType::f64; }}};
  for (const Case& c : cases) {
    const RunFixture files;
    Recipe recipe = on_device(files);
    recipe.training.steps = 6;
    recipe.evaluation.every = 3;
    c.change(recipe);
    expect_same_after(files, recipe, {{"train", 5}}, c.name);
  }
}

TEST_P(ResumeOnDevice, AnInterruptedRunGoesOnFromItsLastStep) {
  const RunFixture files;
  Recipe whole = on_device(files);
  whole.output = files.path("whole");
  run_recipe(whole);
  const Recipe recipe = on_device(files);
  std::atomic<bool> stop = false;
  Hooks hooks;
  hooks.stop = &stop;
  hooks.progress = [&](const Progress& now) { stop = now.phase == "train" && now.done == 4; };
  const RunResult first = run_recipe(recipe, hooks);
  EXPECT_TRUE(first.interrupted);
  EXPECT_EQ(first.steps, 4);
  EXPECT_EQ(resume_recipe(recipe).steps, 10);
  EXPECT_EQ(lines_of(recipe.output), lines_of(whole.output));
}

TEST_P(ResumeOnDevice, TheWholeIsExecutedAgainByVerify) {
  const RunFixture files;
  resume_recipe(killed_run(files));
  const Verification verification = verify_run(files.path("out"));
  EXPECT_TRUE(verification.equal());
  EXPECT_TRUE(verification.end);
  EXPECT_EQ(verification.last, 10);
  EXPECT_EQ(verification.refusal, "");
}

TEST_P(ResumeOnDevice, OnAnotherDeviceIsRefused) {
  if (GetParam() == kGpu) return;  // which would have to have two
  const RunFixture files;
  const Recipe recipe = killed_run(files);
  const std::string ledger = file_text(files.path("out") / "ledger.jsonl");
  const auto refused = [&](const char* name, const std::string& message, const Recipe& other) {
    expect_error<Refused>(name, message, [&] { resume_recipe(other); });
    EXPECT_EQ(file_text(files.path("out") / "ledger.jsonl"), ledger) << name;
    EXPECT_EQ(checkpoint_steps(files.path("out")), (std::vector<std::int64_t>{3})) << name;
  };
  Recipe other = recipe;
  other.device = Device();
  refused("the CPU", "libraries.cuda is absent", other);
  other.device = {1};
  refused("the second", "recipe.device is \"cuda:1\", was \"cuda:0\"", other);
  cuda::Runtime sold = cuda::simulation(GetParam());
  sold.facts = [](int) { return cuda::DeviceFacts{.name = "another", .major = 9, .minor = 0}; };
  cuda::use_runtime(&sold);
  refused("another GPU", "libraries.cuda is \"another (compute capability 9.0), simulation\"",
          recipe);
  cuda::use_runtime(&cuda::simulation(GetParam()));
  EXPECT_EQ(resume_recipe(recipe).steps, 10);
}

TEST_P(ResumeOnDevice, ARunOfTheCpuDoesNotGoOnOnADevice) {
  const RunFixture files;
  Recipe recipe = on_device(files);
  recipe.device = Device();
  EXPECT_THROW(run_recipe(recipe, killing_at("train", 5)), Killed);
  recipe.device = {0};
  expect_error<Refused>("a GPU", "output " + recipe.output + " holds another run: libraries.cuda",
                        [&] { resume_recipe(recipe); });
}

// The folder of a GPU's run on a machine that has none, or in a build without CUDA.
TEST_P(ResumeOnDevice, WithoutADeviceNothingIsExecutedAndNothingChanged) {
  if (GetParam() == kGpu) return;
  const RunFixture files;
  const Recipe recipe = killed_run(files);
  const std::string ledger = file_text(files.path("out") / "ledger.jsonl");
  release_cached_memory();
  cuda::Runtime empty = cuda::simulation(GetParam());
  empty.missing = [](int) { return std::string("CUDA finds no GPU here"); };
  cuda::use_runtime(&empty);
  const std::string says = "device \"cuda:0\": CUDA finds no GPU here: take the device \"cpu\"";
  expect_error<Refused>("resume", says, [&] { resume_recipe(recipe); });
  const Verification verification = verify_run(files.path("out"));
  EXPECT_TRUE(verification.equal());
  EXPECT_EQ(verification.last, 0);
  EXPECT_NE(verification.refusal.find("steps cannot be executed here: " + says), std::string::npos)
      << verification.refusal;
  EXPECT_EQ(file_text(files.path("out") / "ledger.jsonl"), ledger);
}

INSTANTIATE_TEST_SUITE_P(Cuda, ResumeOnDevice, testing::Values(1, kGpu), device_test_name);

}  // namespace
}  // namespace holdfast
