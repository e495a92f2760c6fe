// One training step, from mixing the batch to the updated weights. Tested by
// tests/train/step_test.cpp.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "nn/model.h"
#include "train/mixout.h"
#include "train/objective.h"
#include "train/optimizer.h"
#include "train/path_importance.h"
#include "train/penalty.h"
#include "train/protect.h"
#include "train/recipe.h"
#include "train/schedule.h"
#include "train/state_hash.h"

namespace holdfast {

/// Numbers of one step, a line of ledger.jsonl.
struct StepRecord {
  std::int64_t step = 0;               // from 1
  double loss = 0;                     // task loss: mean over the batch
  std::vector<TaskLoss> task_loss;     // of the tasks in the batch
  double distill = 0;                  // alpha times the distillation loss
  double grad_norm = 0;                // of the loss's gradient, before clipping
  double clip = 1;                     // factor on that gradient
  double penalty = 0;                  // lambda sum F d^2, before the update
  double l2 = 0;                       // L2 and L2-SP, before the update
  bool projected = false;              // A-GEM has turned the gradient
  std::int64_t at_bound = 0;           // protected weights or tensors at their bound
  double rate_low = 0, rate_high = 0;  // learning rates of the bottom and the top layer
  std::vector<double> rates;           // of layers 0 .. L+1
  int lowest_layer = 0;                // that is trained
  double share = 0;                    // of old data, as asked for
  std::int64_t tokens = 0;
  double seconds = 0;

  // Of the ledger's line alone; a record that was read back has none.
  std::vector<DrawnTexts> samples, matched, reference;  // the batch; of der++; of A-GEM
  std::optional<StateHash> state;                       // after the step, where it was taken

  /// The EWC penalty's part of what is minimised.
  double penalty_share() const { return penalty > 0 ? penalty / (loss + penalty) : 0; }
};

/// What was prepared before the first step; null: the measure is off. All must outlive the step.
struct Measures {
  const EwcPenalty* ewc = nullptr;
  const Tensor* start = nullptr;  // theta_old, for [l2] toward it, [recadam] and [mixout]
  const Distillation* distillation = nullptr;
  Protection* protection = nullptr;
  PathImportance* path = nullptr;
  std::vector<ArenaSpan> fresh{};  // has no past: nothing holds it to the start
  std::string shared_head{};       // of old tasks and the new one; empty: none
};

class TrainingStep {
 public:
  /// `recipe` is resolved: training.steps is set. Heads that have no pool stay as they are, and so
  /// does what is frozen in the model's arena. Model and samples must outlive this. Throws
  /// std::invalid_argument for a pool without head, no new samples, replay without old samples, or
  /// a measure that needs `start` without it.
  TrainingStep(Model& model, const Recipe& recipe, std::vector<SamplePool> pools,
               const Measures& measures = {});

  TrainingStep(const TrainingStep&) = delete;
  TrainingStep& operator=(const TrainingStep&) = delete;

  /// Takes step number `step` = 0, 1, ... training.steps - 1; a pure function of the weights, the
  /// moments and (seed, step). Throws std::runtime_error naming the batch's texts when loss,
  /// gradient or penalty is not finite; std::logic_error when a parameter received no gradient.
  StepRecord run(std::int64_t step);

  /// The share of old data from step `step` on.
  void set_share(std::int64_t step, double share);

  /// What the next step depends on beside the weights, the inputs and set_share().
  const AdamW& optimizer() const { return optimizer_; }
  /// Continues from a checkpoint: the weights and AdamW as they were.
  void restore(const Tensor& weights, std::span<const std::int64_t> range_steps,
               const Tensor& first_moment, const Tensor& second_moment);

  /// The lowest layer that the last step will train: above 0 when gradual unfreezing has more
  /// stages than the run has time for.
  int lowest_layer_at_end() const;

 private:
  void thaw(std::int64_t step, StepRecord& record);
  void refer(std::int64_t step);
  void mix(std::int64_t step);
  void unmix();
  static void read_losses(const Objective::Terms& terms, StepRecord& record);
  void descend(std::int64_t step, StepRecord& record);
  void check_reached(std::int64_t step);
  void check_finite(const StepRecord& record) const;

  Model& model_;
  TrainingRecipe training_;
  Measures measures_;
  double share_;
  bool bf16_, tf32_;  // products of forward and backward
  Objective objective_;
  std::vector<double> rates_;  // of layers 0 .. L+1, at schedule factor 1
  Schedule schedule_;
  AdamW optimizer_;
  Pull pull_;
  std::optional<RecAdam> recadam_;
  std::unique_ptr<Mixout> mixout_;
  std::optional<std::int64_t> thaw_every_;  // steps a stage of gradual unfreezing
  int lowest_layer_ = 0;
  std::int64_t reference_texts_ = 0;  // of A-GEM; 0: it is off
  Tensor reference_;                  // A-GEM's gradient (n)
};

}  // namespace holdfast
