#include "train/prepare.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/elementary.h"
#include "train/features.h"
#include "train/importance_file.h"
#include "train/inherit.h"
#include "train/past.h"

namespace holdfast {
namespace {

bool needs_start(const Recipe& recipe) {
  return recipe.protect || recipe.recadam || recipe.mixout ||
         (recipe.l2 && recipe.l2->toward == "old");
}

Memory choose(const RunContext& run, const TaskData& old) {
  return select_memory(*run.recipe.replay, old, run.inputs.fresh(), run.inputs.tokenizer,
                       run.seed(), [&] { return pooled_features(run.model, old.train); });
}

// What an earlier run kept: all of it, or as much as count or budget say, chosen anew.
Memory take_kept(const RunContext& run, const TaskData& task) {
  const ReplayRecipe& replay = *run.recipe.replay;
  Memory memory{task.name, task.kept, task.kept_samples};
  if (replay.budget > 0 || (replay.count > 0 && replay.count < std::ssize(task.kept))) {
    TaskData texts;
    texts.name = task.name;
    texts.train = task.kept_samples;
    texts.examples = task.examples;
    memory = choose(run, texts);
  }
  run.notice(
      fmt::format("task {}: {} of the {} texts that an earlier run kept are replayed; only "
                  "replay.count and budget limit them",
                  task.name, memory.selected.size(), task.kept.size()));
  return memory;
}

// Replay: the texts of each old task that stay in training.
void select_memories(const RunContext& run, Prepared& prepared) {
  const Timed timed(run.result.seconds.select);
  for (const TaskData& task : run.inputs.tasks) {
    if (!task.old) {
      continue;
    }
    run.tell({.phase = "select",
              .detail = task.name,
              .done = 0,
              .total = static_cast<std::int64_t>(task.train.size())});
    Memory memory = task.kept.empty() ? choose(run, task) : take_kept(run, task);
    run.result.replayed += static_cast<std::int64_t>(memory.samples.size());
    prepared.memories.push_back(std::move(memory));
  }
}

// A-GEM's batch is drawn from the memory without repetition.
void check_reference(const RunContext& run) {
  if (run.recipe.gradient && run.recipe.gradient->texts > run.result.replayed) {
    throw std::invalid_argument(
        fmt::format("gradient: texts = {}, and the memory holds {}: take fewer",
                    run.recipe.gradient->texts, run.result.replayed));
  }
}

void weigh(const RunContext& run, Prepared& prepared) {
  const Timed timed(run.result.seconds.fisher);
  const EwcRecipe settings = run.recipe.ewc.value_or(EwcRecipe{});
  if (run.recipe.ewc) {
    prepared.ewc = std::make_unique<EwcPenalty>(settings.lambda, run.model.arena());
  }
  for (const TaskData& task : run.inputs.tasks) {
    if (!task.old) {
      continue;
    }
    Importance importance =
        !task.importance.empty()
            ? load_importance(task.importance, run.model.arena(), task.heads.start)
            : importance_of(run, task, settings.fisher, settings.samples);
    carry_to_grown_head(run.model, task.heads, importance.values);
    if (prepared.ewc) {
      const double factor = elementary::power(settings.online_decay, importance.age);
      const ImportanceScale scale =
          prepared.ewc->add(importance.values, parse_normalization(settings.normalize), factor);
      run.result.mean_fisher = scale.mean_positive;
    }
    run.notice(
        fmt::format("task {}: {} importance of {} {}, mean {:.3g} over the {:.0f}% of "
                    "parameters with F > 0{}",
                    task.name, name_of(importance.kind), importance.samples,
                    importance.kind == ImportanceKind::si ? "steps" : "texts",
                    importance.scale.mean_positive, 100 * importance.scale.positive_share,
                    prepared.ewc ? fmt::format("; normalised by {}", settings.normalize) : ""));
    prepared.importances.push_back(std::move(importance));
  }
}

// Key weights by the sum of the old tasks' normalised importance.
void protect(const RunContext& run, Prepared& prepared) {
  const ProtectRecipe& recipe = *run.recipe.protect;
  ProtectOptions options;
  options.key_fraction = recipe.key_fraction;
  options.max_drift = recipe.max_drift;
  options.mode = parse_protect_mode(recipe.mode);
  options.unit = parse_protect_unit(recipe.unit);
  options.bound = parse_protect_bound(recipe.bound);
  options.adapter = run.inputs.model.adapter().kind != AdapterKind::none;
  Tensor sum;
  for (const Importance& importance : prepared.importances) {
    if (!sum.defined()) {
      sum = Tensor::zeros({run.model.arena().numel()}, run.model.dtype());
    }
    add_normalised(importance.values, run.model.arena().slices(), Normalization::mean, 1, sum);
  }
  prepared.protection = std::make_unique<Protection>(run.model.arena(), prepared.start,
                                                     sum.defined() ? &sum : nullptr, options);
  run.result.protected_weights = prepared.protection->protected_weights();
}

// Every distinct old head with the new texts (lwf), or every memory with its head (der++).
void ask_teacher(const RunContext& run, Prepared& prepared) {
  const Timed timed(run.result.seconds.select);
  Distillation distillation{*run.recipe.distill, {}};
  const bool lwf = run.recipe.distill->method == "lwf";
  std::vector<std::string> asked;
  for (std::size_t t = 0, pool = 0; t < run.inputs.tasks.size(); ++t) {
    const TaskData& task = run.inputs.tasks[t];
    if (!task.old) {
      continue;
    }
    ++pool;
    if (lwf && std::find(asked.begin(), asked.end(), task.heads.start) != asked.end()) {
      continue;
    }
    asked.push_back(task.heads.start);
    const std::span<const Sample> texts = lwf ? std::span<const Sample>(run.inputs.fresh().train)
                                              : prepared.memories[pool - 1].samples;
    const auto total = static_cast<std::int64_t>(texts.size());
    Teacher teacher(
        run.model, *run.model.head(task.heads.start), texts, [&](std::int64_t done, std::int64_t) {
          run.tell({.phase = "teacher", .detail = task.name, .done = done, .total = total});
        });
    distillation.sources.push_back({lwf ? 0 : pool, task.heads.now, std::move(teacher)});
  }
  prepared.distillation = std::move(distillation);
}

// w_k = N / (K N_k) over the texts that are trained on; 0 for a class without texts.
std::vector<double> balanced_weights(std::span<const Sample> samples, std::size_t classes) {
  std::vector<double> counts(classes);
  for (const Sample& sample : samples) {
    ++counts[static_cast<std::size_t>(sample.label)];
  }
  const auto present = static_cast<double>(
      std::count_if(counts.begin(), counts.end(), [](double n) { return n > 0; }));
  const auto texts = static_cast<double>(samples.size());
  for (double& count : counts) {
    count = count > 0 ? texts / (present * count) : 0;
  }
  return counts;
}

}  // namespace

Measures Prepared::measures(const RunContext& run) const {
  Measures measures;
  measures.ewc = ewc.get();
  measures.start = start.defined() ? &start : nullptr;
  measures.distillation = distillation ? &*distillation : nullptr;
  measures.protection = protection.get();
  measures.path = path.get();
  measures.fresh = without_past(run.model, run.inputs);
  measures.shared_head = shared_head(run.inputs);
  return measures;
}

void prepare_model(Model& model, const Recipe& recipe) {
  model.set_dropout(recipe.training.dropout);
  if (recipe.adapter) {
    AdapterConfig config;
    config.kind = parse_adapter(recipe.adapter->kind);
    config.size = recipe.adapter->size;
    config.rank = recipe.adapter->rank;
    config.alpha = recipe.adapter->alpha;
    if (model.adapter().kind == AdapterKind::none) {
      model.add_adapter(config, static_cast<std::uint64_t>(recipe.seed));
    }
    model.train_adapters_only();
  }
  if (recipe.training.encoder == "frozen") {
    model.arena().train_only([](const NamedSlice& slice) { return !slice.task.empty(); });
  }
}

Prepared prepare(const RunContext& run) {
  Prepared prepared;
  if (run.recipe.replay) {
    select_memories(run, prepared);
    check_reference(run);
  }
  if (run.recipe.needs_importance()) {
    weigh(run, prepared);
  }
  if (needs_start(run.recipe)) {
    prepared.start = prepared.ewc ? prepared.ewc->anchor() : run.model.arena().values().clone();
  }
  if (run.recipe.protect) {
    protect(run, prepared);
  }
  if (run.recipe.distill) {
    ask_teacher(run, prepared);
  }
  if (run.recipe.leave.path) {
    prepared.path = std::make_unique<PathImportance>(run.model.arena());
  }
  return prepared;
}

std::vector<SamplePool> make_pools(const RunContext& run, const Prepared& prepared) {
  std::vector<SamplePool> pools;
  // `chosen`: which examples the samples are; null: all, in order.
  const auto add = [&](std::size_t t, const DataRecipe& data, std::span<const Sample> samples,
                       const std::vector<Selected>* chosen) {
    const TaskData& task = run.inputs.tasks[t];
    SamplePool pool{.task = task.name, .samples = samples, .head = task.heads.now};
    if (data.class_weights == "balanced") {
      pool.class_weights = balanced_weights(samples, run.model.head(task.heads.now)->labels.size());
    }
    if (run.recipe.augment && run.inputs.augmenter) {  // an arm may have it off
      const Inputs& inputs = run.inputs;
      pool.variant = [&inputs, &task, &data, samples, chosen](std::int64_t index,
                                                              std::int64_t epoch) {
        const auto at = static_cast<std::size_t>(index);
        const Example& example =
            task.examples[chosen ? static_cast<std::size_t>((*chosen)[at].index) : at];
        Sample sample = samples[at];
        const std::string text = (*inputs.augmenter)(example.text, sample.task, sample.id, epoch);
        encode(text, example.pair, data, inputs.tokenizer, sample);
        return sample;
      };
    }
    pools.push_back(std::move(pool));
  };
  add(run.inputs.tasks.size() - 1, run.recipe.fresh, run.inputs.fresh().train, nullptr);
  for (std::size_t i = 0; i < prepared.memories.size(); ++i) {
    const Memory& memory = prepared.memories[i];
    add(i, run.recipe.old[i], memory.samples, &memory.selected);
  }
  return pools;
}

Importance importance_of(const RunContext& run, const TaskData& task, const std::string& kind,
                         std::int64_t samples) {
  const auto n = static_cast<std::int64_t>(task.train.size());
  const std::int64_t automatic = std::clamp<std::int64_t>(n / 20, 1, 1000);
  std::vector<Sample> texts;
  for (const std::int64_t index :
       fisher_samples(n, samples > 0 ? std::min(n, samples) : automatic, run.seed())) {
    texts.push_back(task.train[static_cast<std::size_t>(index)]);
  }
  ImportanceOptions options;
  options.kind = parse_importance_kind(kind);
  options.seed = run.seed();
  Importance importance = measure_importance(run.model, *run.model.head(task.heads.start), texts,
                                             options, run.texts("fisher", task.name));
  importance.belongs_to(task.name, task.heads.start);
  return importance;
}

}  // namespace holdfast
