#include "base/profile.h"

#include <algorithm>
#include <chrono>
#include <utility>

namespace holdfast {
namespace {

std::int64_t steady_nanoseconds() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

double microseconds(std::int64_t nanoseconds) { return static_cast<double>(nanoseconds) / 1e3; }

Json event(std::string name, std::string_view category, std::int64_t begin,
           std::int64_t nanoseconds) {
  return Json::object({{"name", std::move(name)},
                       {"cat", category},
                       {"ph", "X"},  // complete: a begin and a duration
                       {"pid", 1},
                       {"tid", 1},
                       {"ts", microseconds(begin)},
                       {"dur", microseconds(nanoseconds)}});
}

}  // namespace

Profile::Profile() : clock_(steady_nanoseconds) {}

void Profile::begin_step(std::int64_t number) {
  if (++sums_.steps == 2) {  // the first is left out from here on
    for (Row& row : sums_.rows) row.calls = row.nanoseconds = row.operations = 0;
    sums_.nanoseconds = 0;
  }
  if (steps_.size() == 2 * kTraced) steps_.erase(steps_.begin() + kTraced);
  now_ = clock_();
  steps_.push_back({.number = number, .begin = now_, .laps = {}});
}

void Profile::end_step() {
  const std::int64_t took = now_ - steps_.back().begin;
  if (sums_.steps == 1) sums_.first = took;
  sums_.shortest = sums_.steps <= 2 ? took : std::min(sums_.shortest, took);
  sums_.longest = sums_.steps <= 2 ? took : std::max(sums_.longest, took);
  sums_.nanoseconds += took;
}

void Profile::add(std::string_view phase, std::string_view name, std::int64_t operations) {
  const std::int64_t begin = std::exchange(now_, clock_());
  auto row = std::ranges::find_if(
      sums_.rows, [&](const Row& known) { return known.name == name && known.phase == phase; });
  if (row == sums_.rows.end()) {
    row = sums_.rows.insert(row, {.phase = std::string(phase), .name = std::string(name)});
  }
  ++row->calls;
  row->nanoseconds += now_ - begin;
  row->operations += operations;
  const auto place = static_cast<std::size_t>(row - sums_.rows.begin());
  steps_.back().laps.push_back({place, begin, now_ - begin, operations});
}

Profile::Summary Profile::summary() const {
  Summary out = sums_;
  if (out.steps > 1) --out.steps;
  std::erase_if(out.rows, [](const Row& row) { return row.calls == 0; });
  std::vector<std::string> phases;
  for (const Row& row : sums_.rows) {
    if (std::ranges::find(phases, row.phase) == phases.end()) phases.push_back(row.phase);
  }
  std::ranges::stable_sort(out.rows, {}, [&](const Row& row) {
    return std::pair(std::ranges::find(phases, row.phase) - phases.begin(), -row.nanoseconds);
  });
  return out;
}

Json Profile::trace() const {
  const std::int64_t origin = steps_.empty() ? 0 : steps_.front().begin;
  Json events = Json::list();
  for (const Step& step : steps_) {
    const auto end_of = [](const Lap& lap) { return lap.begin + lap.nanoseconds; };
    const std::int64_t end = step.laps.empty() ? step.begin : end_of(step.laps.back());
    events.push_back(event("step " + std::to_string(step.number), "step", step.begin - origin,
                           end - step.begin));
    for (auto lap = step.laps.begin(); lap != step.laps.end();) {
      const std::string& phase = sums_.rows[lap->row].phase;
      const auto last = std::find_if(lap, step.laps.end(), [&](const Lap& other) {
        return sums_.rows[other.row].phase != phase;
      });
      events.push_back(
          event(phase, "phase", lap->begin - origin, end_of(*(last - 1)) - lap->begin));
      for (; lap != last; ++lap) {
        Json one = event(sums_.rows[lap->row].name, phase, lap->begin - origin, lap->nanoseconds);
        if (lap->operations > 0 && lap->nanoseconds > 0) {
          const double rate =
              static_cast<double>(lap->operations) / static_cast<double>(lap->nanoseconds);
          one.add("args", Json::object({{"GFLOP/s", rate}}));
        }
        events.push_back(std::move(one));
      }
    }
  }
  return Json::object({{"displayTimeUnit", "ms"}, {"traceEvents", std::move(events)}});
}

ProfiledStep::ProfiledStep(Profile* profile, std::int64_t number) : before_(profile_detail::now) {
  if (profile) profile->begin_step(number);
  profile_detail::now = profile;
}

ProfiledStep::~ProfiledStep() {
  if (profile_detail::now) profile_detail::now->end_step();
  profile_detail::now = before_;
}

void lap(std::string_view phase, std::string_view name, std::int64_t operations) {
  if (profiling()) profile_detail::now->add(phase, name, operations);
}

}  // namespace holdfast
