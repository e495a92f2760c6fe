// What a run makes ready between reading its files and its first step: replay memories, importance
// and what rests on it, the old model's answers. Tested by tests/train/measures_test.cpp.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "train/importance.h"
#include "train/replay.h"
#include "train/run_context.h"

namespace holdfast {

struct Prepared {
  Tensor start;                         // theta_old (n), where a measure needs it
  std::vector<Memory> memories;         // of old tasks, with [replay]
  std::vector<Importance> importances;  // raw, of old tasks, until leave.h takes them
  std::unique_ptr<EwcPenalty> ewc;
  std::unique_ptr<Protection> protection;
  std::optional<Distillation> distillation;
  std::unique_ptr<PathImportance> path;

  /// For the steps; this must outlive them.
  Measures measures(const RunContext& run) const;
};

/// Freezes what the recipe does not train, and adds its adapter.
void prepare_model(Model& model, const Recipe& recipe);

/// In this order: selects the memories, measures importance (or reads what an earlier run left),
/// asks the old model. The model is as it was at the start. Throws as its parts do; Stopped.
Prepared prepare(const RunContext& run);

/// The texts to train on: the new task's, then the memories', with augmentation and class weights.
/// `prepared` and the run's inputs must outlive them.
std::vector<SamplePool> make_pools(const RunContext& run, const Prepared& prepared);

/// Importance of a task to the model as it is, from its training texts: min(1000, 5%) of them when
/// `samples` is 0.
Importance importance_of(const RunContext& run, const TaskData& task, const std::string& kind,
                         std::int64_t samples);

}  // namespace holdfast
