#include "train/measure_list.h"

#include <gtest/gtest.h>

#include "tests/reference/expect_error.h"
#include "train/recipe_check.h"

namespace holdfast {
namespace {

using Names = std::vector<std::string>;

Recipe base() {
  Recipe recipe;
  recipe.model = "model";
  recipe.output = "out";
  recipe.fresh.name = "new";
  recipe.fresh.train = recipe.fresh.valid = "new.csv";
  recipe.old.emplace_back();
  recipe.old.front().name = "old";
  recipe.old.front().train = recipe.old.front().valid = "old.csv";
  return recipe;
}

/// All measures that can be on together, lwf in place of der++.
Recipe everything() {
  Recipe recipe = base();
  recipe.replay.emplace();
  recipe.ewc.emplace();
  recipe.learning_rate.bottom = 1e-5;
  recipe.learning_rate.top = 5e-4;
  recipe.evaluation.controller = true;
  recipe.protect.emplace();
  recipe.l2.emplace().weight = 0.1;
  recipe.recadam.emplace().pull = 100;
  recipe.mixout.emplace();
  recipe.distill.emplace().method = "lwf";
  recipe.gradient.emplace().projection = "a-gem";
  recipe.unfreeze.emplace().schedule = "gradual";
  recipe.merge.emplace().method = "linear";
  recipe.augment.emplace().swap = 0.1;
  recipe.evaluation.keep_best = true;
  recipe.training.early_stop = 3;
  return recipe;
}

std::string hash_of(const Recipe& recipe) { return recipe_hash(recipe); }

TEST(MeasureList, NamesWhatIsOn) {
  EXPECT_EQ(measures_of(base()), Names());
  EXPECT_EQ(measures_of(everything()),
            (Names{"replay", "ewc", "layer-wise rates", "controller", "protect", "l2", "recadam",
                   "mixout", "lwf", "a-gem", "unfreeze", "merge", "augment", "best model"}));
  Recipe other = base();
  other.replay.emplace();
  other.distill.emplace().method = "der++";
  other.adapter.emplace().kind = "lora";
  EXPECT_EQ(measures_of(other), (Names{"replay", "der++", "adapter"}));
  other = base();
  other.training.encoder = "frozen";
  EXPECT_EQ(measures_of(other), Names{"frozen encoder"});
}

TEST(MeasureList, NaiveIsTheRecipeWithNothingOn) {
  Recipe plain = base();
  plain.learning_rate.rate = 3e-4;
  EXPECT_EQ(hash_of(naive_recipe(everything(), 3e-4)), hash_of(plain));
}

TEST(MeasureList, EveryMeasureAloneIsARecipeOfThatMeasure) {
  const Recipe recipe = everything();
  for (const std::string& measure : measures_of(recipe)) {
    const std::optional<Recipe> alone = alone_recipe(recipe, measure, 3e-4);
    if (measure == "controller") {
      EXPECT_FALSE(alone);
      continue;
    }
    ASSERT_TRUE(alone);
    check_whole(*alone, Toml::table(), measure);
    EXPECT_EQ(measures_of(*alone), Names{measure});
    EXPECT_EQ(alone->learning_rate.layer_wise(), measure == "layer-wise rates");
  }
  EXPECT_EQ(alone_recipe(recipe, "a-gem", 3e-4)->replay->share, 0);
}

TEST(MeasureList, AloneBringsWhatItNeeds) {
  Recipe recipe = base();
  recipe.replay.emplace().share = 0.3;
  recipe.distill.emplace().method = "der++";
  recipe.adapter.emplace().kind = "lora";
  recipe.learning_rate.rate = 2e-3;
  const Recipe der = *alone_recipe(recipe, "der++", 1e-4);
  EXPECT_EQ(measures_of(der), (Names{"replay", "der++"}));
  EXPECT_EQ(der.replay->share, 0.3);
  EXPECT_EQ(der.learning_rate.rate, 1e-4);
  EXPECT_EQ(alone_recipe(recipe, "adapter", 1e-4)->learning_rate.rate, 2e-3);
}

TEST(MeasureList, RemovalTakesWhatDependsOnIt) {
  const Recipe recipe = everything();
  for (const std::string& measure : measures_of(recipe)) {
    const Recipe less = without_measure(recipe, measure, 3e-4);
    check_whole(less, Toml::table(), measure);
    Names expected = measures_of(recipe);
    std::erase_if(expected, [&](const std::string& name) {
      return name == measure || (measure == "replay" && (name == "controller" || name == "a-gem"));
    });
    EXPECT_EQ(measures_of(less), expected) << measure;
  }
  EXPECT_EQ(without_measure(recipe, "layer-wise rates", 3e-4).learning_rate.rate, 3e-4);
  Recipe der = base();
  der.replay.emplace();
  der.distill.emplace().method = "der++";
  EXPECT_EQ(measures_of(without_measure(der, "replay", 1e-4)), Names());
}

TEST(MeasureList, AMemoryThatNothingUsesGoes) {
  Recipe recipe = base();
  recipe.replay.emplace().share = 0;
  recipe.gradient.emplace().projection = "a-gem";
  EXPECT_EQ(measures_of(without_measure(recipe, "a-gem", 1e-4)), Names());
}

TEST(MeasureList, RefusesAMeasureThatIsNotOn) {
  for (const char* name : {"ewc", "no such thing"}) {
    expect_error<std::invalid_argument>(name, "is no measure of this recipe",
                                        [&] { without_measure(base(), name, 1e-4); });
  }
}

}  // namespace
}  // namespace holdfast
