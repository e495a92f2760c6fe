// A run, in the order in which it happens: Run::operator() and the functions below it.
#include "train/trainer.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <memory>

#include "base/file.h"
#include "base/parallel.h"
#include "base/profile.h"
#include "base/utf8.h"
#include "nn/peft.h"
#include "tensor/blas.h"
#include "tensor/cpu.h"
#include "tensor/storage.h"
#include "train/finish.h"
#include "train/leave.h"
#include "train/ledger.h"
#include "train/metrics.h"
#include "train/output.h"

namespace holdfast {
namespace {

class Run {
 public:
  Run(const Inputs& inputs, const Recipe& recipe, const Hooks& hooks, const RunResult* earlier)
      : inputs_(inputs),
        recipe_(recipe),
        hooks_(hooks),
        earlier_(earlier),
        model_(inputs.model.clone()),
        context_{model_, inputs_, recipe_, hooks_, result_} {}

  RunResult operator()();

 private:
  void begin();
  void make_ready();
  void before();
  void open();
  void train();
  void finish();
  void after();
  void save();
  void save_model(const std::filesystem::path& path) const;
  void leave();

  StepRecord take_step(TrainingStep& training, std::int64_t step);
  void validate(std::int64_t step);
  void look_at_validation(bool before, double& old_seconds);
  void balance(std::int64_t step, TrainingStep& training);
  bool good_enough(std::int64_t step);
  void tell_step(const StepRecord& record, const Stopwatch& watch) const;
  void summarise();

  const Inputs& inputs_;
  const Recipe& recipe_;
  const Hooks& hooks_;
  const RunResult* earlier_;
  Model model_;
  RunResult result_;
  RunContext context_;
  OutputFolder output_;  // this run's, while it goes on
  std::unique_ptr<Ledger> ledger_;
  Prepared prepared_;
  std::unique_ptr<BalanceController> controller_;
  std::unique_ptr<BestModel> best_;
  double share_ = 0;                    // of old data, as it stands
  std::vector<Evaluation> before_;      // validation before training
  std::vector<Evaluation> validation_;  // the latest
};

RunResult Run::operator()() {
  begin();
  try {
    make_ready();
    open();
    train();
    finish();
    after();
  } catch (const Stopped&) {
    result_.interrupted = true;
  }
  if (!ledger_ && std::filesystem::exists(context_.output() / "model")) {
    context_.notice("nothing was learnt: " + recipe_.output + " stays as it was");
    return std::move(result_);
  }
  if (!ledger_) {
    open();
  }
  save();
  return std::move(result_);
}

// What fails here was refused: the output folder is as it was.
void Run::make_ready() try {
  before();
  prepared_ = prepare(context_);
} catch (const std::invalid_argument& error) {
  throw Refused(error.what());
} catch (const std::runtime_error& error) {
  throw Refused(error.what());
}

// From here on the folder is this run's.
void Run::open() {
  clear_output(recipe_.output);
  ledger_ = std::make_unique<Ledger>(context_.output() / "ledger.jsonl");
  ledger_->write("run", Json::object({{"seed", recipe_.seed},
                                      {"steps", recipe_.training.steps},
                                      {"precision", name_of(recipe_.precision)},
                                      {"isa", arithmetic()},
                                      {"cpu", cpu_name()},
                                      {"gemm", gemm_description()},
                                      {"threads", thread_count()},
                                      {"recipe", recipe_hash(recipe_)},
                                      {"inputs", inputs_.digest()}}));
  for (const CurvePoint& point : result_.curve) {
    ledger_->write("evaluation", to_json(point));
  }
}

void Run::begin() {
  reset_memory_peak();
  prepare_model(model_, recipe_);
  result_.recipe = recipe_;
  for (const TaskData& task : inputs_.tasks) {
    TaskResult& result = result_.tasks.emplace_back();
    result.name = task.name;
    result.old = task.old;
  }
  output_ = OutputFolder(recipe_.output);
}

// All splits before training: what later evaluations are compared with.
void Run::before() {
  share_ = recipe_.replay ? recipe_.replay->share : 0;
  validate(0);
  before_ = validation_;
  std::string why_not;
  controller_ = make_controller(recipe_, inputs_, before_, why_not);
  if (!why_not.empty()) {
    context_.notice(why_not);
  }
  if (recipe_.evaluation.keep_best || recipe_.training.early_stop > 0) {
    best_ = std::make_unique<BestModel>(recipe_.evaluation.retention, inputs_.tasks, before_);
  }
  const Timed timed(result_.seconds.test);
  for (std::size_t t = 0; t < inputs_.tasks.size(); ++t) {
    const TaskData& task = inputs_.tasks[t];
    if (earlier_) {
      result_.tasks[t].before = earlier_->tasks[t].before;
    }
    if (task.test.empty() || earlier_) {
      continue;
    }
    const Evaluation& before = result_.tasks[t].before.emplace(
        measure(model_, task.heads.start, task, task.test, "test", hooks_));
    if (task.old) {
      context_.notice(
          fmt::format("task {}: {:.1f}% of {} test texts are right before training; a drop of "
                      "{:.1f} points or more can be told from chance",
                      task.name, 100 * before.accuracy, before.n,
                      100 * smallest_detectable_drop(before.correct, before.n)));
    }
  }
}

void Run::train() {
  set_importance_aside(context_, prepared_);
  const Stopwatch watch;
  const std::int64_t steps = recipe_.training.steps;
  TrainingStep training(model_, recipe_, make_pools(context_, prepared_),
                        prepared_.measures(context_));
  if (const int lowest = training.lowest_layer_at_end(); lowest > 0) {
    context_.notice(fmt::format(
        "gradual unfreezing: the run ends before the lowest {} of {} layers have thawed: give "
        "unfreeze.every fewer steps",
        lowest, model_.config().layers + 2));
  }
  for (std::int64_t step = 0; step < steps && !result_.stopped_early; ++step) {
    const StepRecord record = take_step(training, step);
    ledger_->write("step", to_json(record));
    result_.ledger.push_back(record);
    result_.steps = step + 1;
    result_.tokens += record.tokens;
    result_.seconds.train += record.seconds;
    tell_step(record, watch);
    stop_if_asked(hooks_);
    const bool last = step + 1 == steps;
    if ((step + 1) % recipe_.evaluation.every == 0 || last) {
      validate(step + 1);
      result_.stopped_early = best_ && good_enough(step + 1) && !last;
      if (controller_ && !last) {
        balance(step + 1, training);
      }
    }
  }
}

StepRecord Run::take_step(TrainingStep& training, std::int64_t step) {
  const ProfiledStep profiled(hooks_.profile, step + 1);
  return training.run(step);
}

// Keeps the best model; true when there was no better one for as long as early_stop waits.
bool Run::good_enough(std::int64_t step) {
  best_->consider(step, model_.arena(), validation_);
  return recipe_.training.early_stop > 0 && best_->stale() >= recipe_.training.early_stop;
}

// The model that is kept: the best one, merged, in the form in which it is saved.
void Run::finish() {
  if (best_ && best_->step() != result_.steps) {
    best_->restore(model_.arena());
    result_.best_step = best_->step();
    context_.notice(
        fmt::format("the model after step {} is kept: the best on validation", result_.best_step));
  }
  if (recipe_.merge) {
    const Timed timed(result_.seconds.train);
    merge_with_start(context_, prepared_, before_);
  }
  if (result_.best_step > 0 || recipe_.merge) {  // not the model that was evaluated last
    const Timed timed(result_.seconds.test);
    double ignored = 0;
    look_at_validation(false, ignored);
  }
}

// Both tasks' validation splits by the model as it is.
void Run::look_at_validation(bool before, double& old_seconds) {
  validation_ = measure_validation(model_, inputs_, before, hooks_, old_seconds);
  for (const Evaluation& evaluation : validation_) {
    for (TaskResult& task : result_.tasks) {
      if (task.name == evaluation.task) {
        task.valid = evaluation;
      }
    }
  }
}

// Both tasks' validation splits, a point of the curve; step 0 is before training.
void Run::validate(std::int64_t step) {
  const Timed timed(result_.seconds.evaluate);
  look_at_validation(step == 0, result_.seconds.evaluate_old);
  const CurvePoint point = curve_point(step, share_, validation_);
  if (ledger_) {
    ledger_->write("evaluation", to_json(point));
  }
  result_.curve.push_back(point);
  if (hooks_.evaluated) {
    hooks_.evaluated(point);
  }
}

// The controller: more old texts in every batch when an old task has dropped too far.
void Run::balance(std::int64_t step, TrainingStep& training) {
  const BalanceDecision decision = controller_->evaluate(old_outcomes(inputs_, validation_));
  if (!decision.acted) {
    return;
  }
  share_ = decision.share;
  training.set_share(step, share_);
  const Action action{step, share_, decision.reason};
  ledger_->write("action", to_json(action));
  result_.actions.push_back(action);
  if (hooks_.acted) {
    hooks_.acted(action);
  }
}

void Run::after() {
  const Timed timed(result_.seconds.test);
  for (std::size_t t = 0; t < inputs_.tasks.size(); ++t) {
    const TaskData& task = inputs_.tasks[t];
    TaskResult& result = result_.tasks[t];
    if (!task.test.empty()) {
      result.after = measure(model_, task.heads.now, task, task.test, "test", hooks_);
      result.paired = paired_result(*result.before, *result.after, task.test);
    }
  }
}

void Run::save() {
  const Timed timed(result_.seconds.save);
  const std::filesystem::path output = recipe_.output;
  if (!std::isfinite(gradient_norm(model_.arena().values()))) {
    throw std::runtime_error(fmt::format(
        "the weights after step {} are not finite; nothing was saved. Lower the learning rate",
        result_.steps));
  }
  context_.tell_always({.phase = "save", .detail = recipe_.output, .done = 0, .total = 1});
  if (model_.adapter().kind == AdapterKind::lora) {
    write_peft(model_, inputs_.fresh().heads.now, recipe_.model, output / "adapter");
    model_.merge_lora();
  }
  result_.drift = measure_drift(model_, inputs_.model);
  save_model(output / "model");
  leave();
  summarise();
  write_file(output / "recipe.toml", to_toml(recipe_).dump());
  write_file(output / "metrics.json", metrics_json(result_).dump(2) + "\n");
}

// Without the heads that have grown into another.
void Run::save_model(const std::filesystem::path& path) const {
  std::optional<Model> pruned;
  for (const TaskData& task : inputs_.tasks) {
    if (task.heads.start == task.heads.now) {
      continue;
    }
    if (!pruned) {
      pruned = model_.clone();
    }
    if (pruned->head(task.heads.start)) {
      pruned->remove_head(task.heads.start);
    }
  }
  const Model& model = pruned ? *pruned : model_;
  DirectoryWriter folder(path);
  model.save(folder.temporary(), inputs_.fresh().heads.now);
  inputs_.tokenizer.save(folder.temporary(), model.config().max_positions);
  folder.commit();
}

// What later runs may need; the model is safe by now, and stays so whatever becomes of this.
void Run::leave() {
  try {
    leave_behind(context_, prepared_);
  } catch (const Stopped&) {
    result_.interrupted = true;
  } catch (const std::runtime_error& error) {
    context_.notice(fmt::format("nothing is left for later runs: {}", error.what()));
  }
}

void Run::summarise() {
  double shares = 0;
  for (const StepRecord& record : result_.ledger) {
    shares += record.penalty_share();
    result_.max_penalty_share = std::max(result_.max_penalty_share, record.penalty_share());
  }
  result_.penalty_share = shares / static_cast<double>(std::max<std::int64_t>(result_.steps, 1));
  result_.peak_bytes = memory_use().peak;
}

void Run::tell_step(const StepRecord& record, const Stopwatch& watch) const {
  if (!hooks_.progress) {
    return;
  }
  const auto done = static_cast<double>(record.step);
  const auto total = static_cast<double>(recipe_.training.steps);
  hooks_.progress({.phase = "train",
                   .detail = {},
                   .done = record.step,
                   .total = recipe_.training.steps,
                   .tokens_per_second = static_cast<double>(result_.tokens) / result_.seconds.train,
                   .seconds_left = watch.seconds() / done * (total - done),
                   .loss = record.loss});
}

}  // namespace

RunResult run_on(const Inputs& inputs, const Recipe& resolved, const Hooks& hooks,
                 const RunResult* earlier) {
  const PortableNumerics numerics(resolved.portable());
  return Run(inputs, resolved, hooks, earlier)();
}

RunResult run_recipe(const Recipe& recipe, const Hooks& hooks) {
  double seconds = 0;
  const Inputs inputs = open_inputs(recipe, hooks, &seconds);
  RunResult result = run_on(inputs, resolve(recipe, inputs), hooks);
  result.seconds.read = seconds;
  return result;
}

RunResult check_recipe(const Recipe& recipe, const Hooks& hooks) {
  const Inputs inputs = open_inputs(recipe, hooks);
  RunResult result;
  result.recipe = resolve(recipe, inputs);
  result.notices = inputs.notices;
  return result;
}

}  // namespace holdfast
