// After the last step: which of the models seen along the way is kept, and its merge with the one
// at the start. Tested by tests/train/finish_test.cpp.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "train/prepare.h"

namespace holdfast {

/// The best model so far: the highest mean new validation accuracy among those that keep
/// `retention` of every old task's accuracy before; while none does, the one of the best worst
/// retention. Of equals the earlier one.
class BestModel {
 public:
  /// What was seen so far.
  struct State {
    std::int64_t step = 0, stale = 0;
    bool kept = false;             // the best one keeps enough
    double gained = 0, worst = 0;  // its new accuracy and worst retention
    Tensor weights;                // undefined at step 0
  };

  /// `before`: evaluations of all tasks before training.
  BestModel(double retention, std::span<const TaskData> tasks, std::span<const Evaluation> before);

  /// Takes a copy of the weights when they are the best so far, and says so.
  bool consider(std::int64_t step, const ParameterArena& arena,
                std::span<const Evaluation> evaluations);
  std::int64_t step() const { return state_.step; }  // 0: nothing was considered
  /// Evaluations since the best one.
  std::int64_t stale() const { return state_.stale; }
  void restore(ParameterArena& arena) const { arena.values().copy_from(state_.weights); }

  /// For checkpoints; shares the weights' memory, which never changes.
  const State& state() const { return state_; }
  void restore(State state) { state_ = std::move(state); }

 private:
  double retention_;
  std::span<const TaskData> tasks_;
  std::vector<double> before_;
  State state_;
};

/// [merge]: puts LoRA into the weights, then the merge of the start model and the trained one into
/// the run's model; its weight is the recipe's, or searched on the validation splits
/// (merge_search.h), which the result then tells. Throws Stopped.
void merge_with_start(const RunContext& run, const Prepared& prepared,
                      std::span<const Evaluation> before);

}  // namespace holdfast
