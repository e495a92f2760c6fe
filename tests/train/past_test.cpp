#include "train/past.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "tests/reference/expect_error.h"
#include "tests/train/run_fixture.h"
#include "train/mixout.h"
#include "train/trainer.h"

namespace holdfast {
namespace {

// A short run without validation, so that nothing but the measure under test has a say.
Recipe short_run(const RunFixture& files, const std::string& scenario) {
  Recipe recipe = files.plain();
  recipe.heads.scenario = scenario;
  recipe.training.steps = 4;
  recipe.fresh.valid.clear();
  recipe.old[0].valid.clear();
  recipe.old[0].test.clear();
  return recipe;
}

std::vector<double> values(const Model& model, const std::string& slice) {
  return model.arena().value(*model.arena().find(slice)).to_vector();
}

Model saved(const RunFixture& files, const std::string& output = "out") {
  return Model::load(files.path(output) / "model", DType::f32);
}

double distance(const std::vector<double>& a, const std::vector<double>& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += (a[i] - b[i]) * (a[i] - b[i]);
  return std::sqrt(sum);
}

TEST(Past, OfAGrownHeadTheNewRowsAloneHaveNone) {
  const RunFixture files;
  const Inputs inputs = load_inputs(short_run(files, "class"));
  const ParameterArena& arena = inputs.model.arena();
  const NamedSlice& weight = *arena.find("heads.news+medical.weight");
  const NamedSlice& bias = *arena.find("heads.news+medical.bias");
  EXPECT_EQ(without_past(inputs.model, inputs),
            (std::vector<ArenaSpan>{{weight.offset + 3 * 16, weight.offset + 5 * 16},
                                    {bias.offset + 3, bias.offset + 5}}));
  EXPECT_EQ(shared_head(inputs), "news+medical");
  const Inputs own = load_inputs(short_run(files, "task"));
  EXPECT_EQ(element_count(without_past(own.model, own)), 2 * 16 + 2);
  EXPECT_EQ(shared_head(own), "");
}

TEST(Past, L2HoldsTheOldRowsOfAGrownHeadToWhatTheyWere) {
  const RunFixture files;
  const std::vector<double> old =
      values(Model::load(files.path("model"), DType::f32), "heads.news.weight");
  Recipe recipe = short_run(files, "class");
  recipe.training.steps = 40;
  recipe.l2.emplace();
  recipe.l2->toward = "old";
  const auto moved = [&](double weight) {
    recipe.l2->weight = weight;
    run_recipe(recipe);
    return distance(old, values(saved(files), "heads.news+medical.weight"));
  };
  const double held = moved(10);
  EXPECT_LT(held, 0.3 * moved(1e-9));
}

TEST(Past, MergedAtWeightZeroTheOldRowsAreThoseOfTheStart) {
  const RunFixture files;
  const Model start = Model::load(files.path("model"), DType::f32);
  Recipe recipe = short_run(files, "class");
  run_recipe(recipe);
  const auto trained = values(saved(files), "heads.news+medical.weight");
  recipe.merge = MergeRecipe{"linear", 0.0, 1, 0.2};
  recipe.output = files.path("merged");
  run_recipe(recipe);
  const Model merged = saved(files, "merged");
  EXPECT_EQ(values(merged, "pooler.dense.weight"), values(start, "pooler.dense.weight"));
  const auto head = values(merged, "heads.news+medical.weight");
  const auto old = values(start, "heads.news.weight");
  EXPECT_TRUE(std::equal(old.begin(), old.end(), head.begin()));
  EXPECT_TRUE(std::equal(head.begin() + 3 * 16, head.end(), trained.begin() + 3 * 16));
  EXPECT_FALSE(std::equal(head.begin(), head.end(), trained.begin()));
}

TEST(Past, ASharedHeadIsPartOfWhatTasksShare) {
  const RunFixture files;
  const Inputs inputs = load_inputs(short_run(files, "class"));
  const ParameterArena& arena = inputs.model.arena();
  EXPECT_EQ(element_count(shared_spans(arena, shared_head(inputs))),
            element_count(shared_spans(arena)) + 5 * 16 + 5);
  const Tensor theta = arena.values().clone();
  const Tensor old = Tensor::full({arena.numel()}, arena.dtype(), 7.0);
  Mixout mixout(arena, old, 0.5, 3, shared_head(inputs), without_past(inputs.model, inputs));
  mixout.mix(theta, 0);
  const NamedSlice& head = *arena.find("heads.news+medical.weight");
  const auto mixed = theta.slice(0, head.offset, head.offset + head.size).to_vector();
  EXPECT_EQ(std::count(mixed.begin(), mixed.begin() + 3 * 16, 7.0) % 3, 0);
  EXPECT_GT(std::count(mixed.begin(), mixed.begin() + 3 * 16, 7.0), 0);
  EXPECT_EQ(std::count(mixed.begin() + 3 * 16, mixed.end(), 7.0), 0);
}

}  // namespace
}  // namespace holdfast
