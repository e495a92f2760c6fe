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
                       {"ci95", to_json(evaluation->ci95)},
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
    json.add("drop_ci95", to_json(paired.drop_ci95));
    json.add("mcnemar_p", paired.mcnemar_p);
    json.add("negative_flips", paired.negative_flips);
  }
  json.add("valid", accuracy_json(task.valid));
  return json;
}

// The old tasks as a sequence: they were learnt before this run, so that the stages before its end
// have their accuracies of the start. Rows beyond the last task are moments of this run.
AccuracyMatrix stages_of(const std::vector<double>& before,
                         const std::vector<std::vector<double>>& later) {
  AccuracyMatrix accuracy(before.size(), before);
  accuracy.insert(accuracy.end(), later.begin(), later.end());
  return accuracy;
}

// On the test splits: the old tasks that have one, then this run's own.
ContinualSummary kept(const RunResult& result) {
  std::vector<double> before, after;
  for (const TaskResult& task : result.tasks) {
    if (task.old && task.before && task.after) {
      before.push_back(task.before->accuracy);
      after.push_back(task.after->accuracy);
    }
  }
  return before.empty() ? ContinualSummary{} : summarize(stages_of(before, {after}));
}

// On the validation splits, which are evaluated on the way, too.
std::optional<double> worst_on_the_way(const RunResult& result) {
  std::vector<std::vector<double>> moments;
  for (const CurvePoint& point : result.curve) {
    std::vector<double>& moment = moments.emplace_back();
    for (const CurvePoint::Task& seen : point.tasks) {
      const bool old =
          std::any_of(result.tasks.begin(), result.tasks.end(),
                      [&](const TaskResult& task) { return task.old && task.name == seen.name; });
      if (old) {
        moment.push_back(seen.accuracy);
      }
    }
  }
  return moments.empty() ? std::nullopt : worst_retention(stages_of(moments.front(), moments));
}

Json or_null(const std::optional<double>& value) { return value ? Json(*value) : Json(); }

void add_summary(Json& json, const RunResult& result) {
  const ContinualSummary summary = kept(result);
  json.add("forgetting", or_null(summary.forgetting));
  json.add("backward_transfer", or_null(summary.backward_transfer));
  json.add("retention", or_null(summary.retention));
  json.add("worst_retention", or_null(worst_on_the_way(result)));
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
                       {"save", seconds.save},
                       {"ledger", seconds.ledger}});
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

Json to_json(const Interval& interval) { return Json::list({interval.low, interval.high}); }

Json to_json(const SeedSummary& summary) {
  return Json::object({{"mean", summary.mean},
                       {"deviation", summary.deviation},
                       {"ci95", summary.ci95 ? to_json(*summary.ci95) : Json()}});
}

namespace {

Json ids_json(const std::vector<DrawnTexts>& drawn) {
  Json object = Json::object();
  for (const DrawnTexts& of_task : drawn) {
    object.add(of_task.task, Json::list(Json::Array(of_task.ids.begin(), of_task.ids.end())));
  }
  return object;
}

}  // namespace

Json to_json(const StepRecord& record) {
  Json losses = Json::object();
  Json texts = Json::object();
  for (const TaskLoss& task : record.task_loss) {
    losses.add(task.task, task.loss);
    texts.add(task.task, task.texts);
  }
  Json line = Json::object({{"step", record.step}});  // add() moves, a list would copy
  line.add("samples", ids_json(record.samples));
  line.add("texts", std::move(texts));
  line.add("tokens", record.tokens);
  line.add("share", record.share);
  line.add("lowest_layer", record.lowest_layer);
  line.add("rates", Json::list({record.rates.begin(), record.rates.end()}));
  line.add("loss", record.loss);
  line.add("task_loss", std::move(losses));
  line.add("distill", record.distill);
  line.add("penalty", record.penalty);
  line.add("penalty_share", record.penalty_share());
  line.add("l2", record.l2);
  line.add("projected", record.projected);
  line.add("at_bound", record.at_bound);
  line.add("grad_norm", record.grad_norm);
  line.add("clip", record.clip);
  line.add("clipped_norm", record.clip * record.grad_norm);
  if (!record.matched.empty()) {
    line.add("matched", ids_json(record.matched));
  }
  if (!record.reference.empty()) {
    line.add("reference", ids_json(record.reference));
  }
  if (record.state) {
    line.add("weights", record.state->weights);
    line.add("optimizer", record.state->optimizer);
  }
  line.add("seconds", record.seconds);
  return line;
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
