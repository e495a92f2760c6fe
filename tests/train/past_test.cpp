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

// A model with an adapter that an earlier run trained.
class WithAdapter : public testing::Test {
 protected:
  void SetUp() override {
    Recipe recipe = short_run(files_, "task");
    recipe.adapter = AdapterRecipe{"houlsby", 4, 8, 16};
    recipe.output = files_.path("first");
    run_recipe(recipe);
    next_ = short_run(files_, "task");
    next_.model = files_.path("first") / "model";
    next_.fresh.name = "law";
    next_.adapter = recipe.adapter;
    next_.training.steps = 20;
  }

  double adapter_moved() {
    run_recipe(next_);
    const std::string name = "encoder.layer.1.output.adapter.up.weight";
    return distance(values(saved(files_, "first"), name), values(saved(files_), name));
  }

  RunFixture files_;
  Recipe next_;
};

TEST_F(WithAdapter, WhatWasThereIsHeld) {
  const double free = adapter_moved();
  next_.l2.emplace();
  next_.l2->weight = 10;
  next_.l2->toward = "old";
  EXPECT_LT(adapter_moved(), 0.5 * free);
  next_.l2.reset();
  next_.protect.emplace();
  next_.protect->mode = "freeze";
  next_.protect->key_fraction = 1;
  EXPECT_LT(adapter_moved(), 0.5 * free);
  next_.protect.reset();
  next_.ewc.emplace();
  next_.ewc->lambda = 1e5;
  next_.ewc->coupling = "decoupled";
  EXPECT_LT(adapter_moved(), 0.5 * free);
}

TEST_F(WithAdapter, OneOfAnotherSizeIsRefused) {
  next_.adapter->size = 8;
  expect_error<Refused>("size", "adapter.size is 8", [&] { run_recipe(next_); });
  next_.adapter = AdapterRecipe{"pfeiffer", 4, 8, 16};
  expect_error<Refused>("kind", "adapter.kind is pfeiffer", [&] { run_recipe(next_); });
  next_.adapter = AdapterRecipe{"houlsby", 0, 8, 16};
  run_recipe(next_);  // "auto" is what is there
}

TEST_F(WithAdapter, ARankAboveTheWidthIsRefused) {
  next_.model = files_.path("model");  // 16 channels
  next_.adapter = AdapterRecipe{"lora", 0, 17, 16};
  expect_error<Refused>("rank", "adapter.rank is 17, but the matrices of",
                        [&] { run_recipe(next_); });
  next_.adapter->rank = 16;
  run_recipe(next_);
}

TEST_F(WithAdapter, ANewOneHasNothingToBeHeldTo) {
  next_.model = files_.path("model");
  next_.l2.emplace();
  next_.l2->weight = 1;
  expect_error<Refused>("l2", "l2 has nothing to hold", [&] { run_recipe(next_); });
  next_.l2.reset();
  next_.merge = MergeRecipe{"linear", 0.5, 1, 0.2};
  expect_error<Refused>("merge", "merge has nothing to merge with", [&] { run_recipe(next_); });
}

}  // namespace
}  // namespace holdfast
