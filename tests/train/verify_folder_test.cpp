// What lies in a run's folder, however it came there, against what its ledger says.
#include "train/verify_folder.h"

#include "base/sha256.h"
#include "tests/train/verify_fixture.h"
#include "train/ablate.h"
#include "train/compare.h"
#include "train/output.h"
#include "train/report.h"
#include "train/report_parts.h"
#include "train/search.h"

namespace holdfast {
namespace {

// As SIGKILL: nothing of the run is written any more.
struct Killed {};

class VerifyFolder : public Verify {
 protected:
  VerifyFolder() { recipe_.leave = {.importance = "true", .memory = 0.2, .path = false}; }

  // A run as `train` makes it, with its pages.
  RunResult run() const {
    Hooks hooks;
    hooks.saved = [this](const RunResult& result) {
      write_file(out() / "report.html", report_html(result));
      write_file(out() / "profile.json", "{}\n");
    };
    return run_recipe(recipe_, hooks);
  }
  // Kills a run when `phase` has been told `times` times.
  void kill(const std::string& phase, std::int64_t times, bool resume = false) const {
    Hooks hooks;
    hooks.progress = [=, seen = std::int64_t{0}](const Progress& progress) mutable {
      if (progress.phase == phase && ++seen == times) throw Killed();
    };
    EXPECT_THROW(resume ? resume_recipe(recipe_, hooks) : run_recipe(recipe_, hooks), Killed);
  }
  // Chain and files alone.
  Verification look(const std::string& chain = "") const {
    return verify_run(out(), {.threads = 1, .execute = false, .chain = chain});
  }
  void expect_found(const std::string& what, const std::string& name) const {
    const Verification result = look();
    ASSERT_FALSE(result.equal()) << name;
    EXPECT_NE(result.findings.front().text().find(what), std::string::npos)
        << name << ": " << result.findings.front().text();
  }
  void expect_equal(const std::string& name) const {
    const Verification result = look();
    EXPECT_TRUE(result.equal()) << name << ": " << result.findings.front().text();
    EXPECT_EQ(result.refusal, "") << name;
  }
  void flip(const fs::path& file) const {
    std::string text = file_text(file);
    text[text.size() / 2] = static_cast<char>(text[text.size() / 2] ^ 1);
    std::ofstream(file, std::ios::binary) << text;
  }
  // Appends a line, its chain whole, to the ledger.
  void forge_line(const std::string& members) const {
    std::string text = file_text(out() / "ledger.jsonl");
    const std::string chain =
        LedgerReader(out() / "ledger.jsonl").size() == 0 ? "" : text.substr(text.size() - 67, 64);
    text +=
        members.substr(0, members.size() - 1) + ",\"chain\":\"" + sha256(chain + members) + "\"}\n";
    write_file(out() / "ledger.jsonl", text);
  }
  // The ledger without its last lines.
  void cut(std::size_t lines) const {
    const LedgerReader ledger(out() / "ledger.jsonl");
    const auto end = static_cast<std::size_t>(ledger.place(ledger.size() - 1 - lines).bytes);
    write_file(out() / "ledger.jsonl", file_text(out() / "ledger.jsonl").substr(0, end));
  }
};

TEST_F(VerifyFolder, CoversAllThatTheRunLeaves) {
  run();
  expect_equal("as it was");
  const std::vector<std::string> files = files_of_run(out());
  for (const char* name : {"metrics.json", "report.html", "profile.json", "replay.csv",
                           "memory.csv", "importance.safetensors", "importance.medical.safetensors",
                           "model/model.safetensors", "checkpoints/step-00000009/state.json"}) {
    EXPECT_TRUE(std::ranges::binary_search(files, std::string(name))) << name;
  }
  for (const std::string& name : files) {
    const std::string text = file_text(out() / name);
    flip(out() / name);
    expect_found((out() / name).string(), name);
    fs::remove(out() / name);
    EXPECT_FALSE(look().equal()) << name;
    std::ofstream(out() / name, std::ios::binary) << text;
  }
  write_file(out() / "notes.txt", "mine");
  fs::remove_all(out() / "checkpoints");
  expect_equal("what people add, and take away to save space");
  write_file(out() / "importance.other.safetensors", "x");
  expect_found("importance.other.safetensors: is not of this run", "added");
}

TEST_F(VerifyFolder, TheReportHasTheLastChain) {
  const std::string chain = run().chain;
  const std::string page = file_text(out() / "report.html");
  EXPECT_EQ(report::chain_in(page), report::no_chain());
  write_file(out() / "report.html", report::with_chain(page, chain));
  expect_equal("chain");
  EXPECT_NE(file_text(out() / "report.html").find(chain), std::string::npos);
  write_file(out() / "report.html", report::with_chain(page, std::string(64, 'a')));
  expect_found("report.html: chain is \"aaaa", "another chain");
}

TEST_F(VerifyFolder, HoldsTheChainToOneThatWasNoted) {
  const std::string chain = run().chain;
  EXPECT_TRUE(look(chain).equal());
  const std::string other(64, 'a');
  ASSERT_EQ(look(other).findings.size(), 1U);
  EXPECT_NE(look(other).findings[0].text().find(": chain is \"" + chain + "\", was \"aaa"),
            std::string::npos)
      << look(other).findings[0].text();
  const LedgerReader ledger(out() / "ledger.jsonl");
  EXPECT_NE(look(ledger.place(4).chain).findings.at(0).text().find("that is line 5's"),
            std::string::npos);
}

TEST_F(VerifyFolder, FindsWhatComesAfterTheLastLine) {
  run();
  const std::string ledger = file_text(out() / "ledger.jsonl");
  write_file(out() / "ledger.jsonl", ledger + "{\"kind\":\"step\"");
  expect_found(":17: comes after the last line", "bytes");
  write_file(out() / "ledger.jsonl", ledger);
  forge_line(R"({"kind":"step","step":11})");
  expect_found(":17: is not as a run wrote it: comes after the last line", "line");
  write_file(out() / "ledger.jsonl", ledger + "a\nb\nc");
  expect_found("the chain is broken", "lines");
  EXPECT_EQ(look().unread, 2U);
}

TEST_F(VerifyFolder, FindsThatLinesWereCut) {
  run();
  for (const char* name : {"metrics.json", "report.html", "profile.json"}) {
    cut(name == std::string("metrics.json") ? 1 : 0);
    expect_found("the last line is missing", name);
    fs::remove(out() / name);
  }
  expect_equal("killed after it had saved its model");
  flip(out() / "model" / "model.safetensors");
  expect_found("model.safetensors: sha256 is", "model");
  cut(1);
  expect_found("lines are missing: the run has saved its model, and left memory.csv", "memory");
  fs::remove(out() / "memory.csv");
  fs::remove(out() / "replay.csv");
  expect_found("lines are missing: the run has saved its model", "no line of the model");
  fs::remove_all(out() / "model");
  expect_equal("killed before");
  cut(3);  // the evaluation and the steps 10 and 9
  expect_found("step-00000009: the ledger has no line at which it was taken", "checkpoint");
  EXPECT_EQ(look().findings.size(), 1U);
}

TEST_F(VerifyFolder, RunsThatWereKilledDidNotEnd) {
  kill("train", 5);
  expect_equal("in a step");
  kill("save", 1);
  expect_equal("before the model is saved");
  run();
  kill("train", 4);  // the earlier run's model is still there
  EXPECT_TRUE(fs::exists(out() / "model"));
  expect_equal("beside an earlier model");
  EXPECT_FALSE(look().finished);
  flip(out() / "model" / "vocab.txt");
  expect_found("vocab.txt: sha256 is", "the earlier model");
  std::int64_t measured = 0;  // importance: of the old task, then, to be left, of the new one
  Hooks hooks;
  hooks.progress = [&, saving = false](const Progress& progress) mutable {
    saving = saving || progress.phase == "save";
    if (saving && progress.phase == "fisher" && ++measured == 1) throw Killed();
  };
  EXPECT_THROW(run_recipe(recipe_, hooks), Killed);
  EXPECT_EQ(measured, 1);
  expect_equal("while it leaves importance");
  const Verification again = verify(8);
  EXPECT_TRUE(again.equal()) << again.findings.front().text();
  EXPECT_TRUE(again.end);
  flip(out() / "model" / "config.json");
  expect_found("config.json: sha256 is", "the model just saved");
}

TEST_F(VerifyFolder, RunsThatWereStoppedAndWentOn) {
  std::atomic<bool> stop = false;
  Hooks hooks;
  hooks.stop = &stop;
  hooks.progress = [&](const Progress& progress) {
    stop = stop || (progress.phase == "train" && progress.done == 4);
  };
  EXPECT_TRUE(run_recipe(recipe_, hooks).interrupted);
  const Verification stopped = verify();
  EXPECT_TRUE(stopped.equal() && stopped.finished);
  EXPECT_EQ(stopped.last, 4);
  kill("train", 2, true);  // the model of the four steps is still there
  const Verification killed = verify();
  EXPECT_TRUE(killed.equal()) << killed.findings.front().text();
  EXPECT_FALSE(killed.finished);
  flip(out() / "model" / "model.safetensors");
  expect_found("model.safetensors: sha256 is", "the stopped run's model");
  EXPECT_EQ(resume_recipe(recipe_).steps, 10);
  EXPECT_TRUE(verify().equal());
}

TEST_F(VerifyFolder, ReportsFindingsWhateverCannotBeLookedAt) {
  run();
  fs::remove(files_.path("news_test.csv"));
  flip(out() / "metrics.json");
  const Verification result = look();
  ASSERT_EQ(result.findings.size(), 1U);
  EXPECT_NE(result.refusal.find("news_test.csv"), std::string::npos);
  flip(out() / "metrics.json");
  flip(out() / "ledger.jsonl");
  EXPECT_NE(verify(99).findings.at(0).text().find("the chain is broken"), std::string::npos);
}

TEST_F(VerifyFolder, WhatContradictsTheLedgerIsAFinding) {
  run();
  write_file(out() / "adapter", "a file");
  expect_found("adapter: is not of this run", "adapter");
  fs::remove(out() / "adapter");
  fs::rename(out() / "recipe.toml", out() / "recipe.old");
  expect_found("recipe.toml: sha256 is absent", "recipe");
  fs::rename(out() / "recipe.old", out() / "recipe.toml");
  flip(out() / "checkpoints" / "step-00000006" / "state.safetensors");
  EXPECT_TRUE(look().findings.back().text().ends_with(
      "step-00000006: state.safetensors: is not as it was written"))
      << look().findings.back().text();
  for (const char* line : {R"({"kind":"run"})", R"({"kind":"run",})", R"({"step":1})"}) {
    write_file(out() / "ledger.jsonl", "");
    forge_line(line);
    expect_found(":1: is not as a run wrote it", line);
  }
  write_file(out() / "ledger.jsonl", "");
  expect_found(":1: holds no line of a run", "empty");
  EXPECT_EQ(look().chain, "");
}

TEST_F(VerifyFolder, PointsOfASearchVerify) {
  recipe_.leave = {};
  recipe_.search.emplace().grid = {{"ewc.lambda", {Toml(0.1), Toml(0.2)}}};
  search_recipe(recipe_);
  for (const char* arm : {"best", "point-1/steps-10"}) {
    const Verification result = verify_run(out() / arm, {.threads = 1});
    EXPECT_TRUE(result.equal()) << arm << ": " << result.findings.front().text();
    EXPECT_TRUE(result.end) << arm << ": " << result.refusal;
  }
}

TEST_F(VerifyFolder, ArmsVerify) {
  recipe_.leave = {};
  recipe_.learning_rate.naive = {1e-3};
  compare_recipe(recipe_, {});
  for (const char* arm : {"recipe", "naive-0.001"}) {
    const Verification result = verify_run(out() / arm, {.threads = 1});
    EXPECT_TRUE(result.equal()) << arm << ": " << result.findings.front().text();
    EXPECT_TRUE(result.end) << arm << ": " << result.refusal;
  }
  ablate_recipe(recipe_, 1);
  const fs::path alone = out() / "seed-7" / "alone-ewc";
  const Verification result = verify_run(alone, {.threads = 1});
  EXPECT_TRUE(result.equal()) << result.findings.front().text();
  EXPECT_TRUE(result.end) << result.refusal;
  EXPECT_FALSE(fs::exists(alone / "model"));  // an ablation leaves numbers alone
  flip(alone / "result.json");
  EXPECT_FALSE(verify_run(alone, {.threads = 1, .execute = false}).equal());
}

}  // namespace
}  // namespace holdfast
