// `train --profile`: the table, the member of --json and the timeline.
#include <gtest/gtest.h>

#include "base/json.h"
#include "tests/cli/program.h"

namespace holdfast::test {
namespace {

class ProfileOption : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = std::make_unique<Folder>();
    make_small_project(folder_->path());
  }
  static void TearDownTestSuite() { folder_.reset(); }

  static Outcome train(std::vector<std::string> more) {
    more.insert(more.begin(), {"train", "recipe.toml", "--quiet", "--output", "runs/out"});
    return run(folder_->path(), more);
  }
  static std::filesystem::path timeline() {
    return folder_->path() / "runs" / "out" / "profile.json";
  }

  static inline std::unique_ptr<Folder> folder_;
};

TEST_F(ProfileOption, PrintsWhereAStepsTimeGoes) {
  const Outcome outcome = train({"--profile"});
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  for (const char* line : {"\na step's time ", "\nprepare ", "\nforward ", "\n  attention ",
                           "\n  linear ", "\nbackward ", "\nupdate ", "\n  optimizer ", "\nstep ",
                           "\nmean of 15 steps of ", "\nruns/out/profile.json is their timeline"})
    EXPECT_NE(outcome.out.find(line), std::string::npos) << line << '\n' << outcome.out;
}

TEST_F(ProfileOption, JsonSharesAddUpAndTheTimelineIsThere) {
  const Outcome outcome = train({"--profile", "--json", "--set", "training.steps=3"});
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  const Json metrics = Json::parse(outcome.out, "output");
  EXPECT_EQ(metrics.at("steps").as_int64(), 3);
  const Json& profile = metrics.at("profile");
  EXPECT_EQ(profile.at("steps").as_int64(), 2);
  double shares = 0, seconds = 0;
  for (const Json& operation : profile.at("operations").array()) {
    shares += operation.at("share").as_double();
    seconds += operation.at("seconds").as_double();
  }
  EXPECT_NEAR(shares, 1, 1e-9);
  EXPECT_NEAR(seconds, profile.at("seconds").as_double(), 1e-9);

  const Json trace = Json::parse(read(timeline()), "profile.json");
  int steps = 0;
  for (const Json& event : trace.at("traceEvents").array()) {
    EXPECT_GE(event.at("ts").as_double(), 0);
    steps += event.at("cat").as_string() == "step" ? 1 : 0;
  }
  EXPECT_EQ(steps, 3);
}

TEST_F(ProfileOption, OfAnEarlierRunDoesNotStay) {
  ASSERT_EQ(train({"--profile", "--set", "training.steps=2"}).status, 0);
  ASSERT_TRUE(std::filesystem::exists(timeline()));
  const Outcome outcome = train({"--set", "training.steps=2"});
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_EQ(outcome.out.find("a step's time"), std::string::npos);
  EXPECT_FALSE(std::filesystem::exists(timeline()));
}

TEST_F(ProfileOption, MakesNoSenseWithoutARun) {
  const Outcome outcome = train({"--profile", "--dry-run"});
  EXPECT_EQ(outcome.status, 2);
  EXPECT_EQ(outcome.out, "");
  EXPECT_EQ(outcome.err,
            "holdfast: --profile measures a run, --dry-run makes none: leave out one\n");
}

}  // namespace
}  // namespace holdfast::test
