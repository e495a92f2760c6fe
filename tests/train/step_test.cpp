#include "train/step.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "base/parallel.h"
#include "tests/reference/expect_error.h"
#include "tests/train/run_fixture.h"
#include "train/dataset.h"

namespace holdfast {
namespace {

class StepTest : public testing::Test {
 protected:
  StepTest() : inputs_(load_inputs(files_.full())), recipe_(files_.full()) {
    inputs_.model.set_dropout(0.1);
  }

  std::vector<SamplePool> pools() const { return {pool("medical", 1), pool("news", 0)}; }
  SamplePool pool(const char* task, std::size_t index) const {
    return {.task = task, .samples = inputs_.tasks[index].train};
  }
  std::vector<float> weights(const Model& model) const {
    const auto values = model.arena().values().span<float>();
    return {values.begin(), values.end()};
  }
  /// The weights after ten steps.
  std::vector<float> after_ten(const Recipe& recipe, std::vector<SamplePool> pools,
                               const EwcPenalty* ewc = nullptr) {
    Model model = inputs_.model.clone();
    model.set_dropout(0.1);
    TrainingStep training(model, recipe, std::move(pools), Measures{.ewc = ewc});
    for (std::int64_t step = 0; step < 10; ++step) training.run(step);
    return weights(model);
  }

  RunFixture files_;
  Inputs inputs_;
  Recipe recipe_;
};

TEST(StepRecord, PenaltyShareIsOfWhatIsMinimised) {
  StepRecord record;
  record.loss = 3;
  EXPECT_EQ(record.penalty_share(), 0);
  record.penalty = 1;
  EXPECT_EQ(record.penalty_share(), 0.25);
  record.loss = 0;
  EXPECT_EQ(record.penalty_share(), 1);
}

TEST_F(StepTest, SameBitsForAnyNumberOfThreads) {
  EwcPenalty ewc(0.3, inputs_.model.arena());
  const Tensor ones = Tensor::full({inputs_.model.arena().numel()}, DType::f32, 1);
  ewc.add(ones, Normalization::mean);
  set_thread_count(1);
  const std::vector<float> one = after_ten(recipe_, pools(), &ewc);
  EXPECT_EQ(after_ten(recipe_, pools(), &ewc), one);
  for (const int threads : {2, 4}) {
    set_thread_count(threads);
    EXPECT_EQ(after_ten(recipe_, pools(), &ewc), one) << threads << " threads";
  }
  set_thread_count(1);
  EXPECT_NE(one, weights(inputs_.model));
}

TEST_F(StepTest, APenaltyOfWeightZeroChangesNoBit) {
  EwcPenalty ewc(0.0, inputs_.model.arena());
  ewc.add(Tensor::full({inputs_.model.arena().numel()}, DType::f32, 1), Normalization::none);
  EXPECT_EQ(after_ten(recipe_, pools(), &ewc), after_ten(recipe_, pools()));
}

TEST_F(StepTest, APenaltyHoldsTheWeights) {
  const auto moved = [&](double lambda) {
    EwcPenalty ewc(lambda, inputs_.model.arena());
    ewc.add(Tensor::full({inputs_.model.arena().numel()}, DType::f32, 1), Normalization::mean);
    const std::vector<float> before = weights(inputs_.model);
    const std::vector<float> after = after_ten(recipe_, pools(), &ewc);
    double sum = 0;
    for (std::size_t i = 0; i < before.size(); ++i) sum += std::pow(after[i] - before[i], 2);
    return sum;
  };
  EXPECT_LT(moved(100), 0.5 * moved(0));
}

TEST_F(StepTest, HeadsWithoutTextsStayAsTheyAre) {
  Recipe plain = files_.plain();
  plain.training.weight_decay = 0.5;
  Model model = inputs_.model.clone();
  TrainingStep training(model, plain, {pool("medical", 1)}, {});
  for (std::int64_t step = 0; step < 3; ++step) training.run(step);
  for (const NamedSlice& slice : model.arena().slices()) {
    const bool same =
        model.arena().value(slice).to_vector() == inputs_.model.arena().value(slice).to_vector();
    EXPECT_EQ(same, slice.task == "news") << slice.name;
  }
}

TEST_F(StepTest, TellsWhatItDid) {
  Model model = inputs_.model.clone();
  TrainingStep training(model, recipe_, pools(), {});
  const StepRecord record = training.run(0);
  ASSERT_EQ(record.task_loss.size(), 2U);
  EXPECT_EQ(record.task_loss[0].task, "medical");
  EXPECT_EQ(record.task_loss[0].texts, 13);  // of 16, a fifth is old: 3.2, 0.2 carried
  EXPECT_EQ(record.task_loss[1].texts, 3);
  EXPECT_NEAR(record.loss, (13 * record.task_loss[0].loss + 3 * record.task_loss[1].loss) / 16,
              1e-6);
  EXPECT_EQ(record.step, 1);
  EXPECT_GT(record.grad_norm, 0);
  EXPECT_GT(record.tokens, 16 * 3);
  EXPECT_EQ(record.rate_low, 0);  // the first step of the warm-up
  const StepRecord second = training.run(1);
  EXPECT_NEAR(second.rate_high, 3e-3, 1e-12);
  EXPECT_NEAR(second.rate_low, 1e-4, 1e-12);
}

TEST_F(StepTest, ABatchWithoutATaskLeavesItsHeadAZeroGradient) {
  recipe_.replay->share = 0.01;
  Model model = inputs_.model.clone();
  TrainingStep training(model, recipe_, pools(), {});
  const StepRecord record = training.run(0);
  EXPECT_EQ(record.task_loss.size(), 1U);
  const NamedSlice& weight = *model.arena().find("heads.news.weight");
  for (const double g : model.arena().grad(weight).to_vector()) EXPECT_EQ(g, 0);
}

TEST_F(StepTest, StopsWhenTheLossIsNotFinite) {
  Model model = inputs_.model.clone();
  model.arena().value(*model.arena().find("pooler.dense.bias")).fill(std::nan(""));
  TrainingStep training(model, recipe_, pools(), {});
  const std::vector<float> before = weights(model);
  expect_error<std::runtime_error>("nan", "step 1: the loss is not finite; nothing was saved",
                                   [&] { training.run(0); });
  const std::vector<float> after = weights(model);
  EXPECT_EQ(std::memcmp(before.data(), after.data(), before.size() * sizeof(float)), 0);
}

TEST_F(StepTest, NamesTheTextsOfABrokenBatch) {
  Model model = inputs_.model.clone();
  model.arena().values().fill(std::nan(""));
  TrainingStep training(model, recipe_, pools(), {});
  expect_error<std::runtime_error>("nan", "medical ", [&] { training.run(0); });
}

TEST_F(StepTest, RefusesPoolsThatCannotTrain) {
  Model model = inputs_.model.clone();
  EXPECT_THROW(TrainingStep(model, recipe_, std::vector<SamplePool>{}), std::invalid_argument);
  EXPECT_THROW(TrainingStep(model, recipe_, {pool("law", 0)}, {}), std::invalid_argument);
  EXPECT_THROW(TrainingStep(model, recipe_, {pool("medical", 1)}, {}),
               std::invalid_argument);  // a share of old texts, and no old texts
}

}  // namespace
}  // namespace holdfast
