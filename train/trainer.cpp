// A run, in the order in which it happens: Run::operator() and the functions below it.
#include "train/trainer.h"

#include <fmt/format.h>

#include <memory>

#include "base/file.h"
#include "base/profile.h"
#include "tensor/cpu.h"
#include "tensor/storage.h"
#include "train/finish.h"
#include "train/leave.h"
#include "train/metrics.h"
#include "train/output.h"
#include "train/resume.h"
#include "train/run_line.h"
#include "train/save_run.h"
#include "train/test_splits.h"

namespace holdfast {
namespace {

class Run {
 public:
  Run(const Inputs& inputs, const Recipe& recipe, const Hooks& hooks, const Execution& execution)
      : inputs_(inputs),
        recipe_(recipe),
        hooks_(hooks),
        execution_(execution),
        model_(inputs.model.clone()),
        context_{model_, inputs_, recipe_, hooks_, result_} {}

  RunResult operator()();

 private:
  void begin();
  void choose_start();
  void make_ready();
  void before();
  void open();
  void train();
  void go_on(TrainingStep& training);
  void advance(TrainingStep& training, const Stopwatch& watch);
  void save_checkpoint(const TrainingStep& training);
  bool look(TrainingStep& training);
  void finish();

  void write(std::string_view kind, const Json& members);
  StepRecord take_step(TrainingStep& training, std::int64_t step);
  void validate(std::int64_t step);
  void look_at_validation(bool before, double& old_seconds);
  void balance(std::int64_t step, TrainingStep& training);
  bool good_enough(std::int64_t step);
  void tell_step(const StepRecord& record, const Stopwatch& watch) const;

  const Inputs& inputs_;
  const Recipe& recipe_;
  const Hooks& hooks_;
  const Execution& execution_;
  Model model_;
  RunResult result_;
  RunContext context_;
  OutputFolder output_;             // this run's, while it goes on
  std::optional<Checkpoint> from_;  // where the run goes on, until it does
  std::unique_ptr<Ledger> ledger_;  // unless the lines go elsewhere
  bool open_ = false;               // the lines have begun
  std::int64_t hash_every_ = 0;
  std::int64_t begun_at_ = 0;      // the step after which this execution goes on
  std::int64_t checkpointed_ = 0;  // the latest step with a checkpoint
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
    test_after(context_);
  } catch (const Stopped&) {
    result_.interrupted = true;
  }
  if (!open_ && (from_ || std::filesystem::exists(context_.output() / "model"))) {
    context_.notice("nothing was learnt: " + recipe_.output + " stays as it was");
    return std::move(result_);
  }
  if (!open_) {
    open();
  }
  save_run(context_, execution_.lines ? nullptr : &prepared_,
           [this](std::string_view kind, const Json& line) { write(kind, line); });
  result_.chain = ledger_ ? ledger_->place().chain : "";
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
  open_ = true;
  if (from_) {
    clear_results(recipe_.output);
    remove_checkpoints_after(recipe_.output, from_->step());
  } else {
    clear_output(recipe_.output);
    write_file(context_.output() / "recipe.toml", recipe_text(recipe_));
  }
  if (!execution_.lines) {
    ledger_ = std::make_unique<Ledger>(context_.output() / "ledger.jsonl",
                                       from_ ? from_->ledger : LedgerPlace(),
                                       found_before(recipe_.output));
  }
  if (!from_) {
    write("run", run_line(recipe_, inputs_, hash_every_));
    for (const CurvePoint& point : result_.curve) {
      write("evaluation", evaluation_line(point, measure_drift(model_, inputs_.model)));
    }
  }
}

void Run::write(std::string_view kind, const Json& members) {
  ledger_ ? ledger_->write(kind, members) : execution_.lines(kind, members);
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
  hash_every_ = ledger_hash_every(recipe_, inputs_, model_);
  choose_start();
}

void Run::choose_start() {
  if (execution_.resume) {
    from_ = find_checkpoint(recipe_.output, run_line(recipe_, inputs_, hash_every_),
                            [this](const std::string& line) { context_.notice(line); });
  } else if (execution_.from_step > 0) {
    from_ = load_checkpoint(execution_.from, execution_.from_step);
  }
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
  test_before(context_, from_ ? &from_->result : execution_.earlier);
}

void Run::train() {
  set_importance_aside(context_, prepared_);
  const Stopwatch watch;
  TrainingStep training(model_, recipe_, make_pools(context_, prepared_),
                        prepared_.measures(context_));
  if (const int lowest = training.lowest_layer_at_end(); lowest > 0) {
    context_.notice(fmt::format(
        "gradual unfreezing: the run ends before the lowest {} of {} layers have thawed: give "
        "unfreeze.every fewer steps",
        lowest, model_.config().layers + 2));
  }
  if (from_) {
    go_on(training);
  }
  try {
    bool more = result_.steps == 0 || look(training);
    while (more) {
      advance(training, watch);
      more = look(training);
    }
  } catch (const Stopped&) {  // after a step, before the evaluation that may follow
    if (ledger_ && recipe_.checkpoint.every > 0 && result_.steps > checkpointed_) {
      save_checkpoint(training);
    }
    throw;
  }
}

// Everything as it was after the checkpoint's step.
void Run::go_on(TrainingStep& training) {
  load_tensors(execution_.resume ? context_.output() : execution_.from, *from_);
  training.restore(from_->weights, from_->range_steps, from_->first_moment, from_->second_moment);
  if (prepared_.path) {
    prepared_.path->restore(from_->path, from_->step(), from_->weights);
  }
  if (best_) {
    best_->restore(*from_->best);
  }
  std::swap(from_->result.notices, result_.notices);
  result_ = std::move(from_->result);
  result_.recipe = recipe_;
  for (const Action& action : result_.actions) {
    share_ = action.share;
    training.set_share(action.step, share_);
    controller_->restore(share_);
  }
  begun_at_ = checkpointed_ = result_.steps;
  from_.reset();
}

void Run::advance(TrainingStep& training, const Stopwatch& watch) {
  StepRecord record = take_step(training, result_.steps);
  {
    const Timed timed(result_.seconds.ledger);
    if (record.step % hash_every_ == 0) {
      record.state = hash_state(model_.arena(), training.optimizer());
    }
    write("step", to_json(record));
  }
  result_.steps = record.step;
  result_.tokens += record.tokens;
  result_.seconds.train += record.seconds;
  tell_step(record, watch);
  result_.ledger.push_back(std::move(record));
  const std::int64_t every = recipe_.checkpoint.every;
  if (ledger_ && every > 0 && result_.steps % every == 0) {
    save_checkpoint(training);
  }
  stop_if_asked(hooks_);
}

// The run goes on when it cannot be written: the earlier one is still there.
void Run::save_checkpoint(const TrainingStep& training) try {
  const Timed timed(result_.seconds.save);
  ledger_->sync();
  const AdamW& optimizer = training.optimizer();
  Checkpoint checkpoint{.weights = model_.arena().values(),
                        .first_moment = optimizer.first_moment(),
                        .second_moment = optimizer.second_moment(),
                        .range_steps = optimizer.range_steps(),
                        .path = prepared_.path ? prepared_.path->contributions() : Tensor(),
                        .best = {},
                        .result = result_,
                        .ledger = ledger_->place()};
  if (best_) {
    checkpoint.best = best_->state();
  }
  holdfast::save_checkpoint(recipe_.output, checkpoint, recipe_.checkpoint.keep);
  checkpointed_ = result_.steps;
} catch (const std::runtime_error& error) {
  context_.notice(fmt::format("no checkpoint after step {}: {}", result_.steps, error.what()));
}

// After a step: evaluates where it is time to. False at the end of the run.
bool Run::look(TrainingStep& training) {
  const std::int64_t step = result_.steps;
  const bool last = step == recipe_.training.steps;
  if (step % recipe_.evaluation.every == 0 || last) {
    validate(step);
    result_.stopped_early = best_ && good_enough(step) && !last;
    if (controller_ && !last) {
      balance(step, training);
    }
  }
  return !last && !result_.stopped_early;
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
  if (open_) {
    write("evaluation", evaluation_line(point, measure_drift(model_, inputs_.model)));
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
  write("action", to_json(action));
  result_.actions.push_back(action);
  if (hooks_.acted) {
    hooks_.acted(action);
  }
}

void Run::tell_step(const StepRecord& record, const Stopwatch& watch) const {
  if (!hooks_.progress) {
    return;
  }
  const auto done = static_cast<double>(record.step - begun_at_);
  const auto left = static_cast<double>(recipe_.training.steps - record.step);
  hooks_.progress({.phase = "train",
                   .detail = {},
                   .done = record.step,
                   .total = recipe_.training.steps,
                   .tokens_per_second = static_cast<double>(result_.tokens) / result_.seconds.train,
                   .seconds_left = watch.seconds() / done * left,
                   .loss = record.loss});
}

}  // namespace

RunResult run_on(const Inputs& inputs, const Recipe& resolved, const Hooks& hooks,
                 const Execution& execution) {
  const PortableNumerics numerics(resolved.portable());
  const OnDevice device(resolved.device);
  return Run(inputs, resolved, hooks, execution)();
}

namespace {

RunResult read_and_run(const Recipe& recipe, const Hooks& hooks, bool resume) {
  double seconds = 0;
  const Inputs inputs = open_inputs(recipe, hooks, &seconds);
  RunResult result = run_on(inputs, resolve(recipe, inputs), hooks, {.resume = resume});
  result.seconds.read = seconds;
  return result;
}

}  // namespace

RunResult run_recipe(const Recipe& recipe, const Hooks& hooks) {
  return read_and_run(recipe, hooks, false);
}

RunResult resume_recipe(const Recipe& recipe, const Hooks& hooks) {
  return read_and_run(recipe, hooks, true);
}

RunResult check_recipe(const Recipe& recipe, const Hooks& hooks) {
  const Inputs inputs = open_inputs(recipe, hooks);
  RunResult result;
  result.recipe = resolve(recipe, inputs);
  result.notices = inputs.notices;
  return result;
}

}  // namespace holdfast
