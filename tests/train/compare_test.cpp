#include "train/compare.h"

#include <gtest/gtest.h>

#include "base/version.h"
#include "tests/reference/expect_error.h"
#include "tests/train/run_fixture.h"

namespace holdfast {
namespace {

std::string model_of(const std::filesystem::path& output) {
  return file_text(output / "model" / "model.safetensors");
}

TEST(Compare, RunsEveryArmFromTheSameStart) {
  const RunFixture files;
  const CompareResult result = compare_recipe(files.full(), {.leave_one_out = true});
  ASSERT_EQ(result.seeds.size(), 1U);
  const SeedComparison& seed = result.first();
  ASSERT_EQ(seed.naive.size(), 2U);
  for (const RunResult& naive : seed.naive) {
    EXPECT_EQ(naive.steps, 10);
    EXPECT_FALSE(naive.recipe.replay || naive.recipe.ewc || naive.recipe.evaluation.controller);
    EXPECT_FALSE(naive.recipe.learning_rate.layer_wise());
    EXPECT_EQ(naive.tasks[0].before->predictions, seed.recipe.tasks[0].before->predictions);
    EXPECT_LE(naive.fresh().valid->accuracy, seed.chosen_naive().fresh().valid->accuracy);
  }
  ASSERT_EQ(seed.leave_one_out.size(), 4U);
  EXPECT_EQ(seed.leave_one_out[0].measure, "replay");
  EXPECT_FALSE(seed.leave_one_out[0].without.recipe.replay);
  EXPECT_TRUE(seed.leave_one_out[0].without.recipe.ewc);
  EXPECT_FALSE(seed.leave_one_out[1].without.recipe.ewc);
  EXPECT_EQ(seed.leave_one_out[2].without.recipe.learning_rate.rate,
            seed.chosen_naive().recipe.learning_rate.rate);
  EXPECT_NEAR(1 + seed.overhead,
              seed.recipe.seconds.computing() / seed.chosen_naive().seconds.computing(), 1e-12);
  EXPECT_NEAR(1 + seed.overhead_unwatched,
              seed.recipe.seconds.computing() / seed.chosen_naive().seconds.plain(), 1e-12);
  EXPECT_GT(seed.chosen_naive().seconds.evaluate_old, 0);
  EXPECT_NEAR(seed.chosen_naive().seconds.plain(),
              seed.chosen_naive().seconds.train + seed.chosen_naive().seconds.ledger +
                  seed.chosen_naive().seconds.evaluate - seed.chosen_naive().seconds.evaluate_old,
              1e-12);
  EXPECT_LT(seed.chosen_naive().seconds.evaluate_old, seed.chosen_naive().seconds.evaluate);
  const Json metrics = Json::parse(file_text(files.path("out") / "metrics.json"), "metrics.json");
  for (const char* key : {"naive", "recipe", "leave_one_out", "overhead", "overhead_per_token"}) {
    EXPECT_NE(metrics.find(key), nullptr) << key;
  }
  EXPECT_EQ(metrics.at("recipe").at("steps").as_int64(), 10);
}

TEST(Compare, AnArmIsTheRunThatItNames) {
  const RunFixture files;
  compare_recipe(files.full());
  run_recipe(files.full("alone"));
  EXPECT_EQ(model_of(files.path("out") / "recipe"), model_of(files.path("alone")));
  Recipe plain = files.plain("plain");
  plain.evaluation.every = 5;
  run_recipe(plain);
  EXPECT_EQ(model_of(files.path("out") / "naive-0.001"), model_of(files.path("plain")));
}

TEST(Compare, ReadsBackArmsOfTheSameRecipeAndInputs) {
  const RunFixture files;
  std::vector<std::string> notices;
  Hooks hooks;
  hooks.notice = [&](const std::string& line) { notices.push_back(line); };
  const auto read_back = [&] {
    return std::count_if(notices.begin(), notices.end(), [](const std::string& line) {
      return line.find("read back") != std::string::npos;
    });
  };
  const CompareResult first = compare_recipe(files.full(), {}, hooks);
  EXPECT_EQ(read_back(), 0);
  const CompareResult again = compare_recipe(files.full(), {}, hooks);
  EXPECT_EQ(read_back(), 3);
  EXPECT_EQ(again.first().overhead, first.first().overhead);
  notices.clear();
  Recipe other = files.full();
  other.ewc->lambda = 0.5;  // naive stays the same
  compare_recipe(other, {}, hooks);
  EXPECT_EQ(read_back(), 2);
  notices.clear();
  write_file(files.path("news_test.csv"), "text,label\nthe goal,sports\n");
  compare_recipe(other, {}, hooks);
  EXPECT_EQ(read_back(), 0);
}

TEST(Compare, NamesMeasuresThatDoNothing) {
  const RunFixture files;
  Recipe recipe = files.full();
  recipe.ewc->lambda = 1e-9;
  recipe.evaluation.max_drop = 1;
  const CompareResult result = compare_recipe(recipe, {.leave_one_out = true});
  const std::vector<MeasureWorth>& worths = result.first().leave_one_out;
  ASSERT_EQ(worths.size(), 4U);
  EXPECT_NE(worths[1].inert.find("penalty"), std::string::npos) << worths[1].inert;
  EXPECT_NE(worths[3].inert.find("to act"), std::string::npos) << worths[3].inert;
  EXPECT_EQ(worths[3].changed, 0);
  EXPECT_FALSE(std::filesystem::exists(files.path("out") / "without-controller"));
}

TEST(Compare, RepeatsWithSeeds) {
  const RunFixture files;
  Recipe recipe = files.full();
  recipe.learning_rate.naive = {1e-3};
  const CompareResult result = compare_recipe(recipe, {.leave_one_out = false, .seeds = 2});
  ASSERT_EQ(result.seeds.size(), 2U);
  EXPECT_EQ(result.seeds[1].seed, 8);
  EXPECT_NE(model_of(files.path("out") / "seed-7" / "recipe"),
            model_of(files.path("out") / "seed-8" / "recipe"));
}

TEST(Compare, SummarisesTheSeeds) {
  const RunFixture files;
  const CompareResult result = compare_recipe(files.full(), {.bounds = true, .seeds = 2});
  const CompareSummary summary = over_seeds(result);
  std::vector<std::string> names;
  for (const CompareSummary::Arm& arm : summary.arms) {
    names.push_back(arm.name);
    EXPECT_EQ(arm.old_accuracy.n, 2) << arm.name;
  }
  EXPECT_EQ(names, (std::vector<std::string>{"naive", "recipe", "joint", "frozen"}));
  EXPECT_EQ(summary.arms[0].overhead.mean, 0);
  std::vector<double> kept, naive, drops;
  for (const SeedComparison& seed : result.seeds) {
    kept.push_back(seed.recipe.tasks[0].after->accuracy);
    naive.push_back(seed.chosen_naive().tasks[0].after->accuracy);
    drops.push_back(seed.recipe.tasks[0].before->accuracy - kept.back());
  }
  EXPECT_EQ(summary.arms[1].old_accuracy.mean, over_seeds(kept).mean);
  EXPECT_EQ(summary.arms[1].old_drop.ci95->low, over_seeds(drops).ci95->low);
  EXPECT_EQ(summary.old_gain.ci95->high, paired_over_seeds(kept, naive).ci95->high);
  const Json metrics = Json::parse(file_text(files.path("out") / "metrics.json"), "metrics.json");
  const Json& recipe = metrics.at("over_seeds").at("arms").at("recipe");
  EXPECT_EQ(recipe.at("old_accuracy").at("mean").as_double(), over_seeds(kept).mean);
  EXPECT_EQ(recipe.at("old_drop").at("ci95").array().size(), 2U);
}

TEST(Compare, SeedsWithoutTestSplitsHaveNothingToSummarise) {
  const RunFixture files;
  Recipe recipe = files.full();
  recipe.old[0].test.clear();
  recipe.learning_rate.naive = {1e-3};
  const CompareSummary summary = over_seeds(compare_recipe(recipe, {.seeds = 2}));
  EXPECT_EQ(summary.arms[1].old_accuracy.n, 0);
  EXPECT_EQ(summary.old_gain.n, 0);
  EXPECT_EQ(summary.new_gain.n, 2);
}

TEST(Compare, GoesOnWhereItWasStopped) {
  const RunFixture files;
  std::atomic<bool> stop = false;
  Hooks hooks;
  hooks.stop = &stop;
  hooks.progress = [&](const Progress& progress) {
    stop = stop || (progress.phase == "train" && progress.detail == "recipe" && progress.done == 3);
  };
  EXPECT_TRUE(compare_recipe(files.full(), {}, hooks).interrupted);
  EXPECT_FALSE(std::filesystem::exists(files.path("out") / "metrics.json"));
  EXPECT_TRUE(std::filesystem::exists(files.path("out") / "naive-0.001" / "result.json"));
  const CompareResult result = compare_recipe(files.full());
  EXPECT_FALSE(result.interrupted);
  EXPECT_EQ(result.first().recipe.steps, 10);
}

TEST(Compare, RunsAnArmAgainWhoseResultIsDamaged) {
  const RunFixture files;
  const CompareResult first = compare_recipe(files.full());
  const std::filesystem::path arm = files.path("out") / "naive-0.001";
  const std::string whole = file_text(arm / "result.json");
  for (const std::string& damaged :
       {std::string(), whole.substr(0, whole.size() / 2), std::string("{\"key\": 3}"),
        std::string(whole).replace(whole.find("\"steps\""), 7, "\"staps\"")}) {
    write_file(arm / "result.json", damaged);
    const CompareResult again = compare_recipe(files.full());
    EXPECT_EQ(again.first().naive[0].tasks[0].after->predictions,
              first.first().naive[0].tasks[0].after->predictions);
    EXPECT_NE(file_text(arm / "result.json"), damaged);
  }
}

TEST(Compare, RatesThatDifferInTheLastDigitHaveFoldersOfTheirOwn) {
  const RunFixture files;
  Recipe recipe = files.full();
  recipe.learning_rate.naive = {1e-3, 1.0000001e-3};
  compare_recipe(recipe);
  EXPECT_TRUE(std::filesystem::exists(files.path("out") / "naive-0.001/result.json"));
  EXPECT_TRUE(std::filesystem::exists(files.path("out") / "naive-0.0010000001/result.json"));
}

TEST(Compare, AnotherVersionsArmsAreNotReadBack) {
  const RunFixture files;
  compare_recipe(files.full());
  const std::filesystem::path result = files.path("out") / "recipe/result.json";
  const Json json = Json::parse(file_text(result), "result.json");
  EXPECT_NE(json.at("key").as_string().find(version()), std::string::npos);
}

TEST(Compare, RefusesAFolderThatHoldsItsStart) {
  const RunFixture files;
  run_recipe(files.plain("start"));
  Recipe recipe = files.full("start");
  recipe.model = files.path("start") / "model";
  const std::string weights = model_of(files.path("start"));
  expect_error<Refused>("the start", "would overwrite the model", [&] { compare_recipe(recipe); });
  EXPECT_EQ(model_of(files.path("start")), weights);
  EXPECT_TRUE(std::filesystem::exists(files.path("start") / "metrics.json"));
}

TEST(Compare, BoundsAreJointTrainingAndTheFrozenEncoder) {
  const RunFixture files;
  const CompareResult result = compare_recipe(files.full(), {.bounds = true});
  const SeedComparison& seed = result.first();
  ASSERT_TRUE(seed.bounds);
  const RunResult& joint = seed.bounds->joint;
  EXPECT_EQ(joint.replayed, 200);
  EXPECT_EQ(joint.steps, 33);  // ten steps' worth of new texts, at 90 of 290 texts
  EXPECT_DOUBLE_EQ(joint.recipe.replay->share, 200.0 / 290);
  EXPECT_EQ(joint.recipe.learning_rate.rate, seed.chosen_naive().recipe.learning_rate.rate);
  EXPECT_FALSE(joint.recipe.ewc || joint.recipe.evaluation.controller);
  ASSERT_EQ(seed.bounds->frozen.runs.size(), 2U);
  for (const RunResult& frozen : seed.bounds->frozen.runs) {
    EXPECT_EQ(frozen.tasks[0].after->predictions, frozen.tasks[0].before->predictions);
    EXPECT_LE(frozen.fresh().valid->accuracy, seed.bounds->frozen.best().fresh().valid->accuracy);
  }
  const Json metrics = Json::parse(file_text(files.path("out") / "metrics.json"), "metrics.json");
  EXPECT_EQ(metrics.at("joint").at("replayed").as_int64(), 200);
  EXPECT_EQ(metrics.at("frozen").at("rate").as_double(),
            seed.bounds->frozen.best().recipe.learning_rate.rate);
  EXPECT_EQ(count_arms(files.full(), {.leave_one_out = true, .bounds = true, .seeds = 2}), 20U);
}

TEST(Compare, BoundsAreNullUnlessAskedForAndNeedTheOldTexts) {
  const RunFixture files;
  compare_recipe(files.full());
  const Json metrics = Json::parse(file_text(files.path("out") / "metrics.json"), "metrics.json");
  EXPECT_TRUE(metrics.at("joint").is_null());
  EXPECT_TRUE(metrics.at("frozen").is_null());
  Recipe gone = files.plain("gone");
  gone.old.front().train.clear();
  expect_error<Refused>("no train", "needs train", [&] { compare_recipe(gone, {.bounds = true}); });
}

// An arm without augmentation is not augmented because another one is.
TEST(Compare, NaiveOfAnAugmentedRecipeIsPlain) {
  const RunFixture files;
  Recipe recipe = files.plain();
  recipe.augment.emplace().swap = 0.5;
  compare_recipe(recipe);
  Recipe plain = files.plain("plain");
  run_recipe(plain);
  EXPECT_EQ(model_of(files.path("out") / "naive-0.001"), model_of(files.path("plain")));
  EXPECT_NE(model_of(files.path("out") / "recipe"), model_of(files.path("plain")));
}

TEST(Compare, ArmsLeaveNothingForLaterRuns) {
  const RunFixture files;
  compare_recipe(files.full());
  for (const char* name : {"memory.csv", "importance.medical.safetensors"}) {
    EXPECT_FALSE(std::filesystem::exists(files.path("out") / "recipe" / name)) << name;
  }
}

TEST(Compare, LeavesOutEveryMeasure) {
  const RunFixture files;
  Recipe recipe = files.plain();
  recipe.learning_rate.naive = {1e-3};
  recipe.replay.emplace();
  recipe.protect.emplace().key_fraction = 0.5;
  recipe.distill.emplace().method = "der++";
  recipe.merge.emplace().method = "linear";
  recipe.evaluation.keep_best = true;
  const CompareResult result = compare_recipe(recipe, {.leave_one_out = true});
  std::vector<std::string> names;
  for (const MeasureWorth& worth : result.first().leave_one_out) {
    names.push_back(worth.measure);
  }
  EXPECT_EQ(names, (std::vector<std::string>{"replay", "protect", "der++", "merge", "best model"}));
  EXPECT_FALSE(result.first().leave_one_out[0].without.recipe.distill);
}

TEST(Compare, RefusesAListOfRatesWithoutValidation) {
  const RunFixture files;
  Recipe recipe = files.full();
  recipe.fresh.valid.clear();
  expect_error<Refused>("no valid", "needs valid", [&] { compare_recipe(recipe); });
  EXPECT_FALSE(std::filesystem::exists(files.path("out")));
}

}  // namespace
}  // namespace holdfast
