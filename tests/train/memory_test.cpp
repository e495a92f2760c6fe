#include "train/memory.h"

#include <gtest/gtest.h>

#include "tensor/storage.h"
#include "tests/reference/expect_error.h"
#include "tests/train/run_fixture.h"
#include "train/trainer.h"

namespace holdfast {
namespace {

class Memory : public testing::Test {
 protected:
  ~Memory() override { set_memory_budget(0); }
  const RunFixture files_;
};

// What is held is at least the estimate: a run within less would have failed later.
TEST_F(Memory, NoRunNeedsLessThanItsBuffers) {
  for (const DType precision : {DType::f32, DType::f64}) {
    for (Recipe recipe : {files_.plain(), files_.full()}) {
      recipe.precision = precision;
      const Inputs inputs = open_inputs(recipe, {});
      const RunResult result = run_on(inputs, resolve(recipe, inputs), {});
      const std::int64_t buffers = model_buffer_bytes(recipe, inputs.model);
      EXPECT_GE(result.peak_bytes, buffers);
    }
  }
}

TEST_F(Memory, ABudgetBelowTheBuffersIsRefusedUpFront) {
  Recipe recipe = files_.full();
  const std::int64_t least = model_buffer_bytes(recipe, open_inputs(recipe, {}).model);
  for (const std::int64_t budget : {std::int64_t{1}, least / 2, least - 1}) {
    recipe.training.memory_budget = budget;
    expect_error<Refused>("budget", "(" + std::to_string(least) + " bytes)",
                          [&] { run_recipe(recipe); });
    EXPECT_FALSE(std::filesystem::exists(files_.path("out")));
  }
  recipe.training.memory_budget = 64 << 20;
  EXPECT_EQ(run_recipe(recipe).steps, 10);
}

}  // namespace
}  // namespace holdfast
