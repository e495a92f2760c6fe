#include "train/ablate.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "tests/reference/expect_error.h"
#include "tests/train/run_fixture.h"
#include "train/metrics.h"
#include "train/report.h"

namespace holdfast {
namespace {

Recipe small(const RunFixture& files) {
  Recipe recipe = files.full();
  recipe.learning_rate.naive = {3e-3};
  recipe.evaluation.controller = true;
  return recipe;
}

std::vector<std::string> names_of(const AblateResult& result) {
  std::vector<std::string> names;
  for (const AblationArm& arm : result.arms) {
    names.push_back(arm.name);
  }
  return names;
}

TEST(Ablate, RunsEachMeasureAloneOverSeeds) {
  const RunFixture files;
  const Recipe recipe = small(files);
  const AblateResult result = ablate_recipe(recipe, 2);
  EXPECT_EQ(result.seeds, (std::vector<std::int64_t>{7, 8}));
  EXPECT_EQ(names_of(result), (std::vector<std::string>{"naive", "replay", "ewc",
                                                        "layer-wise rates", "all together"}));
  EXPECT_EQ(count_arms(recipe, 2), 10U);
  for (const AblationArm& arm : result.arms) {
    ASSERT_EQ(arm.runs.size(), 2U);
    EXPECT_EQ(arm.runs[1].run.recipe.seed, 8);
    EXPECT_EQ(arm.old_accuracy.n, 2);
    EXPECT_TRUE(arm.old_gain.ci95);
  }
  const AblationArm& ewc = result.arms[2];
  EXPECT_TRUE(ewc.runs[0].run.recipe.ewc);
  EXPECT_FALSE(ewc.runs[0].run.recipe.replay);
  EXPECT_EQ(ewc.runs[0].run.recipe.learning_rate.rate, 3e-3);
  EXPECT_EQ(result.arms[0].overhead.mean, 0);
  EXPECT_NEAR(
      ewc.runs[0].overhead,
      ewc.runs[0].run.seconds.computing() / result.arms[0].runs[0].run.seconds.computing() - 1,
      1e-12);
  const std::filesystem::path arm = files.path("out") / "seed-8/alone-ewc";
  EXPECT_TRUE(std::filesystem::exists(arm / "result.json"));
  for (const char* left : {"model", "importance.safetensors", "memory.csv"}) {
    EXPECT_FALSE(std::filesystem::exists(arm / left)) << left;
  }
  EXPECT_FALSE(std::filesystem::exists(files.path("out") / "seed-8/alone-replay/replay.csv"));
}

// Two values a < b: mean, and half the width is t_1 |b - a| / 2 with t_1 = 12.7062.
TEST(Ablate, GainsArePairedBySeed) {
  const RunFixture files;
  const AblateResult result = ablate_recipe(small(files), 2);
  const AblationArm& naive = result.arms.front();
  const AblationArm& replay = result.arms[1];
  double gains[2];
  for (std::size_t seed = 0; seed < 2; ++seed) {
    gains[seed] = replay.runs[seed].run.tasks[0].after->accuracy -
                  naive.runs[seed].run.tasks[0].after->accuracy;
  }
  EXPECT_NEAR(replay.old_gain.mean, (gains[0] + gains[1]) / 2, 1e-12);
  EXPECT_NEAR(replay.old_gain.ci95->high - replay.old_gain.mean,
              12.706204736174694 * std::abs(gains[0] - gains[1]) / 2, 1e-9);
  EXPECT_NEAR(
      replay.retention.mean,
      (replay.runs[0].run.tasks[0].after->accuracy / replay.runs[0].run.tasks[0].before->accuracy +
       replay.runs[1].run.tasks[0].after->accuracy / replay.runs[1].run.tasks[0].before->accuracy) /
          2,
      1e-12);
  EXPECT_EQ(naive.old_gain.mean, 0);
}

TEST(Ablate, OneSeedHasTheIntervalOverTexts) {
  const RunFixture files;
  const AblateResult result = ablate_recipe(small(files));
  const AblationArm& replay = result.arms[1];
  ASSERT_TRUE(replay.old_gain.ci95);
  EXPECT_FALSE(replay.old_accuracy.ci95);
  EXPECT_EQ(replay.old_gain.ci95->low, replay.runs[0].old_gain_ci95.low);
  EXPECT_LE(replay.old_gain.ci95->low, replay.old_gain.mean);
  EXPECT_GE(replay.old_gain.ci95->high, replay.old_gain.mean);
  const Json metrics = Json::parse(file_text(files.path("out") / "metrics.json"), "metrics.json");
  const Json& arms = metrics.at("arms");
  EXPECT_EQ(arms.array()[1].at("old_gain").at("over").as_string(), "texts");
  EXPECT_TRUE(arms.array()[1].at("old_accuracy").at("ci95").is_null());
  EXPECT_NE(report_html(result).find("alone-ewc"), 0U);
}

RunResult made_up(const std::vector<std::vector<std::int32_t>>& predictions) {
  RunResult run;
  for (std::size_t t = 0; t < predictions.size(); ++t) {
    TaskResult& task = run.tasks.emplace_back();
    task.old = t + 1 < predictions.size();
    Evaluation evaluation;
    evaluation.predictions = predictions[t];
    evaluation.n = std::ssize(predictions[t]);
    evaluation.correct = std::count(predictions[t].begin(), predictions[t].end(), 1);
    evaluation.accuracy =
        static_cast<double>(evaluation.correct) / static_cast<double>(evaluation.n);
    task.after = task.before = evaluation;
    task.before->accuracy = 1;
  }
  run.seconds.train = 2;
  return run;
}

// Two old tasks and the new one; every right answer is 1.
TEST(Ablate, MeasuresAgainstNaiveByHand) {
  std::vector<TaskData> tasks(3);
  for (std::size_t t = 0; t < 3; ++t) {
    tasks[t].old = t < 2;
    tasks[t].test.resize(4);
    for (Sample& sample : tasks[t].test) {
      sample.label = 1;
    }
  }
  const RunResult naive = made_up({{1, 0, 0, 0}, {1, 1, 0, 0}, {1, 1, 1, 0}});
  RunResult arm = made_up({{1, 1, 1, 0}, {1, 1, 1, 0}, {1, 1, 0, 0}});
  arm.seconds.train = 3;
  const AblationRun run = measure_against(arm, naive, tasks);
  EXPECT_DOUBLE_EQ(run.old_accuracy, 0.75);
  EXPECT_DOUBLE_EQ(run.retention, 0.75);
  EXPECT_DOUBLE_EQ(run.new_accuracy, 0.5);
  EXPECT_DOUBLE_EQ(run.old_gain, 0.375);
  EXPECT_DOUBLE_EQ(run.new_gain, -0.25);
  EXPECT_DOUBLE_EQ(run.overhead, 0.5);
  // a - b of the tasks with Newcombe's limits; the distances add in squares, over two tasks.
  const Interval a = newcombe_paired_interval({1, 2, 0, 1});
  const Interval b = newcombe_paired_interval({2, 1, 0, 1});
  EXPECT_NEAR(run.old_gain_ci95.low, 0.375 - std::hypot(0.5 - a.low, 0.25 - b.low) / 2, 1e-12);
  EXPECT_NEAR(run.old_gain_ci95.high, 0.375 + std::hypot(a.high - 0.5, b.high - 0.25) / 2, 1e-12);
  const Interval c = newcombe_paired_interval({2, 0, 1, 1});
  EXPECT_NEAR(run.new_gain_ci95.low, c.low, 1e-12);
}

TEST(Ablate, GoesOnWhereItWasStopped) {
  const RunFixture files;
  std::atomic<bool> stop = false;
  int done = 0, read_back = 0;
  Hooks hooks;
  hooks.stop = &stop;
  hooks.notice = [&](const std::string& line) {
    read_back += line.find("read back") != std::string::npos;
    stop = stop || (line.starts_with("arm ") && ++done == 3);
  };
  EXPECT_TRUE(ablate_recipe(small(files), 2, hooks).interrupted);
  EXPECT_FALSE(std::filesystem::exists(files.path("out") / "metrics.json"));
  EXPECT_EQ(read_back, 0);
  stop = false;
  const AblateResult result = ablate_recipe(small(files), 2, hooks);
  EXPECT_FALSE(result.interrupted);
  EXPECT_EQ(read_back, 2);
  EXPECT_EQ(result.arms.back().runs.size(), 2U);
}

TEST(Ablate, RefusesWhatItCannotMeasure) {
  const RunFixture files;
  const auto refuses = [&](const std::string& part, const auto& change) {
    Recipe recipe = files.full();
    change(recipe);
    expect_error<Refused>(part, part, [&] { ablate_recipe(recipe); });
  };
  refuses("needs an [[old]] task", [](Recipe& r) { r.old.clear(); });
  refuses("needs test of task news", [](Recipe& r) { r.old.front().test.clear(); });
  refuses("needs test of task medical", [](Recipe& r) { r.fresh.test.clear(); });
  refuses("with a measure", [&](Recipe& r) { r = files.plain(); });
  refuses("recadam alone: recadam pulls too hard", [](Recipe& r) {
    r.recadam.emplace().pull = 5000;
    r.learning_rate.naive = {1e-4, 1e-3};
  });
  refuses("at least one", [](Recipe& r) { r.seed = std::numeric_limits<std::int64_t>::max(); });
  EXPECT_FALSE(std::filesystem::exists(files.path("out")));
}

}  // namespace
}  // namespace holdfast
