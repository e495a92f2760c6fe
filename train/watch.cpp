#include "train/watch.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "train/metrics.h"

namespace holdfast {

Evaluation measure(Model& model, const TaskData& task, const std::vector<Sample>& samples,
                   const char* phase, const Hooks& hooks) {
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
  return evaluate(model, *model.head(task.name), samples, tell);
}

std::vector<Evaluation> measure_validation(Model& model, const Inputs& inputs, const Hooks& hooks,
                                           double& old_seconds) {
  std::vector<Evaluation> evaluations;
  double new_seconds = 0;
  for (const TaskData& task : inputs.tasks) {
    if (!task.valid.empty()) {
      const Timed timed(task.old ? old_seconds : new_seconds);
      evaluations.push_back(measure(model, task, task.valid, "evaluate", hooks));
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
  if (!recipe.replay) {
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
  std::vector<double> moved(static_cast<std::size_t>(now.config().layers) + 2);
  std::vector<double> norm(moved.size());
  for (const NamedSlice& slice : now.arena().slices()) {
    if (!slice.task.empty()) {
      continue;
    }
    const auto layer = static_cast<std::size_t>(slice.layer);
    dispatch(now.dtype(), "drift", [&]<class T>() {
      const T* theta = now.arena().values().data<T>() + slice.offset;
      const T* theta_old = old.arena().values().data<T>() + slice.offset;
      for (std::int64_t i = 0; i < slice.size; ++i) {
        const double before = static_cast<double>(theta_old[i]);
        const double d = static_cast<double>(theta[i]) - before;
        moved[layer] += d * d;
        norm[layer] += before * before;
      }
    });
  }
  std::vector<LayerDrift> drift;
  for (std::size_t layer = 0; layer < moved.size(); ++layer) {
    const std::string name = layer == 0                 ? "embeddings"
                             : layer + 1 < moved.size() ? fmt::format("layer.{}", layer - 1)
                                                        : "pooler";
    drift.push_back({name, norm[layer] > 0 ? std::sqrt(moved[layer] / norm[layer]) : 0});
  }
  return drift;
}

}  // namespace holdfast
