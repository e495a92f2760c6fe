// Whether a run is what its ledger says: nothing that it left in its folder, and none of the files
// it read, has been changed since, and executing it again gives the same lines, bit for bit. Tested
// by tests/train/verify_test.cpp.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "train/ledger.h"
#include "train/progress.h"

namespace holdfast {

struct VerifyOptions {
  std::int64_t from = 0;  // the first step of interest: begins at the nearest checkpoint before it;
                          // 0: at the start
  std::int64_t to = 0;    // step: the last that is executed; 0: the run's end
  int threads = 0;        // 0: measured
  bool execute = true;    // false: chain and files alone
  std::string chain{};    // the last line's, as somebody has noted it down; empty: nobody has
};

/// What is not as it was.
struct Finding {
  std::string where;            // "ledger.jsonl:17", or a file
  std::int64_t step = 0;        // of the line; 0: none
  LineDifference difference{};  // member empty: `fact` says it
  std::string fact;             // what else there is to say
  /// One line: where, in which step, what.
  std::string text() const;
};

struct Verification {
  std::vector<Finding> findings;     // none: all is equal
  std::size_t lines = 0;             // of the ledger, with their chain
  std::string chain;                 // the last line's, which stands for all
  bool broken = false;               // the chain
  std::size_t unread = 0;            // lines after the one with which it breaks
  std::size_t files = 0;             // compared with their fingerprints
  bool finished = false;             // the ledger has its last line
  std::int64_t first = 0, last = 0;  // steps that were executed again; 0: none
  bool end = false;                  // and the last line with the saved model
  bool interrupted = false;          // by Hooks::stop
  std::string refusal;               // what cannot be told here, and why; empty: nothing
  bool equal() const { return findings.empty(); }
  /// Keeps the first.
  void refuse(const std::string& why);
};

/// Checks, in this order: the chain and the order of the lines, and the noted chain; recipe.toml
/// and every file that the run read; all that it left in its folder, and nothing of these names
/// beside it; the checkpoints, which may be missing; then, if all is as it was, executes the run
/// again in a temporary folder, in which a copy of the model is written, and compares every line
/// until the first that differs. Times and the number of threads are not compared. Files are looked
/// for where the recipe says, relative paths from the working directory. Writes nothing into `run`.
///
/// What contradicts the ledger is a finding; what cannot be looked at or executed (a file that is
/// gone, another instruction set or library, a step that the run has not) is `refusal`, and all
/// else is checked nevertheless. Throws Refused when there is no run, or `from` comes after `to`.
///
/// Not covered: the lock; files of other names, which are the user's; what metrics.json,
/// report.html, memory.csv, replay.csv and importance.* say is not computed again, their bytes are
/// as they were when the run ended. Of a run that did not end, importance.* and checkpoints beyond
/// what their own manifests tell; that its last lines are missing, when nothing else that it left
/// is there. And whoever can write a whole ledger anew, and all else with it, is found by the
/// chain that was noted down, or by executing it.
Verification verify_run(const std::filesystem::path& run, const VerifyOptions& options = {},
                        const Hooks& hooks = {});

}  // namespace holdfast
