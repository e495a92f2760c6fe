// A run, in the order in which it happens: Run::operator() and the functions below it.
#include "train/trainer.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <memory>

#include "base/file.h"
#include "base/parallel.h"
#include "base/utf8.h"
#include "tensor/blas.h"
#include "tensor/cpu.h"
#include "tensor/storage.h"
#include "train/controller.h"
#include "train/fisher.h"
#include "train/ledger.h"
#include "train/metrics.h"
#include "train/output.h"
#include "train/replay.h"
#include "train/threads.h"

namespace holdfast {
namespace {

/// The user asked to stop; what is done is kept.
struct Stopped {};

class Stopwatch {
 public:
  double seconds() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

/// Adds the time of a scope to a sum.
class Timed {
 public:
  explicit Timed(double& sum) : sum_(sum) {}
  ~Timed() { sum_ += watch_.seconds(); }
  Timed(const Timed&) = delete;
  Timed& operator=(const Timed&) = delete;

 private:
  double& sum_;
  Stopwatch watch_;
};

class Run {
 public:
  Run(const Inputs& inputs, const Recipe& recipe, const Hooks& hooks)
      : inputs_(inputs), recipe_(recipe), hooks_(hooks), model_(inputs.model.clone()) {}

  RunResult operator()();

 private:
  void begin();
  void before();
  void select();
  void importance();
  void train();
  void after();
  void save();

  std::vector<SamplePool> pools() const;
  void validate(std::int64_t step, TrainingStep* training);
  void balance(std::int64_t step, const std::vector<Evaluation>& evaluations,
               TrainingStep& training);
  std::vector<TaskOutcome> old_outcomes(const std::vector<Evaluation>& evaluations) const;
  Evaluation measure(const TaskData& task, const std::vector<Sample>& samples, const char* phase);
  void measure_drift();
  void tell_step(const StepRecord& record, const Stopwatch& watch) const;
  void notice(const std::string& line);
  void stop_if_asked() const {
    if (hooks_.stop && *hooks_.stop) {
      throw Stopped();
    }
  }

  const Inputs& inputs_;
  const Recipe& recipe_;
  const Hooks& hooks_;
  Model model_;
  RunResult result_;
  std::unique_ptr<Ledger> ledger_;
  std::vector<Memory> memories_;
  std::unique_ptr<EwcPenalty> ewc_;
  std::unique_ptr<BalanceController> controller_;
};

RunResult Run::operator()() {
  begin();
  try {
    before();
    select();
    importance();
    train();
    after();
  } catch (const Stopped&) {
    result_.interrupted = true;
  }
  save();
  return std::move(result_);
}

void Run::begin() {
  reset_memory_peak();
  model_.set_dropout(recipe_.training.dropout);
  result_.recipe = recipe_;
  for (const TaskData& task : inputs_.tasks) {
    TaskResult& result = result_.tasks.emplace_back();
    result.name = task.name;
    result.old = task.old;
  }
  begin_output(recipe_.output);
  ledger_ = std::make_unique<Ledger>(std::filesystem::path(recipe_.output) / "ledger.jsonl");
  ledger_->write("run", Json::object({{"seed", recipe_.seed},
                                      {"steps", recipe_.training.steps},
                                      {"precision", name_of(recipe_.precision)},
                                      {"isa", name_of(isa())},
                                      {"cpu", cpu_name()},
                                      {"gemm", gemm_description()},
                                      {"threads", thread_count()},
                                      {"recipe", recipe_hash(recipe_)},
                                      {"inputs", inputs_.digest()}}));
}

// All splits before training: what later evaluations are compared with.
void Run::before() {
  validate(0, nullptr);
  for (std::size_t t = 0; t < inputs_.tasks.size(); ++t) {
    const TaskData& task = inputs_.tasks[t];
    if (task.test.empty()) {
      continue;
    }
    const Evaluation& before = result_.tasks[t].before.emplace(measure(task, task.test, "test"));
    if (task.old) {
      notice(
          fmt::format("task {}: {:.1f}% of {} test texts are right before training; a drop of "
                      "{:.1f} points or more can be told from chance",
                      task.name, 100 * before.accuracy, before.n,
                      100 * smallest_detectable_drop(before.correct, before.n)));
    }
  }
}

// Replay: the texts of each old task that stay in training.
void Run::select() {
  if (!recipe_.replay) {
    return;
  }
  const Timed timed(result_.seconds.select);
  for (const TaskData& task : inputs_.tasks) {
    if (!task.old) {
      continue;
    }
    stop_if_asked();
    if (hooks_.progress) {
      hooks_.progress({.phase = "select",
                       .detail = task.name,
                       .done = 0,
                       .total = static_cast<std::int64_t>(task.train.size())});
    }
    memories_.push_back(select_memory(*recipe_.replay, task, inputs_.fresh(), inputs_.tokenizer,
                                      static_cast<std::uint64_t>(recipe_.seed)));
    result_.replayed += static_cast<std::int64_t>(memories_.back().samples.size());
  }
}

// EWC: the Fisher information of each old task at the start, where the weights are held to.
void Run::importance() {
  if (!recipe_.ewc) {
    return;
  }
  const Timed timed(result_.seconds.fisher);
  const EwcRecipe& ewc = *recipe_.ewc;
  ewc_ = std::make_unique<EwcPenalty>(ewc.lambda, model_.arena());
  const auto old_tasks = std::count_if(inputs_.tasks.begin(), inputs_.tasks.end(),
                                       [](const TaskData& task) { return task.old; });
  for (const TaskData& task : inputs_.tasks) {
    if (!task.old) {
      continue;
    }
    const auto n = static_cast<std::int64_t>(task.train.size());
    const std::int64_t automatic = std::clamp<std::int64_t>(n / 20, 1, 1000);
    const std::int64_t count = std::min(n, ewc.samples > 0 ? ewc.samples : automatic);
    std::vector<Sample> samples;
    for (const Selected& chosen :
         select_random(n, count, static_cast<std::uint64_t>(recipe_.seed))) {
      samples.push_back(task.train[static_cast<std::size_t>(chosen.index)]);
    }
    FisherOptions options;
    options.kind = parse_fisher_kind(ewc.fisher);
    const FisherResult fisher = fisher_diagonal(
        model_, *model_.head(task.name), samples, options,
        [&](std::int64_t done, std::int64_t total) {
          if (hooks_.progress) {
            hooks_.progress({.phase = "fisher", .detail = task.name, .done = done, .total = total});
          }
          stop_if_asked();
        });
    const ImportanceScale scale = ewc_->add(fisher.values, parse_normalization(ewc.normalize));
    result_.mean_fisher = scale.mean_positive;
    notice(
        fmt::format("task {}: {} Fisher information of {} texts, mean {:.3g} over the {:.0f}% of "
                    "parameters with F > 0; normalised by {:.3g} ({})",
                    task.name, ewc.fisher, count, scale.mean_positive, 100 * scale.positive_share,
                    scale.divisor, ewc.normalize));
    const std::string file =
        old_tasks == 1 ? "importance.safetensors" : "importance." + task.name + ".safetensors";
    save_fisher(std::filesystem::path(recipe_.output) / file, fisher, model_.arena(), task.name);
  }
}

void Run::train() {
  const Stopwatch watch;
  const std::int64_t steps = recipe_.training.steps;
  TrainingStep training(model_, recipe_, pools(), ewc_.get());
  for (std::int64_t step = 0; step < steps; ++step) {
    const StepRecord record = training.run(step);
    ledger_->write("step", to_json(record));
    result_.ledger.push_back(record);
    result_.steps = step + 1;
    result_.tokens += record.tokens;
    result_.seconds.train += record.seconds;
    tell_step(record, watch);
    stop_if_asked();
    if ((step + 1) % recipe_.evaluation.every == 0 || step + 1 == steps) {
      validate(step + 1, &training);
    }
  }
}

void Run::after() {
  for (std::size_t t = 0; t < inputs_.tasks.size(); ++t) {
    const TaskData& task = inputs_.tasks[t];
    TaskResult& result = result_.tasks[t];
    if (!task.test.empty()) {
      result.after = measure(task, task.test, "test");
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
  measure_drift();
  if (hooks_.progress) {
    hooks_.progress({.phase = "save", .detail = recipe_.output, .done = 0, .total = 1});
  }
  DirectoryWriter folder(output / "model");
  model_.save(folder.temporary(), recipe_.fresh.name);
  inputs_.tokenizer.save(folder.temporary(), model_.config().max_positions);
  folder.commit();
  if (!memories_.empty()) {
    write_replay(output / "replay.csv", memories_, inputs_.tasks);
  }
  double shares = 0;
  for (const StepRecord& record : result_.ledger) {
    shares += record.penalty_share();
    result_.max_penalty_share = std::max(result_.max_penalty_share, record.penalty_share());
  }
  result_.penalty_share = shares / static_cast<double>(std::max<std::int64_t>(result_.steps, 1));
  result_.peak_bytes = memory_use().peak;
  write_file(output / "recipe.toml", to_toml(recipe_).dump());
  write_file(output / "metrics.json", metrics_json(result_).dump(2) + "\n");
}

// The new task's texts, and with replay the memories.
std::vector<SamplePool> Run::pools() const {
  std::vector<SamplePool> pools{{inputs_.fresh().name, inputs_.fresh().train}};
  for (const Memory& memory : memories_) {
    pools.push_back({memory.task, memory.samples});
  }
  return pools;
}

// Evaluates the validation splits; step 0 is before training. Every k steps the controller decides,
// not after the last.
void Run::validate(std::int64_t step, TrainingStep* training) {
  std::vector<Evaluation> evaluations;
  CurvePoint point;
  point.step = step;
  {
    const Timed timed(result_.seconds.evaluate);
    for (std::size_t t = 0; t < inputs_.tasks.size(); ++t) {
      const TaskData& task = inputs_.tasks[t];
      if (task.valid.empty()) {
        continue;
      }
      evaluations.push_back(measure(task, task.valid, "evaluate"));
      result_.tasks[t].valid = evaluations.back();
      point.tasks.push_back({task.name, evaluations.back().accuracy, evaluations.back().loss});
    }
  }
  if (!training) {
    const double share = recipe_.replay ? recipe_.replay->share : 0;
    const std::vector<TaskOutcome> outcomes = old_outcomes(evaluations);
    if (recipe_.evaluation.controller && recipe_.replay && !outcomes.empty()) {
      const EvaluationRecipe& e = recipe_.evaluation;
      controller_ = std::make_unique<BalanceController>(
          ControllerOptions{e.max_drop, parse_drop_kind(e.drop), e.boost, e.max_share,
                            parse_gate(e.gate)},
          share, outcomes);
    } else if (recipe_.evaluation.controller && !recipe_.old.empty()) {
      notice(recipe_.replay ? "the controller is off: no old task has a validation split to watch"
                            : "the controller is off: without [replay] there is no share to raise");
    }
    point.share = share;
  } else {
    if (controller_ && step < recipe_.training.steps) {
      balance(step, evaluations, *training);
    }
    point.share = controller_ ? controller_->share() : result_.ledger.back().share;
  }
  ledger_->write("evaluation", to_json(point));
  result_.curve.push_back(point);
  if (hooks_.evaluated) {
    hooks_.evaluated(point);
  }
}

void Run::balance(std::int64_t step, const std::vector<Evaluation>& evaluations,
                  TrainingStep& training) {
  const BalanceDecision decision = controller_->evaluate(old_outcomes(evaluations));
  if (!decision.acted) {
    return;
  }
  training.set_share(step, decision.share);
  const Action action{step, decision.share, decision.reason};
  ledger_->write("action", to_json(action));
  result_.actions.push_back(action);
  if (hooks_.acted) {
    hooks_.acted(action);
  }
}

std::vector<TaskOutcome> Run::old_outcomes(const std::vector<Evaluation>& evaluations) const {
  std::vector<TaskOutcome> outcomes;
  for (const Evaluation& evaluation : evaluations) {
    const auto task =
        std::find_if(inputs_.tasks.begin(), inputs_.tasks.end(),
                     [&](const TaskData& candidate) { return candidate.name == evaluation.task; });
    if (task->old) {
      outcomes.push_back({task->name, correctness(evaluation, task->valid)});
    }
  }
  return outcomes;
}

Evaluation Run::measure(const TaskData& task, const std::vector<Sample>& samples,
                        const char* phase) {
  const Stopwatch watch;
  const bool test = &samples == &task.test;
  Evaluation evaluation = evaluate(
      model_, *model_.head(task.name), samples, [&](std::int64_t texts, std::int64_t tokens) {
        if (hooks_.progress) {
          hooks_.progress({.phase = phase,
                           .detail = task.name,
                           .done = texts,
                           .total = static_cast<std::int64_t>(samples.size()),
                           .tokens_per_second = static_cast<double>(tokens) / watch.seconds()});
        }
        stop_if_asked();
      });
  if (test) {
    result_.seconds.test += watch.seconds();
  }
  return evaluation;
}

// ||theta - theta_old|| / ||theta_old|| of each layer, over what all tasks share.
void Run::measure_drift() {
  const std::int64_t L = model_.config().layers;
  std::vector<double> moved(static_cast<std::size_t>(L) + 2);
  std::vector<double> norm(moved.size());
  for (const NamedSlice& slice : model_.arena().slices()) {
    if (!slice.task.empty()) {
      continue;
    }
    const auto layer = static_cast<std::size_t>(slice.layer);
    dispatch(model_.dtype(), "drift", [&]<class T>() {
      const T* now = model_.arena().values().data<T>() + slice.offset;
      const T* old = inputs_.model.arena().values().data<T>() + slice.offset;
      for (std::int64_t i = 0; i < slice.size; ++i) {
        const double d = static_cast<double>(now[i]) - static_cast<double>(old[i]);
        moved[layer] += d * d;
        norm[layer] += static_cast<double>(old[i]) * static_cast<double>(old[i]);
      }
    });
  }
  for (std::size_t layer = 0; layer < moved.size(); ++layer) {
    const std::string name = layer == 0                 ? "embeddings"
                             : layer + 1 < moved.size() ? fmt::format("layer.{}", layer - 1)
                                                        : "pooler";
    result_.drift.push_back({name, norm[layer] > 0 ? std::sqrt(moved[layer] / norm[layer]) : 0});
  }
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

void Run::notice(const std::string& line) {
  result_.notices.push_back(line);
  if (hooks_.notice) {
    hooks_.notice(line);
  }
}

}  // namespace

Inputs open_inputs(const Recipe& recipe, const Hooks& hooks, double* seconds) try {
  const Stopwatch watch;
  check_output(recipe.output, recipe.model);
  const ThreadChoice choice = use_threads(recipe.threads);
  set_memory_budget(recipe.training.memory_budget);
  Inputs inputs =
      load_inputs(recipe, [&](const std::string& file, std::int64_t done, std::int64_t total) {
        if (hooks.progress) {
          hooks.progress({.phase = "read", .detail = file, .done = done, .total = total});
        }
      });
  for (const TaskData& task : inputs.tasks) {
    if (task.old && recipe.replay) {
      texts_to_keep(*recipe.replay, task);
    }
  }
  inputs.notices.insert(inputs.notices.begin(), choice.reason);
  for (const std::string& line : inputs.notices) {
    if (hooks.notice) {
      hooks.notice(line);
    }
  }
  if (seconds) {
    *seconds = watch.seconds();
  }
  return inputs;
} catch (const std::exception& error) {
  throw Refused(error.what());
}

Recipe resolve(Recipe recipe, const Inputs& inputs) {
  TrainingRecipe& training = recipe.training;
  if (training.steps == 0) {
    const double texts = training.epochs * static_cast<double>(inputs.fresh().train.size());
    training.steps =
        static_cast<std::int64_t>(std::ceil(texts / static_cast<double>(training.batch_size)));
  }
  if (recipe.evaluation.every == 0) {
    recipe.evaluation.every = std::clamp<std::int64_t>(training.steps / 8, 1, 500);
  }
  return recipe;
}

RunResult run_on(const Inputs& inputs, const Recipe& resolved, const Hooks& hooks) {
  return Run(inputs, resolved, hooks)();
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
