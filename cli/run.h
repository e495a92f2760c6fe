// What train and compare share: their options, the hooks that show a run going on, and the folder
// they leave.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/json.h"
#include "cli/command.h"
#include "cli/interrupt.h"
#include "cli/progress.h"
#include "train/trainer.h"

namespace holdfast::cli {

struct RunOptions {
  std::string recipe, output, threads;
  std::vector<std::string> set;  // key=value
  bool dry_run = false;
};

/// Adds RECIPE, --set, --output, --threads and --dry-run.
std::shared_ptr<RunOptions> add_run_options(CLI::App& sub);

/// The recipe with the command line's changes. Throws as load_recipe() and check_model_folder() do.
Recipe recipe_of(const RunOptions& options);

/// Shows a run on standard error and stops it on Ctrl-C.
class Watch {
 public:
  explicit Watch(const Common& common) : progress_(common.quiet) {}
  Hooks hooks();
  void say(std::string_view line) { progress_.notice(line); }
  void clear() { progress_.clear(); }

 private:
  Progress progress_;
  Interrupt interrupt_;
};

/// `--dry-run` (plan.cpp): checks everything as a run does and prints what it would do. `arms`: how
/// many runs the command makes.
int print_plan(const Recipe& recipe, std::size_t arms, const Common& common);

/// Prints metrics.json of an output folder on one line, with members that it lacks.
void print_metrics(const std::string& output, Json::Object more = {});

/// One line for each task: before, after, drop.
std::string tasks_text(const RunResult& run);

/// Calls `body`, which trains: Refused keeps its status, everything else becomes Failed.
template <class Body>
auto training(Body&& body) {
  try {
    return body();
  } catch (const Refused&) {
    throw;
  } catch (const std::bad_alloc&) {
    throw;
  } catch (const std::exception& error) {
    throw Failed(error.what());
  }
}

}  // namespace holdfast::cli
