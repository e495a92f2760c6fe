// --device: what it takes, and what is refused where a device is not there.
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>

#include "base/json.h"
#include "tests/cli/program.h"

namespace holdfast::test {
namespace {

using Arguments = std::vector<std::string>;

class DeviceOption : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = std::make_unique<Folder>();
    make_small_project(folder_->path());
  }
  static void TearDownTestSuite() { folder_.reset(); }

  static Outcome holdfast(Arguments arguments, const Arguments& more = {}) {
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run(folder_->path(), arguments);
  }

  /// Every command that takes it.
  static std::vector<Arguments> commands() {
    const std::string model = "runs/old/model";
    return {{"evaluate", "--quiet", "--model", model, "--data", "old.csv"},
            {"predict", "--quiet", "--model", model, "--text", "the goal of day 3"},
            {"predict", "--quiet", "--model", model, "old.csv"},
            {"fisher", "--quiet", "--model", model, "--data", "old.csv", "-o", "out"},
            {"trace", "--quiet", "--model", model, "--text", "a", "--label", "0", "-o", "out"},
            {"select", "--quiet", "--old", "old.csv", "--method", "herding", "--model", model,
             "--count", "4", "-o", "out"},
            {"merge", "--quiet", "--method", "linear", "--model", model, "--model", model, "-o",
             "out"}};
  }

  /// One line, exit status 2, nothing written.
  static void expect_refused(const Arguments& command, const Arguments& more,
                             const std::string& says) {
    const auto before = listing(folder_->path());
    const Outcome outcome = holdfast(command, more);
    EXPECT_EQ(outcome.status, 2) << command.front();
    EXPECT_EQ(outcome.out, "") << command.front();
    EXPECT_EQ(lines_of(outcome.err).size(), 1u) << outcome.err;
    EXPECT_TRUE(outcome.err.starts_with("holdfast: " + says)) << outcome.err;
    EXPECT_EQ(listing(folder_->path()), before) << command.front();
  }

  static inline std::unique_ptr<Folder> folder_;
};

TEST_F(DeviceOption, OfAnUnknownNameIsRefused) {
  for (const Arguments& command : commands()) {
    for (const std::string name : {"gpu", "cuda:", "cuda:-1", "CPU", ""}) {
      expect_refused(command, {"--device", name},
                     "--device: must be cpu, cuda or cuda:N, found " + name + "; see `holdfast " +
                         command.front() + " --help`");
    }
  }
}

// No machine has a hundred GPUs: what is said depends on the build and on the machine.
TEST_F(DeviceOption, ThatIsNotThereIsRefusedBeforeAnythingIsRead) {
  for (Arguments command : commands()) {
    expect_refused(command, {"--device", "cuda:99"}, "device \"cuda:99\": ");
    std::ranges::replace(command, "runs/old/model", "nowhere");
    expect_refused(command, {"--device=cuda:99"}, "device \"cuda:99\": ");
  }
  for (const char* command : {"train", "compare"}) {
    expect_refused({command, "recipe.toml", "--quiet", "--output", "out"},
                   {"--set", "device=\"cuda:99\""}, "device \"cuda:99\": ");
  }
}

// The key of a recipe, which these commands take with --set.
TEST_F(DeviceOption, AsAKeyOfARecipeIsRefusedInItsWords) {
  const auto refused = [](const std::string& device, const Arguments& more,
                          const std::string& says) {
    Arguments arguments = {"--set", "device=" + device};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const Outcome outcome =
        holdfast({"train", "recipe.toml", "--quiet", "--output", "out"}, arguments);
    EXPECT_EQ(outcome.status, 2);
    EXPECT_EQ(lines_of(outcome.err).size(), 1u) << outcome.err;
    EXPECT_NE(outcome.err.find(says), std::string::npos) << outcome.err;
    EXPECT_FALSE(std::filesystem::exists(folder_->path() / "out"));
  };
  refused("gpu", {}, "device must be \"cpu\", \"cuda\" or \"cuda:N\"");
  refused("1", {}, "device must be a string");
  refused("cuda", {"--set", "numerics=portable"},
          "device cannot be a GPU with numerics = \"portable\": its bits are its own");
  refused("cuda:99", {"--dry-run"}, "device \"cuda:99\": ");
  refused("cuda:99", {"--resume"}, "device \"cuda:99\": ");
}

TEST_F(DeviceOption, IsRefusedWhereNothingIsComputedByAModel) {
  expect_refused({"select", "--old", "old.csv", "--new", "new.csv", "--count", "4", "-o", "out"},
                 {"--device", "cuda"}, "--device: tfidf computes with no model; herding does");
}

TEST_F(DeviceOption, IsRefusedInPortableNumerics) {
  const Outcome outcome = run(folder_->path(),
                              {"HOLDFAST_ISA=portable", HOLDFAST_BINARY, "evaluate", "--model",
                               "runs/old/model", "--data", "old.csv", "--device", "cuda"},
                              "", "/usr/bin/env");
  EXPECT_EQ(outcome.status, 2);
  EXPECT_EQ(outcome.err,
            "holdfast: device \"cuda:0\": portable numerics are the CPU's: unset HOLDFAST_ISA, or "
            "take the device \"cpu\"\n");
}

TEST_F(DeviceOption, TheCpuIsTheDefault) {
  const Arguments evaluate = commands().front();
  const Outcome expected = holdfast(evaluate, {"--json"});
  ASSERT_EQ(expected.status, 0) << expected.err;
  EXPECT_EQ(holdfast(evaluate, {"--json", "--device", "cpu"}).out, expected.out);
  EXPECT_NE(holdfast({"evaluate", "--help"}).out.find("--device TEXT=cpu "), std::string::npos);
}

// "cpu", and after it what CUDA finds, in a build that has it.
TEST_F(DeviceOption, InfoShowsTheDevices) {
  const Json info = Json::parse(holdfast({"info", "--json"}).out, "info");
  const std::string devices = info.at("devices").as_string();
  EXPECT_TRUE(devices == "cpu" || devices.starts_with("cpu (CUDA finds no GPU") ||
              devices.starts_with("cpu, cuda:0 ("))
      << devices;
}

}  // namespace
}  // namespace holdfast::test
