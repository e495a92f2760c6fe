#include "train/metrics.h"

#include <algorithm>
#include <stdexcept>

namespace holdfast {
namespace {

Json accuracy_json(const std::optional<Evaluation>& evaluation) {
  if (!evaluation) {
    return nullptr;
  }
  return Json::object({{"accuracy", evaluation->accuracy},
                       {"n", evaluation->n},
                       {"ci95", Json::list({evaluation->ci95.low, evaluation->ci95.high})},
                       {"macro_f1", evaluation->macro_f1},
                       {"loss", evaluation->loss}});
}

Json task_json(const TaskResult& task) {
  Json json = Json::object({{"role", task.old ? "old" : "new"},
                            {"before", accuracy_json(task.before)},
                            {"after", accuracy_json(task.after)}});
  if (task.old && task.paired) {
    const PairedResult& paired = *task.paired;
    json.add("drop", paired.drop);
    json.add("drop_ci95", Json::list({paired.drop_ci95.low, paired.drop_ci95.high}));
    json.add("mcnemar_p", paired.mcnemar_p);
    json.add("negative_flips", paired.negative_flips);
  }
  json.add("valid", accuracy_json(task.valid));
  return json;
}

// The lowest share of its validation accuracy before that an old task had on the way; null without
// validation splits.
Json worst_retention(const RunResult& result) {
  double worst = 1;
  bool any = false;
  for (const TaskResult& task : result.tasks) {
    double before = 0;
    for (const CurvePoint& point : result.curve) {
      for (const CurvePoint::Task& seen : point.tasks) {
        if (!task.old || seen.name != task.name) {
          continue;
        }
        before = point.step == 0 ? seen.accuracy : before;
        any = any || before > 0;
        worst = before > 0 ? std::min(worst, seen.accuracy / before) : worst;
      }
    }
  }
  return any ? Json(worst) : Json();
}

// Forgetting, backward transfer and retention of the old tasks, after two stages.
void add_summary(Json& json, const RunResult& result) {
  double drops = 0;
  std::int64_t old = 0;
  const TaskResult* first = nullptr;
  for (const TaskResult& task : result.tasks) {
    if (task.old && task.before && task.after) {
      first = first ? first : &task;
      drops += task.before->accuracy - task.after->accuracy;
      ++old;
    }
  }
  const double mean_drop = old ? drops / static_cast<double>(old) : 0;
  json.add("forgetting", first ? Json(mean_drop) : Json());
  json.add("backward_transfer", first ? Json(-mean_drop) : Json());
  json.add("retention", first && first->before->accuracy > 0
                            ? Json(first->after->accuracy / first->before->accuracy)
                            : Json());
  json.add("worst_retention", worst_retention(result));
}

Json seconds_json(const Seconds& seconds) {
  return Json::object({{"train", seconds.train},
                       {"fisher", seconds.fisher},
                       {"evaluate", seconds.evaluate},
                       {"evaluate_old", seconds.evaluate_old},
                       {"test", seconds.test},
                       {"select", seconds.select},
                       {"read", seconds.read},
                       {"leave", seconds.leave},
                       {"save", seconds.save}});
}

}  // namespace

std::vector<std::uint8_t> correctness(const Evaluation& evaluation,
                                      std::span<const Sample> samples) {
  if (evaluation.predictions.size() != samples.size()) {
    throw std::invalid_argument("[metrics] an evaluation is not of these texts");
  }
  std::vector<std::uint8_t> right;
  for (std::size_t n = 0; n < samples.size(); ++n) {
    right.push_back(evaluation.predictions[n] == samples[n].label ? 1 : 0);
  }
  return right;
}

PairedResult paired_result(const Evaluation& before, const Evaluation& after,
                           std::span<const Sample> samples) {
  const PairedCounts counts =
      paired_counts(correctness(before, samples), correctness(after, samples));
  return {before.accuracy - after.accuracy, newcombe_paired_interval(counts),
          mcnemar_p(counts.only_before, counts.only_after), counts.negative_flips()};
}

Json metrics_json(const RunResult& result) {
  Json tasks = Json::object();
  for (const TaskResult& task : result.tasks) {
    tasks.add(task.name, task_json(task));
  }
  Json drift = Json::object();
  for (const LayerDrift& layer : result.drift) {
    drift.add(layer.layer, layer.relative);
  }
  Json actions = Json::list();
  for (const Action& action : result.actions) {
    actions.push_back(to_json(action));
  }
  Json curve = Json::list();
  for (const CurvePoint& point : result.curve) {
    curve.push_back(to_json(point));
  }
  Json notices = Json::list();
  for (const std::string& notice : result.notices) {
    notices.push_back(notice);
  }
  Json json = Json::object({{"scenario", result.recipe.heads.scenario},
                            {"steps", result.steps},
                            {"interrupted", result.interrupted},
                            {"tokens", result.tokens},
                            {"train_seconds", result.seconds.train},
                            {"seconds", seconds_json(result.seconds)},
                            {"tasks", std::move(tasks)}});
  add_summary(json, result);
  json.add("penalty_share", result.penalty_share);
  json.add("max_penalty_share", result.max_penalty_share);
  json.add("mean_fisher", result.mean_fisher);
  json.add("replayed", result.replayed);
  json.add("drift", std::move(drift));
  json.add("best_step", result.best_step > 0 ? result.best_step : result.steps);
  json.add("merge_weight", result.merge ? Json(result.merge->best().weight) : Json());
  json.add("actions", std::move(actions));
  json.add("curve", std::move(curve));
  json.add("peak_bytes", result.peak_bytes);
  json.add("notices", std::move(notices));
  return json;
}

Json to_json(const StepRecord& record) {
  Json losses = Json::object();
  Json texts = Json::object();
  for (const TaskLoss& task : record.task_loss) {
    losses.add(task.task, task.loss);
    texts.add(task.task, task.texts);
  }
  return Json::object({{"step", record.step},
                       {"loss", record.loss},
                       {"task_loss", std::move(losses)},
                       {"texts", std::move(texts)},
                       {"grad_norm", record.grad_norm},
                       {"clip", record.clip},
                       {"distill", record.distill},
                       {"penalty", record.penalty},
                       {"penalty_share", record.penalty_share()},
                       {"l2", record.l2},
                       {"projected", record.projected},
                       {"at_bound", record.at_bound},
                       {"lowest_layer", record.lowest_layer},
                       {"rate_low", record.rate_low},
                       {"rate_high", record.rate_high},
                       {"share", record.share},
                       {"tokens", record.tokens},
                       {"seconds", record.seconds}});
}

Json to_json(const CurvePoint& point) {
  Json tasks = Json::object();
  for (const CurvePoint::Task& task : point.tasks) {
    tasks.add(task.name, Json::object({{"accuracy", task.accuracy}, {"loss", task.loss}}));
  }
  return Json::object({{"step", point.step}, {"share", point.share}, {"valid", std::move(tasks)}});
}

Json to_json(const Action& action) {
  return Json::object({{"step", action.step}, {"share", action.share}, {"why", action.why}});
}

}  // namespace holdfast
