// holdfast ablate and search: what they print, write and refuse.
#include <gtest/gtest.h>

#include "base/json.h"
#include "tests/cli/program.h"

namespace holdfast::test {
namespace {

class ArmsCommands : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = std::make_unique<Folder>();
    make_small_project(folder_->path());
    write(folder_->path() / "search.toml",
          read(folder_->path() / "recipe.toml") +
              "[search]\n\"ewc.lambda\" = [0.1, 1.0]\n\"replay.share\" = [0.1, 0.3]\n");
  }
  static void TearDownTestSuite() { folder_.reset(); }
  static Outcome holdfast(const std::vector<std::string>& arguments) {
    return run(folder_->path(), arguments);
  }
  static bool has(const std::string& name) {
    return std::filesystem::exists(folder_->path() / name);
  }
  static inline std::unique_ptr<Folder> folder_;
};

Json json(const std::string& text) { return Json::parse(text, "output"); }

TEST_F(ArmsCommands, HelpShowsExamples) {
  for (const char* name : {"ablate", "search"}) {
    const Outcome outcome = holdfast({name, "--help"});
    EXPECT_EQ(outcome.status, 0) << name;
    EXPECT_NE(outcome.out.find("Examples:\n  holdfast " + std::string(name)), std::string::npos);
  }
}

TEST_F(ArmsCommands, AblatePrintsATableAndLeavesAReport) {
  const Outcome outcome =
      holdfast({"ablate", "recipe.toml", "--seeds", "2", "--quiet", "--output", "runs/ablated"});
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_EQ(outcome.err, "");
  for (const char* part : {"naive", "\nreplay", "\newc", "\nlayer-wise rates", "\nall together",
                           "over 2 seeds", "paired by seed"})
    EXPECT_NE(outcome.out.find(part), std::string::npos) << part << '\n' << outcome.out;
  EXPECT_TRUE(has("runs/ablated/report.html"));
  const Json metrics = json(read(folder_->path() / "runs/ablated/metrics.json"));
  EXPECT_EQ(metrics.at("arms").array().size(), 5u);
  const Outcome one = holdfast({"ablate", "recipe.toml", "--json", "--output", "runs/ablated"});
  ASSERT_EQ(one.status, 0) << one.err;
  EXPECT_EQ(json(one.out).at("seeds").array().size(), 1u);
  EXPECT_NE(one.err.find("arm alone-ewc: read back"), std::string::npos) << one.err;
}

TEST_F(ArmsCommands, SearchPrintsEveryPointAndLeavesARecipe) {
  const Outcome outcome = holdfast({"search", "search.toml", "--quiet", "--output", "runs/found"});
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_EQ(outcome.err, "");
  for (const char* part : {"ewc.lambda", "replay.share", "\n4", "chosen: ewc.lambda = "})
    EXPECT_NE(outcome.out.find(part), std::string::npos) << part << '\n' << outcome.out;
  for (const char* name : {"report.html", "metrics.json", "best.toml", "recipe.toml"})
    EXPECT_TRUE(has("runs/found/" + std::string(name))) << name;
  EXPECT_TRUE(has("runs/found/best/model/config.json"));
  EXPECT_EQ(holdfast({"train", "runs/found/best.toml", "--quiet"}).status, 0);
  const Outcome again = holdfast({"search", "search.toml", "--json", "--output", "runs/found"});
  ASSERT_EQ(again.status, 0) << again.err;
  EXPECT_EQ(json(again.out).at("points").array().size(), 4u);
}

TEST_F(ArmsCommands, DryRunSaysHowManyRuns) {
  const auto before = listing(folder_->path());
  const auto arms = [&](std::vector<std::string> arguments) {
    arguments.insert(arguments.end(), {"--dry-run", "--json", "--quiet"});
    const Outcome outcome = holdfast(arguments);
    EXPECT_EQ(outcome.status, 0) << outcome.err;
    return json(outcome.out).at("arms").as_int64();
  };
  EXPECT_EQ(arms({"ablate", "recipe.toml", "--seeds", "3"}), 18);
  EXPECT_EQ(arms({"search", "search.toml"}), 5);
  EXPECT_EQ(arms({"search", "search.toml", "--set", "search.halving=2"}), 8);
  EXPECT_EQ(arms({"compare", "recipe.toml", "--leave-one-out", "--bounds"}), 10);
  EXPECT_EQ(listing(folder_->path()), before);
}

TEST_F(ArmsCommands, RefusesWithOneLine) {
  const auto refuses = [&](const std::vector<std::string>& arguments, const std::string& part) {
    const Outcome outcome = holdfast(arguments);
    EXPECT_EQ(outcome.status, 2) << part << outcome.out;
    EXPECT_EQ(outcome.out, "");
    EXPECT_EQ(lines_of(outcome.err).size(), 1u) << outcome.err;
    EXPECT_NE(outcome.err.find(part), std::string::npos) << outcome.err;
  };
  refuses({"search", "recipe.toml", "--quiet"}, "the recipe has no [search]");
  refuses({"search", "search.toml", "--quiet", "--set", "search.\"ewc.lambda\"=[-1]"},
          "search at ewc.lambda = -1");
  refuses({"search", "search.toml", "--quiet", "--dry-run", "--set", "search.\"ewc.lamda\"=[1]"},
          "lambda");
  refuses({"ablate", "train.toml", "--quiet"}, "ablate needs an [[old]] task");
  refuses({"ablate", "recipe.toml", "--quiet", "--seeds", "0"}, "--seeds");
  EXPECT_FALSE(has("runs/new"));
}

TEST_F(ArmsCommands, CtrlCKeepsWhatIsDone) {
  const Outcome outcome = run_and_interrupt(
      folder_->path(), {"ablate", "recipe.toml", "--output", "runs/stopped"}, "arm alone-ewc");
  EXPECT_EQ(outcome.status, 130) << outcome.err;
  EXPECT_NE(outcome.err.find("keeps the arms that are done"), std::string::npos) << outcome.err;
  EXPECT_TRUE(has("runs/stopped/seed-7/alone-replay/result.json"));
  EXPECT_FALSE(has("runs/stopped/metrics.json"));
}

}  // namespace
}  // namespace holdfast::test
