// Runs that die at a moment of choice and go on, beside one that never stopped.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "base/parallel.h"
#include "tests/train/run_fixture.h"
#include "train/resume.h"
#include "train/trainer.h"

namespace holdfast {

/// As SIGKILL: nothing of the run is written any more.
struct Killed {};

inline Hooks killing_at(const std::string& phase, std::int64_t done) {
  Hooks hooks;
  hooks.progress = [=, seen = std::int64_t{0}](const Progress& progress) mutable {
    if (progress.phase == phase && (phase == "train" ? progress.done : ++seen) == done) {
      throw Killed();
    }
  };
  return hooks;
}

/// The ledger's lines without times and chains, which the times are part of.
inline std::vector<std::string> lines_of(const std::filesystem::path& output) {
  const LedgerReader ledger(output / "ledger.jsonl");
  EXPECT_FALSE(ledger.broken());
  std::vector<std::string> lines;
  for (std::size_t i = 0; i < ledger.size(); ++i) {
    Json line = Json::object();
    const Json whole = ledger.line(i);
    for (const auto& [key, value] : whole.items()) {
      if (key != "seconds" && key != "chain" && key != "execution") {
        line.add(key, value);
      }
    }
    lines.push_back(line.dump());
  }
  return lines;
}

/// Runs to the end, then again into another folder with deaths at these moments.
struct Death {
  const char* phase;
  std::int64_t done;
};
inline void expect_same_after(const RunFixture& files, const Recipe& recipe,
                              const std::vector<Death>& deaths, const std::string& name) {
  SCOPED_TRACE(name);
  Recipe whole = recipe;
  whole.output = files.path(name + "-whole");
  const RunResult expected = run_recipe(whole);
  Recipe killed = recipe;
  killed.output = files.path(name + "-killed");
  bool resume = false;
  for (const Death& death : deaths) {
    const auto& run = resume ? resume_recipe : run_recipe;
    EXPECT_THROW(run(killed, killing_at(death.phase, death.done)), Killed)
        << death.phase << ' ' << death.done;
    resume = true;
    killed.threads = killed.threads % 3 + 1;
  }
  const RunResult result = resume_recipe(killed);
  EXPECT_EQ(lines_of(killed.output), lines_of(whole.output));
  for (const char* file : {"model/model.safetensors", "model/heads.safetensors", "replay.csv",
                           "importance.medical.safetensors", "importance.safetensors"}) {
    const auto one = std::filesystem::path(whole.output) / file,
               other = std::filesystem::path(killed.output) / file;
    ASSERT_EQ(std::filesystem::exists(one), std::filesystem::exists(other)) << file;
    EXPECT_TRUE(!std::filesystem::exists(one) || file_text(one) == file_text(other)) << file;
  }
  EXPECT_EQ(result.ledger.size(), expected.ledger.size());
  EXPECT_EQ(result.curve.size(), expected.curve.size());
  EXPECT_EQ(result.actions.size(), expected.actions.size());
  EXPECT_EQ(result.tokens, expected.tokens);
  EXPECT_EQ(result.best_step, expected.best_step);
  EXPECT_EQ(result.penalty_share, expected.penalty_share);
  EXPECT_EQ(result.tasks[0].after->predictions, expected.tasks[0].after->predictions);
  set_thread_count(1);
}

}  // namespace holdfast
