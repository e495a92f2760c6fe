#include "train/controller.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <stdexcept>

#include "train/names.h"
#include "train/statistics.h"

namespace holdfast {
namespace {

constexpr std::array kDropKinds = {std::pair{DropKind::absolute, "absolute"},
                                   std::pair{DropKind::relative, "relative"}};
constexpr std::array kGates = {std::pair{Gate::point, "point"}, std::pair{Gate::paired, "paired"}};

std::int64_t count_right(const TaskOutcome& outcome) {
  return std::accumulate(outcome.correct.begin(), outcome.correct.end(), std::int64_t{0});
}

// Lower end of the paired interval of the drop, in the unit of `drop`.
double lower_bound(const TaskOutcome& before, const TaskOutcome& now, DropKind drop) {
  const PairedCounts counts = paired_counts(before.correct, now.correct);
  const double low = newcombe_paired_interval(counts).low;
  if (drop == DropKind::absolute) return low;
  const double right_before = static_cast<double>(counts.both_right + counts.only_before);
  return low * static_cast<double>(counts.n()) / right_before;
}

}  // namespace

std::string_view name_of(DropKind kind) { return name_in(kDropKinds, kind); }
std::string_view name_of(Gate gate) { return name_in(kGates, gate); }
DropKind parse_drop_kind(std::string_view name) { return parse_in(kDropKinds, "drop", name); }
Gate parse_gate(std::string_view name) { return parse_in(kGates, "gate", name); }

bool dropped_too_far(std::int64_t before, std::int64_t now, std::int64_t n, double max_drop,
                     DropKind drop) {
  constexpr std::int64_t kBillion = 1'000'000'000;
  const std::int64_t allowed = std::llround(max_drop * static_cast<double>(kBillion));
  return (before - now) * kBillion > allowed * (drop == DropKind::absolute ? n : before);
}

BalanceController::BalanceController(const ControllerOptions& options, double share,
                                     std::vector<TaskOutcome> before)
    : options_(options), share_(share), before_(std::move(before)) {
  const auto is_share = [](double x) { return x >= 0 && x <= 1; };
  if (!is_share(options.max_drop) || !is_share(options.max_share) || !is_share(share) ||
      !(options.boost >= 1)) {
    throw std::invalid_argument(
        "[controller] max_drop, max_share and share must be between 0 and 1, boost at least 1");
  }
  for (const TaskOutcome& task : before_) {
    if (task.correct.empty()) {
      throw std::invalid_argument("[controller] task \"" + task.task +
                                  "\" has no validation items to watch");
    }
  }
}

BalanceDecision BalanceController::evaluate(const std::vector<TaskOutcome>& now) {
  if (now.size() != before_.size()) {
    throw std::invalid_argument(
        fmt::format("[controller] watches {} tasks, was given {}", before_.size(), now.size()));
  }
  const TaskOutcome* worst = nullptr;
  double worst_drop = 0;
  std::string facts;
  for (std::size_t t = 0; t < now.size(); ++t) {
    const TaskOutcome& was = before_[t];
    if (now[t].task != was.task || now[t].correct.size() != was.correct.size()) {
      throw std::invalid_argument("[controller] the items of task \"" + was.task +
                                  "\" must be those of before training");
    }
    const std::int64_t n = static_cast<std::int64_t>(was.correct.size());
    const std::int64_t right_before = count_right(was), right_now = count_right(now[t]);
    const double drop = static_cast<double>(right_before - right_now) /
                        static_cast<double>(options_.drop == DropKind::absolute
                                                ? n
                                                : std::max<std::int64_t>(1, right_before));
    bool too_far = dropped_too_far(right_before, right_now, n, options_.max_drop, options_.drop);
    facts +=
        fmt::format("{}{}: {} of {} right, {} before, {} drop {:.4f}", facts.empty() ? "" : "; ",
                    was.task, right_now, n, right_before, name_of(options_.drop), drop);
    if (too_far && options_.gate == Gate::paired) {
      const double low = lower_bound(was, now[t], options_.drop);
      too_far = low > options_.max_drop;
      facts += fmt::format(" (at least {:.4f})", low);
    }
    if (too_far && (worst == nullptr || drop > worst_drop)) {
      worst = &was;
      worst_drop = drop;
    }
  }
  if (worst == nullptr) {
    return {false, share_, fmt::format("{}; none above {:g}", facts, options_.max_drop)};
  }
  const double next = std::max(share_, std::min(options_.max_share, share_ * options_.boost));
  if (next == share_) {
    return {false, share_,
            fmt::format("{}; {} above {:g}, but the share cannot grow beyond {:g}", facts,
                        worst->task, options_.max_drop, share_)};
  }
  const double previous = share_;
  share_ = next;
  return {true, share_,
          fmt::format("{}; {} above {:g}: share of old data {:.4g} -> {:.4g}", facts, worst->task,
                      options_.max_drop, previous, next)};
}

}  // namespace holdfast
