// Profiled runs: the same weights, and every part of a step where it belongs.
#include "base/profile.h"

#include <gtest/gtest.h>

#include <map>

#include "tests/train/run_fixture.h"
#include "train/trainer.h"

namespace holdfast {
namespace {

/// Calls by "phase name".
std::map<std::string, std::int64_t> calls_of(const Profile& profile) {
  std::map<std::string, std::int64_t> out;
  for (const Profile::Row& row : profile.summary().rows) {
    out[row.phase + ' ' + row.name] = row.calls;
  }
  return out;
}

std::string weights(const RunFixture& files, const std::string& output) {
  return file_text(files.path(output) / "model" / "model.safetensors");
}

TEST(ProfiledRun, HasTheSameWeightsBitForBit) {
  const RunFixture files;
  Profile profile;
  Hooks hooks;
  hooks.profile = &profile;
  run_recipe(files.full("profiled"), hooks);
  run_recipe(files.full("plain"));
  EXPECT_EQ(profile.summary().steps, 9);
  EXPECT_TRUE(weights(files, "profiled") == weights(files, "plain"));
}

// Two layers; what has a forward has a backward. Evaluations, importance and selection belong to no
// step.
TEST(ProfiledRun, TellsEveryPartOfAStep) {
  const RunFixture files;
  Profile profile;
  Hooks hooks;
  hooks.profile = &profile;
  run_recipe(files.full(), hooks);
  const auto calls = calls_of(profile);
  for (const auto& [part, a_step] :
       std::map<std::string, std::int64_t>{{"prepare choose texts", 1},
                                           {"prepare pack", 1},
                                           {"forward embedding_layer_norm", 1},
                                           {"backward embedding_layer_norm", 1},
                                           {"forward attention", 2},
                                           {"backward attention", 2},
                                           {"forward dropout_residual_layer_norm", 4},
                                           {"backward dropout_residual_layer_norm", 4},
                                           {"backward release the graph", 1},
                                           {"update gradient norm", 1},
                                           {"update optimizer", 1}}) {
    ASSERT_TRUE(calls.contains(part)) << part;
    EXPECT_EQ(calls.at(part), 9 * a_step) << part;
  }
  for (const auto& [part, count] : calls) {
    EXPECT_EQ(count % 9, 0) << part;
    if (!part.starts_with("forward ")) continue;
    const std::string back = "backward " + part.substr(8);
    EXPECT_EQ(calls.contains(back) ? calls.at(back) : 0, count) << part;
  }
}

TEST(ProfiledRun, TellsTheMeasuresThatTakeTime) {
  const RunFixture files;
  Profile profile;
  Hooks hooks;
  hooks.profile = &profile;
  Recipe recipe = files.full();
  recipe.mixout.emplace();
  recipe.gradient.emplace();
  recipe.gradient->projection = "a-gem";
  recipe.protect.emplace();
  run_recipe(recipe, hooks);
  const auto calls = calls_of(profile);
  // A-GEM takes a second forward and backward pass, on the mixed weights too.
  for (const auto& [part, a_step] : std::map<std::string, std::int64_t>{{"prepare mixout", 2},
                                                                        {"prepare choose texts", 2},
                                                                        {"backward attention", 4},
                                                                        {"update mixout", 2},
                                                                        {"update a-gem", 2},
                                                                        {"update protect", 1}}) {
    ASSERT_TRUE(calls.contains(part)) << part;
    EXPECT_EQ(calls.at(part), 9 * a_step) << part;
  }
}

}  // namespace
}  // namespace holdfast
