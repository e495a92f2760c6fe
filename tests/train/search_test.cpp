#include "train/search.h"

#include <gtest/gtest.h>

#include "tests/reference/expect_error.h"
#include "tests/train/run_fixture.h"
#include "train/report.h"

namespace holdfast {
namespace {

Recipe with_grid(Recipe recipe, const std::string& grid) {
  Toml document = to_toml(recipe);
  document.set("search", Toml::parse(grid, "grid"));
  return parse_recipe(document, "recipe.toml");
}

struct Notices {
  Hooks hooks;
  std::vector<std::string> lines;
  Notices() {
    hooks.notice = [this](const std::string& line) { lines.push_back(line); };
  }
  std::ptrdiff_t count(const std::string& part) const {
    return std::count_if(lines.begin(), lines.end(), [&](const std::string& line) {
      return line.find(part) != std::string::npos;
    });
  }
};

TEST(Search, GridIsTheProductWithTheLastKeyFastest) {
  const RunFixture files;
  const std::vector<SearchPoint> points = grid_points(
      with_grid(files.full(), "\"ewc.lambda\" = [0.1, 1]\n\"replay.share\" = [0.1, 0.2, 0.3]"));
  ASSERT_EQ(points.size(), 6U);
  EXPECT_EQ(points[0].text(), "ewc.lambda = 0.1, replay.share = 0.1");
  EXPECT_EQ(points[1].text(), "ewc.lambda = 0.1, replay.share = 0.2");
  EXPECT_EQ(points[5].recipe.ewc->lambda, 1);
  EXPECT_EQ(points[5].recipe.replay->share, 0.3);
  EXPECT_FALSE(points[5].recipe.search);
}

TEST(Search, AKeyOfAnAbsentTableSwitchesTheMeasureOn) {
  const RunFixture files;
  const std::vector<SearchPoint> points = grid_points(
      with_grid(files.plain(), "\"mixout.probability\" = [0.5]\n\"training.epochs\" = [1, 2]"));
  ASSERT_EQ(points.size(), 2U);
  EXPECT_TRUE(points[0].recipe.mixout);
  EXPECT_EQ(points[1].recipe.training.steps, 0);  // epochs took its place
  EXPECT_EQ(points[1].recipe.training.epochs, 2);
}

TEST(Search, RefusesABadPointBeforeAnythingRuns) {
  const RunFixture files;
  const auto refuses = [&](const std::string& grid, const std::string& part) {
    Notices notices;
    expect_error<Refused>(grid, part,
                          [&] { search_recipe(with_grid(files.full(), grid), notices.hooks); });
    EXPECT_EQ(notices.count("arm"), 0) << grid;
  };
  refuses("\"ewc.lambda\" = [0.1, -1]", "search at ewc.lambda = -1: ");
  refuses("\"ewc.lamda\" = [0.1]", "lambda");
  refuses("\"replay.share\" = [\"much\"]", "replay.share = \"much\"");
  refuses("\"replay.count\" = [10, 100000]", "replay.count is 100000");
  refuses("\"distill.alpha\" = [1]", "method");
  refuses("\"output\" = [\"elsewhere\"]", "changes no result");
  refuses("\"new.train\" = [\"nowhere.csv\"]", "nowhere.csv");
  std::string many = "\"ewc.lambda\" = [0", other = "\"replay.share\" = [0.1";
  for (int i = 1; i < 101; ++i) {
    many += ", " + std::to_string(i);
    other += ", 0.2";
  }
  refuses(many + "]\n" + other + "]", "more than 10000 points");
  EXPECT_FALSE(std::filesystem::exists(files.path("out")));
}

TEST(Search, RefusesARecipeWithoutGridOldTasksOrValidation) {
  const RunFixture files;
  expect_error<Refused>("grid", "no [search]", [&] { search_recipe(files.full()); });
  Recipe recipe = with_grid(files.plain(), "\"training.dropout\" = [0.1]");
  recipe.old.front().valid.clear();
  expect_error<Refused>("valid", "needs valid of task news", [&] { search_recipe(recipe); });
  recipe.old.clear();
  expect_error<Refused>("old", "needs an [[old]]", [&] { search_recipe(recipe); });
}

TEST(Search, ChoosesOnValidationUnderTheConstraint) {
  const RunFixture files;
  const Recipe recipe =
      with_grid(files.plain(), "\"learning_rate.rate\" = [1e-6, 1e-3, 5e-3]\nretention = 0.0");
  const SearchResult result = search_recipe(recipe);
  ASSERT_EQ(result.points.size(), 3U);
  EXPECT_TRUE(result.satisfied);
  for (const SearchPoint& point : result.points) {
    EXPECT_LE(point.outcome.gained, result.choice().outcome.gained);
    EXPECT_EQ(point.steps, 10);
  }
  EXPECT_TRUE(result.choice().front);
  EXPECT_EQ(result.best.fresh().valid->accuracy, result.choice().outcome.gained);
  EXPECT_EQ(result.best.recipe.learning_rate.rate, result.choice().recipe.learning_rate.rate);
  EXPECT_EQ(count_arms(recipe), 4U);
  const Json metrics = Json::parse(file_text(files.path("out") / "metrics.json"), "metrics.json");
  EXPECT_EQ(metrics.at("points").array().size(), 3U);
  EXPECT_EQ(metrics.at("chosen").as_int64(), static_cast<std::int64_t>(result.chosen) + 1);
  const Recipe best = load_recipe(files.path("out") / "best.toml");
  EXPECT_EQ(best.output, (files.path("out") / "best").string());
  EXPECT_EQ(best.learning_rate.rate, result.choice().recipe.learning_rate.rate);
  EXPECT_TRUE(load_recipe(files.path("out") / "recipe.toml").search);
  EXPECT_NE(report_html(result).find("learning_rate.rate"), std::string::npos);
}

TEST(Search, LooksAtTheTestSplitsOfTheChosenPointAlone) {
  const RunFixture files;
  const Recipe recipe = with_grid(files.plain(), "\"learning_rate.rate\" = [1e-4, 1e-3]");
  int tests = 0;
  Notices notices;
  notices.hooks.progress = [&](const Progress& progress) {
    tests += progress.phase == "test" && !progress.detail.starts_with("best");
  };
  const SearchResult result = search_recipe(recipe, notices.hooks);
  EXPECT_EQ(tests, 0);
  EXPECT_EQ(result.best.tasks.at(0).after->n, 60);
  EXPECT_EQ(result.best.fresh().after->n, 50);
  for (const char* point : {"point-1", "point-2"}) {
    const auto folder = files.path("out") / point / "steps-10";
    const Json metrics = Json::parse(file_text(folder / "metrics.json"), point);
    EXPECT_TRUE(metrics.at("tasks").at("news").at("after").is_null()) << point;
    EXPECT_FALSE(metrics.at("tasks").at("news").at("valid").is_null()) << point;
    EXPECT_FALSE(std::filesystem::exists(folder / "model")) << point;
  }
  const Model best = Model::load(files.path("out") / "best/model", DType::f32);
  EXPECT_EQ(best.heads().size(), 2U);
}

TEST(Search, HalvesFromTheStartAgain) {
  const RunFixture files;
  const Recipe recipe =
      with_grid(files.plain(), "\"learning_rate.rate\" = [1e-6, 1e-4, 1e-3, 5e-3]\nhalving = 2");
  Notices notices;
  const SearchResult result = search_recipe(recipe, notices.hooks);
  ASSERT_EQ(result.rungs.size(), 3U);
  std::vector<std::int64_t> steps;
  for (const SearchPoint& point : result.points) {
    steps.push_back(point.steps);
  }
  std::sort(steps.begin(), steps.end());
  EXPECT_EQ(steps, (std::vector<std::int64_t>{2, 2, 5, 10}));
  EXPECT_EQ(result.choice().steps, 10);
  EXPECT_EQ(result.best.steps, 10);
  EXPECT_EQ(notices.count("read back"), 0);
  EXPECT_EQ(count_arms(recipe), 8U);
  Notices again;
  search_recipe(recipe, again.hooks);
  EXPECT_EQ(again.count("read back"), 8);
}

TEST(Search, PassesOverAPointWhoseRunFails) {
  const RunFixture files;
  const Recipe recipe = with_grid(files.plain(), "\"training.dropout\" = [0.0, 0.1]");
  std::filesystem::create_directory(files.path("out"));
  write_file(files.path("out") / "ledger.jsonl", "");
  write_file(files.path("out") / "point-1", "a file where the run's folder should be");
  const SearchResult result = search_recipe(recipe);
  EXPECT_EQ(result.chosen, 1U);
  EXPECT_TRUE(result.points[0].outcome.failed);
  EXPECT_NE(result.points[0].failure.find("point-1"), std::string::npos);
  EXPECT_FALSE(result.points[0].front);
  const Json metrics = Json::parse(file_text(files.path("out") / "metrics.json"), "metrics.json");
  EXPECT_EQ(metrics.at("points").array()[0].at("failed").as_string(), result.points[0].failure);
  EXPECT_TRUE(metrics.at("points").array()[0].at("new_accuracy").is_null());
}

TEST(Search, FailsWhenEveryPointFails) {
  const RunFixture files;
  const Recipe recipe = with_grid(files.plain(), "\"training.dropout\" = [0.1]");
  std::filesystem::create_directory(files.path("out"));
  write_file(files.path("out") / "ledger.jsonl", "");
  write_file(files.path("out") / "point-1", "a file where the run's folder should be");
  expect_error<std::runtime_error>("all", "every point failed; the first: arm point-1",
                                   [&] { search_recipe(recipe); });
}

TEST(Search, ReadsOtherFilesOnceForThePointsThatNeedThem) {
  const RunFixture files;
  const Recipe recipe =
      with_grid(files.plain(),
                "\"training.dropout\" = [0.0, 0.1]\n\"new.max_length\" = [8, 16]\n"
                "retention = 0.0");
  Notices notices;
  int reads = 0;
  notices.hooks.progress = [&](const Progress& progress) {
    reads += progress.phase == "read" && progress.done == 0;
  };
  const SearchResult result = search_recipe(recipe, notices.hooks);
  EXPECT_EQ(result.points[2].recipe.fresh.max_length, 8);
  for (const SearchPoint& point : result.points) {
    EXPECT_FALSE(point.outcome.failed) << point.failure;
  }
  EXPECT_LE(reads, 5);  // both before anything runs, both to run, and perhaps the chosen one's
}

TEST(Search, GoesOnWhereItWasStopped) {
  const RunFixture files;
  const Recipe recipe = with_grid(files.plain(), "\"learning_rate.rate\" = [1e-4, 1e-3, 5e-3]");
  std::atomic<bool> stop = false;
  Notices notices;
  notices.hooks.stop = &stop;
  notices.hooks.progress = [&](const Progress& progress) {
    stop = stop || progress.detail.starts_with("point-2");
  };
  EXPECT_TRUE(search_recipe(recipe, notices.hooks).interrupted);
  EXPECT_FALSE(std::filesystem::exists(files.path("out") / "metrics.json"));
  Notices again;
  EXPECT_FALSE(search_recipe(recipe, again.hooks).interrupted);
  EXPECT_EQ(again.count("point-1/steps-10: read back"), 1);
}

}  // namespace
}  // namespace holdfast
