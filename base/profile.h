// Where the time of training steps goes: sums by operation, and a timeline. Tested by
// tests/base/profile_test.cpp.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"

namespace holdfast {

/// What lap() has measured. A lap is the time since the lap before it, or since its step began: the
/// laps of a step follow one another without a gap and add up to it, and nothing needs a begin and
/// an end. A step ends with its last lap.
class Profile {
 public:
  /// Nanoseconds since any moment; never goes back.
  using Clock = std::function<std::int64_t()>;

  struct Row {
    std::string phase, name;
    std::int64_t calls = 0, nanoseconds = 0;
    std::int64_t operations = 0;  // of floating point, where its laps have counted them
  };
  struct Summary {
    std::int64_t steps = 0;        // that were summed: all but the first, unless it is the only one
    std::int64_t nanoseconds = 0;  // of these steps: the sum of the rows
    std::int64_t shortest = 0, longest = 0;  // of these steps
    std::int64_t first = 0;                  // of the first step, which maps the memory of all
    std::vector<Row> rows;  // by phase as each came first, within a phase the longest first
  };

  /// So many steps at the beginning, and so many before the end, are in the timeline: a long run's
  /// is as large as a short one's.
  static constexpr std::size_t kTraced = 5;

  Profile();  // by the steady clock
  explicit Profile(Clock clock) : clock_(std::move(clock)) {}
  Profile(const Profile&) = delete;
  Profile& operator=(const Profile&) = delete;

  Summary summary() const;
  /// The timeline in Chrome's format [Trace Event Format, Google 2016]: of each step one event, in
  /// it one of each phase, in these the laps, with GFLOP/s where operations were counted.
  Json trace() const;

 private:
  friend class ProfiledStep;
  friend void lap(std::string_view phase, std::string_view name, std::int64_t operations);

  struct Lap {
    std::size_t row;
    std::int64_t begin, nanoseconds, operations;
  };
  struct Step {
    std::int64_t number = 0, begin = 0;
    std::vector<Lap> laps;
  };
  void begin_step(std::int64_t number);
  void end_step();
  void add(std::string_view phase, std::string_view name, std::int64_t operations);

  Clock clock_;
  Summary sums_;          // rows as they came
  std::int64_t now_ = 0;  // the latest lap's end
  std::deque<Step> steps_;
};

namespace profile_detail {
inline constinit thread_local Profile* now = nullptr;
}

/// Takes step `number`, for a scope, in this thread: lap() goes to `profile` (null: nowhere).
class ProfiledStep {
 public:
  ProfiledStep(Profile* profile, std::int64_t number);
  ~ProfiledStep();
  ProfiledStep(const ProfiledStep&) = delete;
  ProfiledStep& operator=(const ProfiledStep&) = delete;

 private:
  Profile* before_;
};

/// Whether lap() goes anywhere in this thread.
inline bool profiling() { return profile_detail::now != nullptr; }

/// Something has just ended: the time since the latest lap is its. `operations` of floating point
/// give its rate. Within no ProfiledStep of this thread it does nothing.
void lap(std::string_view phase, std::string_view name, std::int64_t operations = 0);

}  // namespace holdfast
