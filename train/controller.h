// The balance controller: more old data when an old task has dropped too far. Tested by
// tests/train/controller_test.cpp.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace holdfast {

enum class DropKind { absolute, relative };
enum class Gate { point, paired };
std::string_view name_of(DropKind kind);
std::string_view name_of(Gate gate);
/// Throw std::invalid_argument naming the known ones.
DropKind parse_drop_kind(std::string_view name);
Gate parse_gate(std::string_view name);

struct ControllerOptions {
  double max_drop = 0.05;  // of accuracy; exactly this much is no action
  DropKind drop = DropKind::absolute;
  double boost = 1.20;  // share <- min(max_share, share * boost)
  double max_share = 0.5;
  Gate gate = Gate::point;
};

/// A task's validation items: 1 where the answer was right. The same items in the same order every
/// time.
struct TaskOutcome {
  std::string task;
  std::vector<std::uint8_t> correct;
};

struct BalanceDecision {
  bool acted = false;
  double share = 0;    // of old data, from now on
  std::string reason;  // one line, also when nothing was done
};

/// Whether a task that had `before` of n right and now has `now` dropped by more than max_drop
/// (absolute: of n; relative: of `before`). Counts and billionths, no rounding: exactly max_drop is
/// false.
bool dropped_too_far(std::int64_t before, std::int64_t now, std::int64_t n, double max_drop,
                     DropKind drop);

class BalanceController {
 public:
  /// `before`: every old task's outcome before training.
  /// Throws std::invalid_argument for max_drop outside [0, 1], boost < 1, shares outside [0, 1], or
  /// a task without items.
  BalanceController(const ControllerOptions& options, double share,
                    std::vector<TaskOutcome> before);

  /// Acts at most once an evaluation: when any old task dropped too far, the share grows. With
  /// Gate::paired only when the lower end of that task's paired interval (Newcombe) exceeds
  /// max_drop too. Throws std::invalid_argument when tasks or items are not those of before.
  BalanceDecision evaluate(const std::vector<TaskOutcome>& now);

  double share() const { return share_; }
  /// Continues from a checkpoint.
  void restore(double share) { share_ = share; }

 private:
  ControllerOptions options_;
  double share_;
  std::vector<TaskOutcome> before_;
};

}  // namespace holdfast
