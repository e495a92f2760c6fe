#include "train/watch.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "train/drift.h"
#include "train/metrics.h"

namespace holdfast {

Evaluation measure(Model& model, const std::string& head, const TaskData& task,
                   const std::vector<Sample>& samples, const char* phase, const Hooks& hooks) {
  const Stopwatch watch;
  const auto tell = [&](std::int64_t texts, std::int64_t tokens) {
    if (hooks.progress) {
      hooks.progress({.phase = phase,
                      .detail = task.name,
                      .done = texts,
                      .total = static_cast<std::int64_t>(samples.size()),
                      .tokens_per_second = static_cast<double>(tokens) / watch.seconds()});
    }
    stop_if_asked(hooks);
  };
  Evaluation evaluation = evaluate(model, *model.head(head), samples, tell);
  evaluation.task = task.name;
  return evaluation;
}

std::vector<Evaluation> measure_validation(Model& model, const Inputs& inputs, bool before,
                                           const Hooks& hooks, double& old_seconds) {
  std::vector<Evaluation> evaluations;
  double new_seconds = 0;
  for (const TaskData& task : inputs.tasks) {
    if (!task.valid.empty()) {
      const Timed timed(task.old ? old_seconds : new_seconds);
      const std::string& head = before ? task.heads.start : task.heads.now;
      evaluations.push_back(measure(model, head, task, task.valid, "evaluate", hooks));
    }
  }
  return evaluations;
}

CurvePoint curve_point(std::int64_t step, double share,
                       const std::vector<Evaluation>& evaluations) {
  CurvePoint point{step, share, {}};
  for (const Evaluation& evaluation : evaluations) {
    point.tasks.push_back({evaluation.task, evaluation.accuracy, evaluation.loss});
  }
  return point;
}

std::unique_ptr<BalanceController> make_controller(const Recipe& recipe, const Inputs& inputs,
                                                   const std::vector<Evaluation>& before,
                                                   std::string& why_not) {
  const EvaluationRecipe& e = recipe.evaluation;
  if (!e.controller || recipe.old.empty()) {
    return nullptr;
  }
  if (!recipe.replay || recipe.replay->share == 0) {
    why_not = "the controller is off: without [replay] there is no share to raise";
    return nullptr;
  }
  const std::vector<TaskOutcome> outcomes = old_outcomes(inputs, before);
  if (outcomes.empty()) {
    why_not = "the controller is off: no old task has a validation split to watch";
    return nullptr;
  }
  const ControllerOptions options{e.max_drop, parse_drop_kind(e.drop), e.boost, e.max_share,
                                  parse_gate(e.gate)};
  return std::make_unique<BalanceController>(options, recipe.replay->share, outcomes);
}

std::vector<TaskOutcome> old_outcomes(const Inputs& inputs,
                                      const std::vector<Evaluation>& evaluations) {
  std::vector<TaskOutcome> outcomes;
  for (const Evaluation& evaluation : evaluations) {
    const auto task =
        std::find_if(inputs.tasks.begin(), inputs.tasks.end(),
                     [&](const TaskData& candidate) { return candidate.name == evaluation.task; });
    if (task->old) {
      outcomes.push_back({task->name, correctness(evaluation, task->valid)});
    }
  }
  return outcomes;
}

std::vector<LayerDrift> measure_drift(const Model& now, const Model& old) {
  const auto last = static_cast<std::size_t>(now.config().layers) + 1;
  std::vector<double> moved(last + 1);
  std::vector<double> norm(last + 1);
  for (const TensorDrift& tensor : measure_tensor_drift(now.arena(), old.arena())) {
    const NamedSlice& slice = *now.arena().find(tensor.name);
    if (slice.task.empty()) {
      moved[static_cast<std::size_t>(tensor.layer)] += tensor.moved * tensor.moved;
      norm[static_cast<std::size_t>(tensor.layer)] += tensor.norm * tensor.norm;
    }
  }
  std::vector<LayerDrift> drift;
  for (std::size_t layer = 0; layer <= last; ++layer) {
    const std::string name = layer == 0     ? "embeddings"
                             : layer < last ? fmt::format("layer.{}", layer - 1)
                                            : "pooler";
    drift.push_back({name, norm[layer] > 0 ? std::sqrt(moved[layer] / norm[layer]) : 0});
  }
  return drift;
}

}  // namespace holdfast
