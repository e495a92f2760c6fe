// The same bits: of whole runs for any number of threads, and with numerics = "portable" on every
// machine. The constants are the promise of docs/numerics.md; `make aarch64` runs this file on
// AArch64.
#include <gtest/gtest.h>

#include "audit/reference/instruction_sets.h"
#include "base/hash.h"
#include "tests/train/run_fixture.h"
#include "train/trainer.h"

namespace holdfast {
namespace {

// Extents that fill no register: 42 channels in two heads of 21, 63 in between, batches of 13.
class SameBits : public testing::Test {
 protected:
  SameBits() {
    const Tokenizer tokenizer = Tokenizer::load(files_.path("model"));
    Model model = Model::create(small_bert(tokenizer.size(), 42, 3, 0.2), DType::f32, 11);
    model.add_head("news", files_.kNewsLabels, 12);
    model.save(files_.path("model"), "news");
  }

  // Replay, EWC, layer rates, dropout and evaluations in between.
  Recipe recipe(const std::string& numerics, DType precision, int threads) const {
    Recipe recipe = files_.full();
    recipe.numerics = numerics;
    recipe.precision = precision;
    recipe.threads = threads;
    recipe.training.batch_size = 13;
    recipe.training.steps = 6;
    recipe.evaluation.every = 3;
    return recipe;
  }

  // XXH3 of all weights that the run leaves.
  std::string weights(const Recipe& recipe) const {
    run_recipe(recipe);
    return to_hex(hash128(file_text(files_.path("out") / "model" / "model.safetensors") +
                          file_text(files_.path("out") / "model" / "heads.safetensors")));
  }

 private:
  const reference::KeepMachine keep_;
  const RunFixture files_;
};

TEST_F(SameBits, OfPortableRunsOnEveryMachine) {
  const struct {
    DType precision;
    const char* weights;
  } cases[] = {{DType::f32, "d1f61769f957738a2a1dfb0551f6d9ac"},
               {DType::f64, "2f1e204e28786ddf9219a5cb39c5bccb"}};
  for (const auto& c : cases) {
    for (const Isa isa : {Isa::baseline, Isa::avx2, Isa::avx512}) {
      if (!supported(isa)) continue;
      set_isa(isa);
      for (const int threads : {1, 2, 3, 4, 8}) {
        EXPECT_EQ(weights(recipe("portable", c.precision, threads)), c.weights)
            << name_of(isa) << ' ' << name_of(c.precision) << ' ' << threads;
      }
      EXPECT_EQ(holdfast::isa(), isa);
    }
  }
}

TEST_F(SameBits, OfFastRunsForAnyNumberOfThreads) {
  for (const DType precision : {DType::f32, DType::f64}) {
    for (const Isa isa : {Isa::baseline, Isa::avx2, Isa::avx512}) {
      if (!supported(isa)) continue;
      set_isa(isa);
      const std::string one = weights(recipe("fast", precision, 1));
      for (const int threads : {2, 3, 4, 8}) {
        EXPECT_EQ(weights(recipe("fast", precision, threads)), one)
            << name_of(isa) << ' ' << name_of(precision) << ' ' << threads;
      }
    }
  }
}

}  // namespace
}  // namespace holdfast
