// Several runs from the same start, and what is asked of them together: compare, ablate and search
// consist of arms. Tested by tests/train/compare_test.cpp and tests/train/ablate_test.cpp.
#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "train/ledger.h"
#include "train/output.h"
#include "train/trainer.h"

namespace holdfast {

/// The output folder of a command that runs arms: held until the end, with a ledger of its own.
struct ArmsFolder {
  /// Takes `recipe.output` as a run does, and writes recipe.toml. Throws Refused.
  ArmsFolder(const std::string& command, const Recipe& recipe);

  std::filesystem::path path;
  OutputFolder folder;
  Ledger ledger;
};

struct ArmsOptions {
  bool keep_models = true;  // false: an arm leaves its numbers alone
};

/// Arms from the same inputs.
class Arms {
 public:
  /// In folders below `folder`. Inputs, ledger and hooks must outlive this.
  Arms(const Inputs& inputs, std::filesystem::path folder, Ledger& ledger, const Hooks& hooks,
       const ArmsOptions& options = {});

  /// Runs an arm (`recipe` resolved), or reads it back when its folder holds the same run already:
  /// of the same recipe, input files, version and number of threads. An arm measures and
  /// keeps nothing of its new task for later runs ([leave]). Throws Stopped when it was
  /// interrupted, and what a run throws, its text after the arm's name.
  RunResult run(const std::string& name, Recipe recipe);

  const Inputs& inputs() const { return inputs_; }

 private:
  std::optional<RunResult> read_back(const Recipe& recipe) const;
  void leave(const RunResult& result) const;
  std::string key_of(const Recipe& recipe) const;
  Hooks hooks_of(const std::string& name) const;

  const Inputs& inputs_;
  std::filesystem::path folder_;
  Ledger& ledger_;
  const Hooks& hooks_;
  ArmsOptions options_;
  std::string digest_;
  std::optional<RunResult> first_;  // the arm that has evaluated the start
};

/// Naive fine-tuning at every rate of the recipe's list.
struct NaiveArms {
  std::vector<RunResult> runs;  // in the list's order
  std::size_t chosen = 0;       // the best new validation accuracy; of equal ones the lower rate
  const RunResult& best() const { return runs[chosen]; }
};
/// Runs them as "naive-<rate>"; `change` is made to each of them.
NaiveArms run_naive(Arms& arms, const Recipe& recipe, const std::string& name = "naive",
                    const std::function<void(Recipe&)>& change = {});

/// The first of the runs with the best new validation accuracy; of equal ones that of the lower
/// rate.
std::size_t choose_naive(const std::vector<RunResult>& runs);
/// Accuracy of the new task's validation split after training; 0 without one.
double new_valid_accuracy(const RunResult& run);
/// Mean test accuracy after training of the old tasks, or of the new one; 0 without test splits.
double mean_test_accuracy(const RunResult& run, bool old);
/// Seconds of all that the run computes (Seconds::computing) / those of naive - 1. Both watch all
/// tasks.
double overhead_of(const RunResult& run, const RunResult& naive);

/// Throws Refused when there are less than one seed, too many, or a list of naive rates and no
/// validation split of the new task to choose by.
void check_arms(const Recipe& recipe, std::int64_t seeds);

/// For each seed from `recipe.seed` on: reads the inputs, which a fresh head makes depend on it,
/// takes the folder, and calls `body` with the resolved recipe of the seed. False: it was stopped.
bool for_each_seed(const std::string& command, const Recipe& recipe, std::int64_t seeds,
                   const Hooks& hooks,
                   const std::function<void(const Recipe&, const Inputs&, ArmsFolder&)>& body);

}  // namespace holdfast
