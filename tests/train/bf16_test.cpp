// A run with products in bf16: refused where the CPU cannot, near f32's where it can, and f32 in
// all that is measured and kept. Those of a GPU are in tests/cuda/run_test.cpp.
#include <gtest/gtest.h>

#include "audit/reference/instruction_sets.h"
#include "tensor/blas.h"
#include "tests/reference/expect_error.h"
#include "tests/train/run_fixture.h"
#include "train/trainer.h"

namespace holdfast {
namespace {

Recipe in_bf16(Recipe recipe) {
  recipe.precision = DType::bf16;
  return recipe;
}

TEST(Bf16Recipe, IsRefusedWithoutTheInstructions) {
  const reference::KeepMachine keep;
  const RunFixture files;
  for (const Isa isa : {Isa::baseline, Isa::avx2}) {
    if (!supported(isa)) continue;
    set_isa(isa);
    for (const auto& call : {run_recipe, check_recipe}) {
      expect_error<Refused>("bf16", missing_for_bf16() + ": take precision = \"f32\"",
                            [&] { call(in_bf16(files.plain()), {}); });
    }
    EXPECT_FALSE(std::filesystem::exists(files.path("out")));
  }
}

TEST(Tf32Recipe, IsRefusedOnTheCpu) {
  const RunFixture files;
  Recipe recipe = files.plain();
  recipe.tf32 = true;
  for (const auto& call : {run_recipe, check_recipe}) {
    expect_error<Refused>("tf32", "precision = \"tf32\" needs a GPU: take precision = \"f32\"",
                          [&] { call(recipe, {}); });
  }
  EXPECT_FALSE(std::filesystem::exists(files.path("out")));
}

class Bf16Run : public testing::Test {
 protected:
  void SetUp() override {
    if (!missing_for_bf16().empty()) GTEST_SKIP() << missing_for_bf16();
  }
};

// Long enough to learn.
Recipe longer(const RunFixture& files, const std::string& output) {
  Recipe recipe = files.full(output);
  recipe.training.steps = 300;
  recipe.evaluation.every = 150;
  recipe.evaluation.controller = false;
  return recipe;
}

TEST_F(Bf16Run, EndsWhereFloatEnds) {
  const RunFixture files;
  const RunResult exact = run_recipe(longer(files, "exact"));
  const RunResult rounded = run_recipe(in_bf16(longer(files, "rounded")));
  ASSERT_EQ(rounded.tasks.size(), 2U);
  for (std::size_t t = 0; t < 2; ++t) {
    const Evaluation &a = exact.tasks[t].after.value(), &b = rounded.tasks[t].after.value();
    EXPECT_NEAR(b.accuracy, a.accuracy, 0.05) << exact.tasks[t].name;
    EXPECT_NEAR(b.loss, a.loss, 0.05) << exact.tasks[t].name;
    EXPECT_GT(b.accuracy, t == 0 ? 0.3 : 0.8);
  }
  EXPECT_NE(rounded.ledger.front().loss, exact.ledger.front().loss);
  EXPECT_NEAR(rounded.ledger.front().loss, exact.ledger.front().loss, 0.01);
}

// Accuracy and importance are of the model in the folder, which others run in f32.
TEST_F(Bf16Run, MeasuresAndKeepsInFloat) {
  const RunFixture files;
  const RunResult exact = run_recipe(files.full("exact"));
  const RunResult rounded = run_recipe(in_bf16(files.full("rounded")));
  for (std::size_t t = 0; t < 2; ++t) {
    EXPECT_EQ(rounded.tasks[t].before.value().loss, exact.tasks[t].before.value().loss);
  }
  EXPECT_EQ(rounded.mean_fisher, exact.mean_fisher);
  Notices notices;
  Model::load(files.path("rounded") / "model", DType::f32, &notices);
  EXPECT_EQ(notices, Notices{});  // nothing was converted
}

TEST_F(Bf16Run, HasTheSameBitsForAnyNumberOfThreads) {
  const reference::KeepMachine keep;
  const RunFixture files;
  const auto weights = [&](int threads) {
    Recipe recipe = in_bf16(files.full("threads-" + std::to_string(threads)));
    recipe.threads = threads;
    run_recipe(recipe);
    return file_text(files.path("threads-" + std::to_string(threads)) / "model" /
                     "model.safetensors");
  };
  const std::string one = weights(1);
  for (const int threads : {2, 3, 4}) EXPECT_TRUE(weights(threads) == one) << threads;
}

}  // namespace
}  // namespace holdfast
