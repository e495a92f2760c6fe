// holdfast merge: what it writes, says and refuses.
#include <gtest/gtest.h>

#include "base/json.h"
#include "tests/cli/program.h"

namespace holdfast::test {
namespace {

/// runs/old/model has head "old", runs/new/model was trained on from it and has "old" and "new".
class Merging : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = std::make_unique<Folder>();
    make_small_project(folder_->path());
    succeed({"train", "recipe.toml", "--quiet"});
    for (const char* data : {"old", "new"}) {
      succeed({"fisher", "--quiet", "--model", "runs/" + std::string(data) + "/model", "--task",
               data, "--data", std::string(data) + ".csv", "--samples", "8", "-o",
               std::string(data) + ".safetensors"});
    }
    succeed({"init", "--config", "config.json", "--vocab", "vocab.txt", "--cased", "-o", "cased"});
    std::string vocabulary = read(folder_->path() / "vocab.txt");
    const std::size_t line = vocabulary.find("goal");
    ASSERT_NE(line, std::string::npos);
    write(folder_->path() / "other.txt", vocabulary.replace(line, 4, "loag"));
    succeed({"init", "--config", "config.json", "--vocab", "other.txt", "-o", "other"});
    succeed({"init", "--config", "tiny", "--vocab", "vocab.txt", "-o", "tiny"});
    std::filesystem::create_directory(folder_->path() / "occupied");
    write(folder_->path() / "occupied" / "letter.txt", "keep me");
  }
  static void TearDownTestSuite() { folder_.reset(); }

  static Outcome holdfast(const std::vector<std::string>& arguments) {
    return run(folder_->path(), arguments);
  }
  static void succeed(const std::vector<std::string>& arguments) {
    const Outcome outcome = holdfast(arguments);
    ASSERT_EQ(outcome.status, 0) << arguments.front() << ": " << outcome.err;
  }
  /// holdfast merge --method METHOD --model runs/old/model --model runs/new/model ...
  static Outcome merge(const std::string& method, std::vector<std::string> more) {
    std::vector<std::string> arguments = {"merge",   "--quiet",       "--method",
                                          method,    "--model",       "runs/old/model",
                                          "--model", "runs/new/model"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return holdfast(arguments);
  }
  static std::string file(const std::string& name) { return read(folder_->path() / name); }
  static bool same(const std::string& a, const std::string& b,
                   const std::string& name = "model.safetensors") {
    return file(a + '/' + name) == file(b + '/' + name);
  }

  static inline std::unique_ptr<Folder> folder_;
};

TEST_F(Merging, WeightsZeroAndOneAreTheModels) {
  ASSERT_EQ(merge("linear", {"--weight", "0", "--task", "old", "-o", "first"}).status, 0);
  EXPECT_TRUE(same("first", "runs/old/model"));
  ASSERT_EQ(merge("linear", {"--weight", "1", "-o", "second"}).status, 0);
  for (const char* name : {"model.safetensors", "heads.safetensors", "holdfast.json", "vocab.txt",
                           "tokenizer.json", "config.json"})
    EXPECT_TRUE(same("second", "runs/new/model", name)) << name;
}

TEST_F(Merging, EveryMethodGivesAModelOfBothTasks) {
  for (const char* method :
       {"linear", "slerp", "fisher", "task-arithmetic", "ties", "dare-linear", "dare-ties"}) {
    std::vector<std::string> more = {"-o", "by-" + std::string(method)};
    if (method == std::string("fisher"))
      more.insert(more.end(),
                  {"--importance", "old.safetensors", "--importance", "new.safetensors"});
    if (method == std::string("task-arithmetic")) more.insert(more.end(), {"--scale", "0.5"});
    const Outcome outcome = merge(method, more);
    ASSERT_EQ(outcome.status, 0) << outcome.err;
    EXPECT_NE(outcome.out.find("head old: merged"), std::string::npos) << outcome.out;
    EXPECT_NE(outcome.out.find("head new: of runs/new/model"), std::string::npos) << outcome.out;
    const Outcome both = holdfast({"predict", "--model", more[1], "--quiet", "--text", "the goal"});
    ASSERT_EQ(both.status, 0) << both.err;
    EXPECT_NE(both.out.find("old: "), std::string::npos) << both.out;
    EXPECT_NE(both.out.find("new: "), std::string::npos) << both.out;
    EXPECT_FALSE(same(more[1], "runs/new/model")) << method;
  }
}

TEST_F(Merging, JsonSaysWhatWasMerged) {
  const Outcome outcome =
      merge("ties", {"--base", "fresh", "--weight", "1", "--weight", "2", "--density", "0.3",
                     "--scale", "0.8", "--task", "old", "--json", "-o", "described"});
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  const Json json = Json::parse(outcome.out, "output");
  EXPECT_EQ(json.at("method").as_string(), "ties");
  EXPECT_EQ(json.at("base").as_string(), "fresh");
  EXPECT_EQ(json.at("models"), Json::list({"runs/old/model", "runs/new/model"}));
  EXPECT_EQ(json.at("weights"), Json::list({1.0, 2.0}));
  EXPECT_EQ(json.at("scale").as_double(), 0.8);
  EXPECT_EQ(json.at("density").as_double(), 0.3);
  // The base has no head: nothing to take task vectors of heads from.
  EXPECT_EQ(json.at("heads").at("old").as_string(), "runs/new/model");
  EXPECT_EQ(json.at("heads").at("new").as_string(), "runs/new/model");
  EXPECT_EQ(json.at("task").as_string(), "old");
  EXPECT_EQ(json.at("output").as_string(), "described");
  EXPECT_GT(json.at("parameters").as_int64(), 1000);
  EXPECT_NE(file("described/holdfast.json").find("\"primary\": \"old\""), std::string::npos);
}

TEST_F(Merging, OneSeedIsOneModel) {
  for (const auto& [seed, name] : {std::pair{"3", "a"}, {"3", "b"}, {"4", "c"}})
    ASSERT_EQ(merge("dare-linear", {"--seed", seed, "-o", name}).status, 0);
  EXPECT_TRUE(same("a", "b"));
  EXPECT_FALSE(same("a", "c"));
}

TEST_F(Merging, RefusesInOneLineAndWritesNothing) {
  const auto before = listing(folder_->path());
  const auto refused = [&](const Outcome& outcome, const std::string& says) {
    EXPECT_EQ(outcome.status, 2) << says;
    EXPECT_EQ(outcome.out, "");
    const auto lines = lines_of(outcome.err);
    ASSERT_EQ(lines.size(), 1u) << outcome.err;
    EXPECT_TRUE(lines[0].starts_with("holdfast: ")) << lines[0];
    EXPECT_NE(lines[0].find(says), std::string::npos) << lines[0];
    EXPECT_EQ(listing(folder_->path()), before) << says;
  };
  const auto alone = [](const std::vector<std::string>& more) {
    std::vector<std::string> arguments = {"merge", "--quiet", "-o", "out"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return holdfast(arguments);
  };
  refused(merge("average", {"-o", "out"}), "known: \"linear\"");
  refused(merge("linear", {"-o", "occupied"}), "occupied: is there already");
  refused(merge("linear", {"--weight", "-1", "-o", "out"}), "--weight -1: must be at least 0");
  refused(merge("linear", {"--weight", "1.5", "-o", "out"}), "at most 1");
  refused(merge("ties", {"--weight", "1", "--weight", "2", "-o", "out"}),
          "--weight: 2 given, 1 to merge beside the base");
  refused(merge("linear", {"--weight", "0", "--weight", "0", "-o", "out"}), "all are 0");
  refused(merge("linear", {"--base", "fresh", "-o", "out"}), "linear has no base");
  refused(merge("linear", {"--density", "0.5", "-o", "out"}), "--density: linear keeps whole");
  refused(merge("linear", {"--scale", "0.5", "-o", "out"}), "--scale: linear adds no");
  refused(merge("ties", {"--floor", "0.5", "-o", "out"}), "--floor: ties uses no importance");
  refused(merge("ties", {"--density", "0", "-o", "out"}), "density is 0");
  refused(merge("slerp", {"--model", "fresh", "-o", "out"}), "slerp merges two models, not 3");
  refused(merge("fisher", {"--importance", "old.safetensors", "-o", "out"}),
          "one --importance for each of the 2 models");
  refused(merge("linear", {"--importance", "old.safetensors", "-o", "out"}), "does not use it");
  refused(merge("fisher", {"--importance", "old.safetensors", "--importance", "old.safetensors",
                           "-o", "out"}),
          "was measured at another model than runs/new/model");
  refused(merge("linear", {"--task", "older", "-o", "out"}), "has such a head, but: new, old");
  refused(merge("linear", {"--model", "nowhere", "-o", "out"}), "nowhere");
  refused(alone({"--method", "linear", "--model", "fresh"}), "give --model at least twice");
  refused(alone({"--method", "ties", "--model", "fresh"}), "needs a base and at least one model");
  refused(alone({"--method", "linear", "--model", "fresh", "--model", "tiny"}),
          "fresh and tiny cannot be merged: hidden_size is 32 and 128");
  refused(alone({"--method", "linear", "--model", "fresh", "--model", "other"}), "\"loag\"");
  refused(alone({"--method", "linear", "--model", "fresh", "--model", "cased"}),
          "the tokenizers normalise differently");
}

}  // namespace
}  // namespace holdfast::test
