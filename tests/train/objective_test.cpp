#include "train/objective.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/train/run_fixture.h"
#include "train/dataset.h"
#include "train/evaluate.h"

namespace holdfast {
namespace {

class ObjectiveTest : public testing::Test {
 protected:
  ObjectiveTest() : recipe_(files_.full()) {
    recipe_.precision = DType::f64;
    inputs_.emplace(load_inputs(recipe_));
    inputs_->model.set_dropout(0);
  }
  SamplePool pool(const char* task, std::size_t index) const {
    return {.task = task, .samples = inputs_->tasks[index].train};
  }
  std::vector<SamplePool> pools() const { return {pool("medical", 1), pool("news", 0)}; }
  Teacher teacher(const char* head, std::size_t texts) {
    return {inputs_->model, *inputs_->model.head(head), inputs_->tasks[texts].train};
  }

  RunFixture files_;
  Recipe recipe_;
  std::optional<Inputs> inputs_;
};

TEST_F(ObjectiveTest, ATeacherThatAgreesCostsNothing) {
  for (const char* method : {"lwf", "der++"}) {
    const bool lwf = std::string(method) == "lwf";
    Distillation distillation{{method, 3, 2}, {}};
    distillation.sources.push_back({lwf ? 0U : 1U, "news", teacher("news", lwf ? 1 : 0)});
    Objective objective(inputs_->model, recipe_, pools(), &distillation);
    const Objective::Terms terms = objective.batch(0);
    EXPECT_NEAR(terms.distill.item(), 0, 1e-12) << method;  // the model is the teacher
    EXPECT_NEAR(terms.loss.value().item(), terms.task.item(), 1e-12) << method;
  }
}

TEST_F(ObjectiveTest, DerComparesTheMemorysTextsWithTheirOwnTasksHead) {
  Distillation distillation{{"der++", 1, 2}, {}};
  distillation.sources.push_back({1, "news", teacher("news", 0)});
  // The head answers c more for every class: every squared difference is c^2.
  const double c = 0.25;
  ParameterArena& arena = inputs_->model.arena();
  const Tensor bias = arena[inputs_->model.head("news")->bias].value;
  for (double& b : bias.span<double>()) b += c;
  Objective objective(inputs_->model, recipe_, pools(), &distillation);
  const Objective::Terms terms = objective.batch(0);
  EXPECT_NEAR(terms.distill.item(), c * c, 1e-12);
  // A second draw: as many texts as the batch has old ones come on top.
  Objective plain(inputs_->model, recipe_, pools(), nullptr);
  EXPECT_GT(terms.tokens, plain.batch(0).tokens);
}

TEST_F(ObjectiveTest, DerDrawsAsManyTextsAsTheBatchHasOldOnes) {
  Distillation distillation{{"der++", 1, 2}, {}};
  distillation.sources.push_back({1, "news", teacher("news", 0)});
  std::vector<SamplePool> pools = this->pools();
  for (SamplePool& pool : pools) {
    pool.variant = {};
  }
  Objective objective(inputs_->model, recipe_, pools, &distillation);
  Objective plain(inputs_->model, recipe_, pools, nullptr);
  for (Objective* both : {&objective, &plain}) {
    both->set_share(1, 0.75);
  }
  for (const std::int64_t step : {0, 1, 2}) {
    const Objective::Terms terms = objective.batch(step);
    EXPECT_EQ(objective.matched(), terms.tasks.size() > 1 ? terms.tasks[1].texts : 0) << step;
    EXPECT_GT(terms.tokens, plain.batch(step).tokens) << step;
  }
}

TEST_F(ObjectiveTest, ClassWeightsScaleEachText) {
  recipe_.replay.reset();
  SamplePool weighted = pool("medical", 1);
  weighted.class_weights = {2.0, 0.5};
  Objective plain(inputs_->model, recipe_, {pool("medical", 1)}, nullptr);
  Objective objective(inputs_->model, recipe_, {weighted}, nullptr);
  // From the probabilities of the same texts.
  Mixer mixer(static_cast<std::int64_t>(inputs_->tasks[1].train.size()), {}, 16, 0, 7);
  double expected = 0;
  for (const MixItem& item : mixer.batch(3)) {
    const Sample& sample = inputs_->tasks[1].train[static_cast<std::size_t>(item.index)];
    const auto p = probabilities(inputs_->model, *inputs_->model.head("medical"), {&sample, 1});
    const auto y = static_cast<std::size_t>(sample.label);
    expected -= weighted.class_weights[y] * std::log(p[y]) / 16;
  }
  EXPECT_NEAR(objective.batch(3).task.item(), expected, 1e-12);
  EXPECT_GT(std::abs(plain.batch(3).task.item() - expected), 1e-3);
}

TEST_F(ObjectiveTest, TheReferenceIsOfTheMemoryAloneAndOfItsOwnDraw) {
  Objective objective(inputs_->model, recipe_, pools(), nullptr);
  const double first = objective.reference(0, 8).value().item();
  const std::string texts = objective.texts();
  EXPECT_EQ(texts.find("medical"), std::string::npos);
  EXPECT_EQ(std::count(texts.begin(), texts.end(), ','), 7);
  EXPECT_NE(objective.reference(1, 8).value().item(), first);
  EXPECT_EQ(objective.reference(0, 8).value().item(), first);
  EXPECT_TRUE(objective.reached(*inputs_->model.head("news")));
  EXPECT_FALSE(objective.reached(*inputs_->model.head("medical")));
}

TEST_F(ObjectiveTest, VariantsReplaceTextsButNotThoseOfTheTeacher) {
  Distillation distillation{{"der++", 1, 2}, {}};
  distillation.sources.push_back({1, "news", teacher("news", 0)});
  std::vector<SamplePool> pools = this->pools();
  for (SamplePool& pool : pools) {
    pool.variant = [samples = pool.samples](std::int64_t index, std::int64_t) {
      Sample sample = samples[static_cast<std::size_t>(index)];
      sample.ids = {2, 5, 3};  // [CLS] the [SEP]
      return sample;
    };
  }
  Objective objective(inputs_->model, recipe_, pools, &distillation);
  const Objective::Terms terms = objective.batch(0);
  EXPECT_NEAR(terms.distill.item(), 0, 1e-12);  // compared on the texts as they are
  EXPECT_GT(terms.tokens, 16 * 3);
  Objective plain(inputs_->model, recipe_, pools, nullptr);
  EXPECT_EQ(plain.batch(0).tokens, 16 * 3);
}

}  // namespace
}  // namespace holdfast
