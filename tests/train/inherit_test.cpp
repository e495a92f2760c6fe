// What runs leave beside their models, and what later runs make of it.
#include "train/inherit.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>

#include "tests/reference/expect_error.h"
#include "tests/train/run_fixture.h"
#include "train/finish.h"
#include "train/importance_file.h"
#include "train/leave.h"
#include "train/trainer.h"

namespace holdfast {
namespace {

bool mentions(const std::vector<std::string>& lines, const std::string& part) {
  return std::any_of(lines.begin(), lines.end(),
                     [&](const std::string& line) { return line.find(part) != line.npos; });
}

// Runs of four steps: news -> medical -> law -> sea.
class Inherit : public testing::Test {
 protected:
  Inherit() {
    write_file(files_.path("law.csv"),
               task_csv({"vote", "law", "goal", "match"}, {"bill", "tort"}, 60, 8));
    write_file(files_.path("sea.csv"),
               task_csv({"cell", "the", "tumor", "artery"}, {"calm", "storm"}, 60, 9));
  }

  Recipe recipe(const std::string& output, const std::string& fresh) const {
    Recipe recipe = files_.plain(output);
    recipe.training.steps = 4;
    recipe.training.batch_size = 8;
    recipe.leave = {"none", 0, false};
    recipe.old[0].valid.clear();
    recipe.old[0].test.clear();
    recipe.fresh.valid.clear();
    recipe.fresh.test.clear();
    recipe.fresh.name = fresh;
    if (fresh != "medical") recipe.fresh.train = files_.path(fresh + ".csv");
    return recipe;
  }

  // Learns `fresh` on top of the run `from`, whose tasks are old and have no texts.
  Recipe after(const std::string& from, const std::vector<std::string>& old,
               const std::string& output, const std::string& fresh) const {
    Recipe next = recipe(output, fresh);
    next.model = files_.path(from) / "model";
    next.old.resize(old.size(), next.old[0]);
    for (std::size_t t = 0; t < old.size(); ++t) {
      next.old[t].name = old[t];
      next.old[t].train.clear();
      next.old[t].valid = files_.path(old[t] + "_valid.csv");
    }
    return next;
  }

  // With the notices of reading its files, too.
  static RunResult run(const Recipe& recipe) {
    std::vector<std::string> notices;
    Hooks hooks;
    hooks.notice = [&](const std::string& line) { notices.push_back(line); };
    RunResult result = run_recipe(parse_recipe(to_toml(recipe), "recipe.toml"), hooks);
    result.notices = notices;
    return result;
  }
  ImportanceCard card(const std::string& run, const std::string& file) const {
    return read_importance_card(files_.path(run) / file);
  }
  std::string model_digest(const std::string& run) const {
    return weights_digest(Model::load(files_.path(run) / "model", DType::f32).arena());
  }
  std::int64_t rows_of(const std::string& run, const std::string& task) const {
    const std::string csv = '\n' + file_text(files_.path(run) / kMemoryFile);
    std::int64_t rows = 0;
    for (std::size_t at = 0; (at = csv.find('\n' + task + ',', at)) != csv.npos; ++at) ++rows;
    return rows;
  }

  const RunFixture files_;
};

TEST_F(Inherit, TasksOfOneSharedHeadKeepTheirOwnImportance) {
  for (const char* scenario : {"class", "domain"}) {
    Recipe second = recipe("second", "medical");
    second.heads.scenario = scenario;
    second.ewc.emplace();
    second.leave.importance = "empirical";
    Recipe third = after("second", {"news", "medical"}, "third", "law");
    third.heads.scenario = scenario;
    third.ewc.emplace();
    if (second.heads.scenario == "domain") {
      second.fresh.train = third.fresh.train = files_.path("news_valid.csv");
      third.old[1].valid = files_.path("news_valid.csv");
    }
    run(second);
    EXPECT_EQ(card("second", "importance.medical.safetensors").task, "medical") << scenario;
    EXPECT_EQ(card("second", "importance.medical.safetensors").head, "news+medical") << scenario;
    EXPECT_EQ(card("second", "importance.safetensors").task, "news") << scenario;
    const RunResult result = run(third);
    EXPECT_TRUE(mentions(result.notices, "task news: true importance of 10 texts")) << scenario;
    EXPECT_TRUE(mentions(result.notices, "task medical: empirical importance")) << scenario;
    EXPECT_EQ(card("third", "importance.news.safetensors").kind, ImportanceKind::true_fisher);
    EXPECT_EQ(card("third", "importance.medical.safetensors").kind, ImportanceKind::empirical);
    // By name, each goes to its own task.
    Recipe named = third;
    std::filesystem::remove(files_.path("second") / "importance.safetensors");
    named.ewc->importance = files_.path("second") / "importance.medical.safetensors";
    expect_error<Refused>(scenario, "ewc: task news has no train", [&] { run(named); });
  }
}

TEST_F(Inherit, WhateverMeasuresAreOnWhatIsThereIsHandedOn) {
  Recipe first = recipe("first", "medical");
  first.leave = {"true", 0.2, false};
  run(first);
  run(after("first", {"medical"}, "second", "law"));  // no measure at all
  EXPECT_EQ(rows_of("second", "medical"), 18);        // a fifth of 90
  EXPECT_EQ(rows_of("second", "law"), 0);             // [leave] memory = 0
  EXPECT_EQ(card("second", "importance.safetensors").age, 1);

  Recipe third = after("second", {"medical"}, "third", "sea");  // texts alone
  third.replay.emplace();
  third.leave.memory = 0.1;
  EXPECT_EQ(run(third).replayed, 18);
  EXPECT_EQ(rows_of("third", "medical"), 0);  // they are in replay.csv
  EXPECT_EQ(rows_of("third", "sea"), 6);
  EXPECT_EQ(card("third", "importance.safetensors").age, 2);

  Recipe fourth = after("third", {"medical"}, "fourth", "law");
  fourth.heads.scenario = "task";
  fourth.ewc.emplace();
  run(fourth);
  EXPECT_EQ(rows_of("fourth", "medical"), 18);
  EXPECT_EQ(card("fourth", "importance.safetensors").age, 3);
}

TEST_F(Inherit, ARunThatIsStoppedHandsOnToo) {
  Recipe first = recipe("first", "medical");
  first.leave = {"true", 0.2, false};
  run(first);
  std::atomic<bool> stop{false};
  Hooks hooks;
  hooks.progress = [&](const Progress& progress) { stop = stop || progress.phase == "train"; };
  hooks.stop = &stop;
  Recipe second = after("first", {"medical"}, "second", "law");
  second.ewc.emplace();
  second.leave = {"true", 0.2, false};
  EXPECT_TRUE(run_recipe(second, hooks).interrupted);
  EXPECT_EQ(rows_of("second", "medical"), 18);
  EXPECT_EQ(rows_of("second", "law"), 0);
  EXPECT_EQ(card("second", "importance.safetensors").weights, model_digest("second"));
}

TEST_F(Inherit, ImportanceBelongsToTheModelThatItIsLeftBeside) {
  Recipe first = recipe("first", "medical");
  first.leave.importance = "true";
  run(first);
  EXPECT_EQ(card("first", "importance.medical.safetensors").weights, model_digest("first"));
  Recipe second = after("first", {"medical"}, "second", "law");
  second.ewc.emplace();
  for (const char* kind : {"plain", "keep_best", "merge", "class"}) {
    Recipe variant = second;
    variant.fresh.valid = files_.path("law.csv");
    variant.old[0].valid = files_.path("medical_valid.csv");
    variant.evaluation.keep_best = kind == std::string("keep_best");
    variant.evaluation.every = 1;
    if (kind == std::string("merge")) variant.merge = MergeRecipe{"linear", 0.5, 1, 0.2};
    if (kind == std::string("class")) variant.heads.scenario = "class";
    run(variant);
    const ImportanceCard left = card("second", "importance.safetensors");
    EXPECT_EQ(left.weights, model_digest("second")) << kind;
    EXPECT_NE(left.weights, model_digest("first")) << kind;
    Recipe third = after("second", {"medical"}, "third", "sea");
    third.ewc.emplace();
    EXPECT_EQ(run(third).steps, 4) << kind;  // and it fits, grown head and all
  }
  // One that is older than its model, and one that a model is older than.
  Recipe third = after("second", {"medical"}, "third", "sea");
  third.ewc.emplace();
  third.ewc->importance = files_.path("first") / "importance.medical.safetensors";
  expect_error<Refused>("stale", "was measured at other weights", [&] { run(third); });
  second.ewc->importance = files_.path("second") / "importance.safetensors";
  expect_error<Refused>("early", "was measured at other weights", [&] { run(second); });
}

TEST_F(Inherit, AnAdapterIsInTheModelThatImportanceIsLeftBeside) {
  Recipe first = recipe("first", "medical");
  first.leave.importance = "true";
  run(first);
  for (const char* kind : {"lora", "houlsby"}) {
    Recipe second = after("first", {"medical"}, "second", "law");
    second.adapter = AdapterRecipe{kind, 4, 2, 4};
    run(second);
    EXPECT_EQ(card("second", "importance.safetensors").weights, model_digest("second")) << kind;
    Recipe third = after("second", {"medical"}, "third", "sea");
    third.ewc.emplace();
    EXPECT_EQ(run(third).steps, 4) << kind;
  }
}

TEST_F(Inherit, ImportanceOfAnotherModelIsNotHandedOn) {
  Recipe first = recipe("first", "medical");
  first.leave.importance = "true";
  run(first);
  Recipe second = after("first", {"medical"}, "second", "law");
  run(second);
  std::filesystem::copy(files_.path("first") / "importance.medical.safetensors",
                        files_.path("second") / "importance.medical.safetensors");
  const RunResult result = run(after("second", {"medical"}, "third", "sea"));
  EXPECT_TRUE(mentions(result.notices, "belongs to other weights"));
  EXPECT_FALSE(std::filesystem::exists(files_.path("third") / "importance.safetensors"));
}

TEST_F(Inherit, NamedImportanceMustBeOfAnOldTask) {
  Recipe first = recipe("first", "medical");
  first.leave.importance = "true";
  run(first);
  Recipe second = after("first", {"news"}, "second", "law");
  second.old[0].train = files_.path("news_train.csv");
  second.ewc.emplace();
  second.ewc->importance = files_.path("first") / "importance.medical.safetensors";
  expect_error<Refused>("other", "is the importance to task medical, and the old tasks are news",
                        [&] { run(second); });
}

TEST_F(Inherit, SettingsThatTheFilesDecideAreNoticed) {
  Recipe first = recipe("first", "medical");
  first.leave = {"empirical", 0.2, false};
  run(first);
  Recipe second = after("first", {"medical"}, "second", "law");
  second.ewc.emplace();
  second.replay.emplace();
  EXPECT_TRUE(mentions(run(second).notices, "holds empirical importance of 4 texts, which is"));
  EXPECT_TRUE(mentions(run(second).notices, "18 of the 18 texts that an earlier run kept"));
  second.ewc->fisher = "empirical";
  second.replay->count = 5;
  const RunResult limited = run(second);
  EXPECT_FALSE(mentions(limited.notices, "which is used"));
  EXPECT_EQ(limited.replayed, 5);
  second.replay->count = 50;
  EXPECT_EQ(run(second).replayed, 18);
  second.replay->count = 0;
  second.replay->budget = 100;  // bytes
  const std::int64_t few = run(second).replayed;
  EXPECT_GT(few, 0);
  EXPECT_LT(few, 18);
}

TEST_F(Inherit, ABrokenFileStopsOnlyTheRunThatNeedsIt) {
  Recipe first = recipe("first", "medical");
  first.leave = {"true", 0.2, false};
  run(first);
  write_file(files_.path("first") / kMemoryFile, "task,label,text\nmedical,no such class,x\n");
  write_file(files_.path("first") / importance_file("medical"), "no safetensors");

  const std::vector<std::string> notices =
      run(after("first", {"medical"}, "second", "law")).notices;
  EXPECT_TRUE(mentions(notices,
                       "memory.csv:2: the label \"no such class\" is none of task "
                       "medical's; texts of task medical are not handed on"));
  EXPECT_TRUE(mentions(notices, "importance.medical.safetensors"));
  EXPECT_TRUE(mentions(notices, "; it is not handed on"));

  Recipe replays = after("first", {"medical"}, "third", "law");
  replays.replay.emplace();
  expect_error<std::runtime_error>("memory", "memory.csv:2: the label", [&] { run(replays); });
  Recipe holds = after("first", {"medical"}, "fourth", "law");
  holds.ewc.emplace();
  expect_error<std::runtime_error>("importance", "importance.medical.safetensors",
                                   [&] { run(holds); });
}

TEST_F(Inherit, AnEarlierRunsMemoryAndAdapterAreTakenAway) {
  Recipe first = recipe("out", "medical");
  first.leave.memory = 0.2;
  first.adapter = AdapterRecipe{"lora", 0, 2, 4};
  run(first);
  ASSERT_TRUE(std::filesystem::exists(files_.path("out") / kMemoryFile));
  ASSERT_TRUE(std::filesystem::exists(files_.path("out") / "adapter"));
  run(recipe("out", "medical"));
  EXPECT_FALSE(std::filesystem::exists(files_.path("out") / kMemoryFile));
  EXPECT_FALSE(std::filesystem::exists(files_.path("out") / "adapter"));
}

TEST_F(Inherit, TheDigestOfInputsCountsWhatWasInherited) {
  Recipe first = recipe("first", "medical");
  first.leave = {"true", 0.2, false};
  run(first);
  Recipe second = after("first", {"medical"}, "second", "law");
  second.replay.emplace();
  second.ewc.emplace();
  const auto digest = [&] { return open_inputs(second, {}).digest(); };
  const std::string before = digest();
  EXPECT_EQ(digest(), before);
  const std::filesystem::path memory = files_.path("first") / kMemoryFile;
  const std::string csv = file_text(memory);
  std::string other = csv;
  const std::size_t label = other.find(",cardiology,");
  ASSERT_NE(label, other.npos);
  write_file(memory, other.replace(label, 12, ",oncology,"));
  EXPECT_NE(digest(), before);
  write_file(memory, csv);
  EXPECT_EQ(digest(), before);

  const std::filesystem::path file = files_.path("first") / "importance.medical.safetensors";
  const Model model = Model::load(second.model, DType::f32);
  Importance importance = load_importance(file, model.arena());
  importance.values.data<float>()[0] += 1;
  save_importance(file, importance, model.arena());
  EXPECT_NE(digest(), before);
}

// With one huge F the other task would count for nothing.
TEST_F(Inherit, AMergeByImportanceWeighsOldTasksAlike) {
  Recipe first = recipe("first", "medical");
  first.leave.importance = "true";
  first.ewc.emplace();
  run(first);
  Recipe second = after("first", {"news", "medical"}, "second", "law");
  second.merge = MergeRecipe{"fisher", 0.5, 1, 0.2};
  run(second);
  const std::string weights = file_text(files_.path("second") / "model" / "model.safetensors");
  const std::filesystem::path file = files_.path("first") / "importance.medical.safetensors";
  const Model model = Model::load(second.model, DType::f32);
  Importance importance = load_importance(file, model.arena());
  for (float& f : importance.values.span<float>()) f *= 1024;
  save_importance(file, importance, model.arena());
  run(second);
  EXPECT_EQ(file_text(files_.path("second") / "model" / "model.safetensors"), weights);
}

TEST_F(Inherit, AMergeByImportanceNeedsOneKind) {
  Recipe first = recipe("first", "medical");
  first.leave.importance = "mas";
  first.ewc.emplace();
  run(first);
  Recipe second = after("first", {"news", "medical"}, "second", "law");
  second.merge = MergeRecipe{"fisher", 0.5, 1, 0.2};
  expect_error<Refused>("kinds", "some are mas", [&] { run(second); });
  Recipe si = recipe("first", "medical");
  si.leave.path = true;
  run(si);
  second = after("first", {"medical"}, "second", "law");
  second.merge = MergeRecipe{"fisher", 0.5, 1, 0.2};
  expect_error<Refused>("si", "was recorded while it was learnt (si)", [&] { run(second); });
}

}  // namespace
}  // namespace holdfast
