// What a run tells while it goes, and how it is asked to stop.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

namespace holdfast {

class Profile;
struct RunResult;

/// How far a phase is.
struct Progress {
  std::string phase;   // "read", "evaluate", "test", "select", "fisher", "train", "save"
  std::string detail;  // task, file or folder; may be empty
  std::int64_t done = 0, total = 0;  // steps of "train", files of "read", texts of the others
  double tokens_per_second = 0;      // over the phase so far; 0: not known
  double seconds_left = -1;          // below 0: not known
  double loss = 0;                   // "train": the step's
};

/// One evaluation during training, on the validation splits.
struct CurvePoint {
  struct Task {
    std::string name;
    double accuracy = 0, loss = 0;
  };
  std::int64_t step = 0;    // 0: before training
  double share = 0;         // of the batch from old data, from here on
  std::vector<Task> tasks;  // those that have a validation split, old ones first
};

/// The controller has raised the old data's share.
struct Action {
  std::int64_t step = 0;
  double share = 0;  // from here on
  std::string why;
};

/// All may be empty; they are called in the thread that runs the recipe.
struct Hooks {
  std::function<void(const Progress&)> progress;
  std::function<void(const std::string&)> notice;  // one line
  std::function<void(const CurvePoint&)> evaluated;
  std::function<void(const Action&)> acted;
  /// When the model and metrics.json are there and the ledger's last line is not: what is written
  /// now into the output folder is covered by it (files_of_run() of train/output.h).
  std::function<void(const RunResult&)> saved;
  /// When it becomes true the step is finished, the model saved as usual and the result
  /// interrupted.
  const std::atomic<bool>* stop = nullptr;
  /// Where the time of training steps goes (base/profile.h); null: nowhere.
  Profile* profile = nullptr;
};

/// Thrown before the first step: usage, recipe or an input file (exit status 2). Nothing has been
/// written then. Whatever else a run throws came later (exit status 1).
class Refused : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Thrown within a run that was asked to stop; what is done is kept.
struct Stopped {};
inline void stop_if_asked(const Hooks& hooks) {
  if (hooks.stop && *hooks.stop) {
    throw Stopped();
  }
}

class Stopwatch {
 public:
  double seconds() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

/// Adds the time of a scope to a sum.
class Timed {
 public:
  explicit Timed(double& sum) : sum_(sum) {}
  ~Timed() { sum_ += watch_.seconds(); }
  Timed(const Timed&) = delete;
  Timed& operator=(const Timed&) = delete;

 private:
  double& sum_;
  Stopwatch watch_;
};

}  // namespace holdfast
