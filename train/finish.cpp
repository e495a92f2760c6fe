#include "train/finish.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "train/merge.h"
#include "train/past.h"

namespace holdfast {

BestModel::BestModel(double retention, std::span<const TaskData> tasks,
                     std::span<const Evaluation> before)
    : retention_(retention), tasks_(tasks) {
  for (const Evaluation& evaluation : before) {
    before_.push_back(evaluation.accuracy);
  }
}

bool BestModel::consider(std::int64_t step, const ParameterArena& arena,
                         std::span<const Evaluation> evaluations) {
  double gained = 0;
  double worst = 1;
  for (std::size_t t = 0; t < tasks_.size(); ++t) {
    if (!tasks_[t].old) {
      gained = evaluations[t].accuracy;
    } else if (before_[t] > 0) {
      worst = std::min(worst, evaluations[t].accuracy / before_[t]);
    }
  }
  const bool kept = worst >= retention_ - 1e-12;
  const bool better = kept != state_.kept ? kept
                      : kept              ? gained > state_.gained
                                          : worst > state_.worst;
  if (state_.step > 0 && !better) {
    ++state_.stale;
    return false;
  }
  state_ = {step, 0, kept, gained, worst, arena.values().clone()};
  return true;
}

namespace {

// Importance to all old tasks together; each weighs the same, as in EWC.
Tensor sum_of(const std::vector<Importance>& importances, const ParameterArena& arena) {
  const Tensor sum = Tensor::zeros({arena.numel()}, arena.dtype());
  for (const Importance& importance : importances) {
    add_normalised(importance.values, arena.slices(), Normalization::mean, 1, sum);
  }
  return sum;
}

}  // namespace

void merge_with_start(const RunContext& run, const Prepared& prepared,
                      std::span<const Evaluation> before) {
  const MergeRecipe& recipe = *run.recipe.merge;
  if (run.model.adapter().kind == AdapterKind::lora) {
    run.model.merge_lora();  // the merge of B and of A is not that of B A
  }
  const ParameterArena& arena = run.model.arena();
  MergeOptions options;
  options.method = parse_merge_method(recipe.method);
  options.scale = recipe.scale;
  options.density = recipe.density;
  options.seed = run.seed();
  MergeInput trained{arena.values().clone(), 1, {}};
  MergeInput start{trained.theta.clone(), 1, {}};
  Model before_run = run.inputs.model.clone();
  if (before_run.adapter().kind == AdapterKind::lora) {
    before_run.merge_lora();
  }
  // What was not there at the start has nothing to be merged with: it is as trained.
  const std::vector<NamedSlice> slices = slices_less(arena, without_past(run.model, run.inputs));
  for (const NamedSlice& slice : slices) {
    const NamedSlice& old = *before_run.arena().find(slice.name);
    start.theta.slice(0, slice.offset, slice.offset + slice.size)
        .copy_from(before_run.arena().values().slice(0, old.offset, old.offset + slice.size));
  }
  if (options.method == MergeMethod::fisher) {
    const std::string kind(name_of(prepared.importances.front().kind));
    start.importance = sum_of(prepared.importances, arena);
    trained.importance = importance_of(run, run.inputs.fresh(), kind, 0).values;
  }
  const auto use = [&](double weight) {
    merge_with_start(slices, start, trained, weight, options, arena.values());
  };
  if (recipe.weight) {
    use(*recipe.weight);
    return;
  }
  std::vector<MergeTask> tasks;
  for (std::size_t t = 0; t < run.inputs.tasks.size(); ++t) {
    const TaskData& task = run.inputs.tasks[t];
    tasks.push_back({task.name, task.old, before[t].accuracy});
  }
  const auto accuracies = [&](double weight) {
    use(weight);
    std::vector<double> out;
    double ignored = 0;
    for (const Evaluation& evaluation :
         measure_validation(run.model, run.inputs, false, run.hooks, ignored)) {
      out.push_back(evaluation.accuracy);
    }
    return out;
  };
  MergeSearchOptions search;
  search.retention = run.recipe.evaluation.retention;
  search.steps = 10;
  try {
    run.result.merge = search_weight(accuracies, tasks, search);
  } catch (const Stopped&) {
    use(1);  // what was trained, not the weight that was being tried
    throw;
  }
  use(run.result.merge->best().weight);
  run.notice("merge: " + run.result.merge->why);
}

}  // namespace holdfast
