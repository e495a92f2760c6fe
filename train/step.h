// One training step, from mixing the batch to the updated weights. Tested by
// tests/train/step_test.cpp.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "nn/model.h"
#include "train/mixing.h"
#include "train/optimizer.h"
#include "train/penalty.h"
#include "train/recipe.h"
#include "train/sample.h"
#include "train/schedule.h"

namespace holdfast {

/// What a task's texts of one batch cost.
struct TaskLoss {
  std::string task;
  std::int64_t texts = 0;
  double loss = 0;  // mean over these texts
};

/// Numbers of one step, a line of ledger.jsonl.
struct StepRecord {
  std::int64_t step = 0;               // from 1
  double loss = 0;                     // task loss: mean over the batch
  std::vector<TaskLoss> task_loss;     // of the tasks in the batch
  double grad_norm = 0;                // of the task gradient, before clipping
  double clip = 1;                     // factor on the task gradient
  double penalty = 0;                  // lambda sum F d^2, before the update
  double rate_low = 0, rate_high = 0;  // learning rates of the bottom and the top layer
  double share = 0;                    // of old data, as asked for
  std::int64_t tokens = 0;
  double seconds = 0;

  /// The penalty's part of what is minimised.
  double penalty_share() const { return penalty > 0 ? penalty / (loss + penalty) : 0; }
};

/// Where a task's training texts are: the new task's first, then the memory of each old one.
struct SamplePool {
  std::string task;  // names the head
  std::span<const Sample> samples;
};

class TrainingStep {
 public:
  /// `recipe` is resolved: training.steps is set. Heads that have no pool stay as they are. Model,
  /// samples and `ewc` (null: no penalty) must outlive this. Throws std::invalid_argument for a
  /// pool without head, no new samples, or replay without old samples.
  TrainingStep(Model& model, const Recipe& recipe, std::vector<SamplePool> pools,
               const EwcPenalty* ewc);

  /// Takes step number `step` = 0, 1, ... training.steps - 1; a pure function of the weights, the
  /// moments and (seed, step). Throws std::runtime_error naming the batch's texts when loss, gradient
  /// or penalty is not finite; std::logic_error when a parameter received no gradient.
  StepRecord run(std::int64_t step);

  /// The share of old data from step `step` on.
  void set_share(std::int64_t step, double share);

 private:
  struct Drawn;  // the batch's texts
  Drawn draw(std::int64_t step);
  Var task_losses(const Drawn& drawn, const Var& pooled, StepRecord& record);
  void check_reached(const Drawn& drawn, std::int64_t step);
  void check_finite(const Drawn& drawn, const StepRecord& record) const;

  Model& model_;
  TrainingRecipe training_;
  std::uint64_t seed_;
  double share_;
  std::vector<SamplePool> pools_;
  const EwcPenalty* ewc_;
  std::vector<double> rates_;  // of layers 0 .. L+1, at schedule factor 1
  Schedule schedule_;
  Mixer mixer_;
  AdamW optimizer_;
};

}  // namespace holdfast
