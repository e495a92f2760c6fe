// Watching both tasks: evaluation of their splits during a run, and the controller that decides by
// the validation splits of the old ones.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "train/controller.h"
#include "train/dataset.h"
#include "train/evaluate.h"
#include "train/progress.h"
#include "train/recipe.h"

namespace holdfast {

/// One task's split by this head, with progress and a way out.
Evaluation measure(Model& model, const std::string& head, const TaskData& task,
                   const std::vector<Sample>& samples, const char* phase, const Hooks& hooks);

/// The validation splits of the tasks that have one, in order, by the heads of before training or
/// those of now; adds the time of old tasks to `old_seconds`.
std::vector<Evaluation> measure_validation(Model& model, const Inputs& inputs, bool before,
                                           const Hooks& hooks, double& old_seconds);

/// The point of a curve that these make.
CurvePoint curve_point(std::int64_t step, double share, const std::vector<Evaluation>& evaluations);

/// A controller that watches the old tasks among `before`; null when the recipe has none, or there
/// is nothing to watch or to raise, which `why_not` then says.
std::unique_ptr<BalanceController> make_controller(const Recipe& recipe, const Inputs& inputs,
                                                   const std::vector<Evaluation>& before,
                                                   std::string& why_not);

/// Which validation texts of each old task are right.
std::vector<TaskOutcome> old_outcomes(const Inputs& inputs,
                                      const std::vector<Evaluation>& evaluations);

/// How far a layer's shared weights have moved: ||theta - theta_old|| / ||theta_old||.
struct LayerDrift {
  std::string layer;  // "embeddings", "layer.0", ..., "pooler"
  double relative = 0;
};

/// Over what both models have of what all tasks share.
std::vector<LayerDrift> measure_drift(const Model& now, const Model& old);

}  // namespace holdfast
