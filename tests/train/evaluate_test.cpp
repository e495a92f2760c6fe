#include "train/evaluate.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "base/parallel.h"
#include "tests/train/run_fixture.h"
#include "train/dataset.h"

namespace holdfast {
namespace {

class EvaluateTest : public testing::Test {
 protected:
  EvaluateTest() : inputs_(load_inputs(files_.plain())), news_(inputs_.tasks[0]) {}
  const Head& head() const { return *inputs_.model.head("news"); }

  RunFixture files_;
  Inputs inputs_;
  TaskData& news_;
};

TEST_F(EvaluateTest, IsWhatTheProbabilitiesSay) {
  const std::vector<double> p = probabilities(inputs_.model, head(), news_.test);
  const Evaluation evaluation = evaluate(inputs_.model, head(), news_.test);
  ASSERT_EQ(p.size(), 3 * news_.test.size());
  std::int64_t correct = 0;
  double loss = 0;
  for (std::size_t n = 0; n < news_.test.size(); ++n) {
    const auto row = p.begin() + static_cast<std::ptrdiff_t>(3 * n);
    EXPECT_NEAR(std::accumulate(row, row + 3, 0.0), 1.0, 1e-12);
    const auto label = static_cast<std::size_t>(news_.test[n].label);
    const auto best = std::max_element(row, row + 3) - row;
    EXPECT_EQ(evaluation.predictions[n], best);
    correct += static_cast<std::size_t>(best) == label ? 1 : 0;
    loss -= std::log(row[static_cast<std::ptrdiff_t>(label)]);
  }
  EXPECT_EQ(evaluation.correct, correct);
  EXPECT_NEAR(evaluation.loss, loss / static_cast<double>(news_.test.size()), 1e-12);
  EXPECT_EQ(evaluation.n, 60);
  EXPECT_LT(evaluation.ci95.low, evaluation.accuracy);
  EXPECT_GT(evaluation.ci95.high, evaluation.accuracy);
  const Json json = to_json(evaluation);
  EXPECT_EQ(json.at("confusion").array().size(), 3U);
  EXPECT_EQ(json.at("per_class").at("politics").at("n").as_int64(),
            std::count_if(news_.test.begin(), news_.test.end(),
                          [](const Sample& sample) { return sample.label == 2; }));
}

TEST_F(EvaluateTest, DoesNotDependOnThreads) {
  const std::vector<double> one = probabilities(inputs_.model, head(), news_.train);
  set_thread_count(4);
  EXPECT_EQ(probabilities(inputs_.model, head(), news_.train), one);
  set_thread_count(1);
}

TEST_F(EvaluateTest, BatchesOnlyChangeTheRounding) {
  const std::vector<double> together = probabilities(inputs_.model, head(), news_.valid);
  const std::vector<double> alone = probabilities(inputs_.model, head(), news_.valid, {}, 1);
  for (std::size_t i = 0; i < together.size(); ++i) EXPECT_NEAR(together[i], alone[i], 1e-5);
}

TEST_F(EvaluateTest, TellsHowFarItIs) {
  std::vector<std::int64_t> seen;
  evaluate(
      inputs_.model, head(), news_.valid,
      [&](std::int64_t texts, std::int64_t) { seen.push_back(texts); }, 64);
  EXPECT_GT(seen.size(), 1U);
  EXPECT_TRUE(std::is_sorted(seen.begin(), seen.end()));
  EXPECT_EQ(seen.back(), 40);
}

TEST_F(EvaluateTest, RefusesNothingAndForeignLabels) {
  EXPECT_THROW(evaluate(inputs_.model, head(), {}), std::invalid_argument);
  news_.test[5].label = 3;
  EXPECT_THROW(evaluate(inputs_.model, head(), news_.test), std::invalid_argument);
}

TEST_F(EvaluateTest, RefusesLogitsThatAreNotFinite) {
  inputs_.model.arena().values().fill(std::nan(""));
  EXPECT_THROW(evaluate(inputs_.model, head(), news_.test), std::runtime_error);
}

}  // namespace
}  // namespace holdfast
