#include "base/profile.h"

#include <gtest/gtest.h>

#include <thread>

namespace holdfast {
namespace {

/// A clock that stands still between calls of pass().
class FakeClock {
 public:
  Profile::Clock clock() {
    return [this] { return now_; };
  }
  void pass(std::int64_t nanoseconds) { now_ += nanoseconds; }

 private:
  std::int64_t now_ = 1'000'000;
};

/// A step of 10 ns of "mul" forward, 5 ns of "add" forward, 20 ns of "mul" backward and 1 ns more.
void take_step(FakeClock& time, Profile* profile, std::int64_t mul = 10, std::int64_t number = 1) {
  const ProfiledStep step(profile, number);
  time.pass(mul);
  lap("forward", "mul", 30);
  time.pass(5);
  lap("forward", "add");
  time.pass(20);
  lap("backward", "mul");
  time.pass(1);
  lap("forward", "mul", 40);
}

std::vector<std::string> described(const Profile::Summary& summary) {
  std::vector<std::string> out;
  for (const Profile::Row& row : summary.rows) {
    out.push_back(row.phase + ' ' + row.name + ": " + std::to_string(row.calls) + " in " +
                  std::to_string(row.nanoseconds) + ", " + std::to_string(row.operations));
  }
  return out;
}

using Lines = std::vector<std::string>;

TEST(Profile, LapsFollowOneAnotherAndAddUpToTheStep) {
  FakeClock time;
  Profile profile(time.clock());
  take_step(time, &profile);
  const Profile::Summary summary = profile.summary();
  EXPECT_EQ(summary.steps, 1);
  EXPECT_EQ(summary.nanoseconds, 36);
  EXPECT_EQ(described(summary), (Lines{"forward mul: 2 in 11, 70", "forward add: 1 in 5, 0",
                                       "backward mul: 1 in 20, 0"}));
}

TEST(Profile, LeavesTheFirstStepOutWhenThereAreMore) {
  FakeClock time;
  Profile profile(time.clock());
  {
    const ProfiledStep first(&profile, 1);
    time.pass(900);
    lap("forward", "only at first");
    time.pass(100);
    lap("prepare", "choose");
  }
  time.pass(5000);  // between steps: nobody's
  take_step(time, &profile);
  take_step(time, &profile, 4);
  {
    const ProfiledStep last(&profile, 4);
    time.pass(33);
    lap("prepare", "choose");
  }
  const Profile::Summary summary = profile.summary();
  EXPECT_EQ(summary.steps, 3);
  EXPECT_EQ(summary.first, 1000);
  EXPECT_EQ(summary.shortest, 30);
  EXPECT_EQ(summary.longest, 36);
  EXPECT_EQ(summary.nanoseconds, 36 + 30 + 33);
  // Phases as each came first, then the longest first.
  EXPECT_EQ(described(summary), (Lines{"forward mul: 4 in 16, 140", "forward add: 2 in 10, 0",
                                       "prepare choose: 1 in 33, 0", "backward mul: 2 in 40, 0"}));
}

TEST(Profile, RecordsWithinAStepOfThisThreadAlone) {
  FakeClock time;
  Profile profile(time.clock());
  EXPECT_FALSE(profiling());
  lap("forward", "before");
  {
    const ProfiledStep step(&profile, 1);
    EXPECT_TRUE(profiling());
    std::thread([] {
      EXPECT_FALSE(profiling());
      lap("forward", "elsewhere");
    }).join();
    const ProfiledStep off(nullptr, 1);
    EXPECT_FALSE(profiling());
    lap("forward", "off");
  }
  EXPECT_FALSE(profiling());
  lap("forward", "after");
  const Profile::Summary summary = profile.summary();
  EXPECT_EQ(summary.steps, 1);
  EXPECT_EQ(summary.nanoseconds, 0);
  EXPECT_TRUE(summary.rows.empty());
}

TEST(Profile, OfNoStepIsEmpty) {
  const Profile profile;
  EXPECT_EQ(profile.summary().steps, 0);
  EXPECT_EQ(profile.trace().dump(), R"({"displayTimeUnit":"ms","traceEvents":[]})");
}

// Steps hold phases hold laps, each beginning where the one before it ended.
TEST(Profile, TraceNestsLapsInPhasesInSteps) {
  FakeClock time;
  Profile profile(time.clock());
  take_step(time, &profile);
  Lines events;
  const Json trace = profile.trace();
  for (const Json& event : trace.at("traceEvents").array()) {
    EXPECT_EQ(event.at("ph").as_string(), "X");
    events.push_back(event.at("cat").as_string() + ' ' + event.at("name").as_string() + ' ' +
                     Json(event.at("ts").as_double()).dump() + '+' +
                     Json(event.at("dur").as_double()).dump() +
                     (event.find("args") ? ' ' + event.at("args").dump() : ""));
  }
  EXPECT_EQ(events,
            (Lines{"step step 1 0.0+0.036", "phase forward 0.0+0.015",
                   "forward mul 0.0+0.01 {\"GFLOP/s\":3.0}", "forward add 0.01+0.005",
                   "phase backward 0.015+0.02", "backward mul 0.015+0.02",
                   "phase forward 0.035+0.001", "forward mul 0.035+0.001 {\"GFLOP/s\":40.0}"}));
}

TEST(Profile, TraceKeepsTheFirstAndTheLastSteps) {
  FakeClock time;
  Profile profile(time.clock());
  for (int step = 1; step <= 1000; ++step) take_step(time, &profile, 10, step);
  Lines steps;
  const Json trace = profile.trace();
  for (const Json& event : trace.at("traceEvents").array()) {
    if (event.at("cat").as_string() == "step") steps.push_back(event.at("name").as_string());
  }
  EXPECT_EQ(steps, (Lines{"step 1", "step 2", "step 3", "step 4", "step 5", "step 996", "step 997",
                          "step 998", "step 999", "step 1000"}));
  EXPECT_EQ(profile.summary().steps, 999);
}

}  // namespace
}  // namespace holdfast
