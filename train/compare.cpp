#include "train/compare.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <limits>
#include <memory>

#include "base/file.h"
#include "base/parallel.h"
#include "base/version.h"
#include "train/ledger.h"
#include "train/metrics.h"
#include "train/output.h"

namespace holdfast {
namespace {

constexpr std::int64_t kMaxResultBytes = std::int64_t{1} << 30;
constexpr double kInertPenalty = 1e-3;  // of the loss; a smaller penalty steers nothing

/// One measure of a recipe that is on, and how to take it away.
struct Measure {
  const char* name;
  const char* folder;
  bool on;
  std::function<void(Recipe&)> remove;
};

void use_one_rate(Recipe& recipe, double rate) {
  recipe.learning_rate.rate = rate;
  recipe.learning_rate.bottom.reset();
  recipe.learning_rate.top.reset();
}

// Without layer-wise rates the recipe takes the rate that is best for the new task.
std::vector<Measure> measures_of(const Recipe& recipe, double best_rate) {
  return {{"replay", "without-replay", recipe.replay.has_value(),
           [](Recipe& r) {
             r.replay.reset();
             r.evaluation.controller = false;  // it has no share to raise
           }},
          {"ewc", "without-ewc", recipe.ewc.has_value(), [](Recipe& r) { r.ewc.reset(); }},
          {"layer-wise rates", "without-layer-wise-rates", recipe.learning_rate.layer_wise(),
           [best_rate](Recipe& r) { use_one_rate(r, best_rate); }},
          {"controller", "without-controller",
           recipe.evaluation.controller && recipe.replay.has_value(),
           [](Recipe& r) { r.evaluation.controller = false; }}};
}

Recipe naive_recipe(Recipe recipe, double rate) {
  recipe.replay.reset();
  recipe.ewc.reset();
  recipe.evaluation.controller = false;
  use_one_rate(recipe, rate);
  return recipe;
}

/// The arms of one seed, all from the same inputs.
class Arms {
 public:
  Arms(const Inputs& inputs, std::filesystem::path folder, Ledger& ledger, const Hooks& hooks)
      : inputs_(inputs),
        folder_(std::move(folder)),
        ledger_(ledger),
        hooks_(hooks),
        digest_(inputs.digest()) {}

  /// Runs an arm, or reads it back when the folder holds it already. Throws Stopped when it was
  /// interrupted.
  RunResult run(const std::string& name, Recipe recipe);

 private:
  std::optional<RunResult> read_back(const Recipe& recipe) const;

  const Inputs& inputs_;
  std::filesystem::path folder_;
  Ledger& ledger_;
  const Hooks& hooks_;
  std::string digest_;
  std::optional<RunResult> first_;  // the arm that has evaluated the start
};

std::string result_key(const Recipe& recipe, const std::string& digest) {
  // Threads change no bit, but the times that are compared.
  return fmt::format("{}-{}-{}-{}", version(), recipe_hash(recipe), digest, thread_count());
}

std::optional<RunResult> Arms::read_back(const Recipe& recipe) const {
  const std::filesystem::path file = std::filesystem::path(recipe.output) / "result.json";
  if (!std::filesystem::exists(file)) {
    return std::nullopt;
  }
  if (!std::filesystem::exists(std::filesystem::path(recipe.output) / "model/config.json")) {
    return std::nullopt;
  }
  try {
    const Json json = Json::parse(read_file(file, kMaxResultBytes), file.string());
    if (json.at("key").as_string() == result_key(recipe, digest_)) {
      return result_from_json(json.at("result"));
    }
  } catch (const std::runtime_error&) {
    // A damaged result counts as none: the arm runs again.
  }
  return std::nullopt;
}

RunResult Arms::run(const std::string& name, Recipe recipe) {
  recipe.output = (folder_ / name).string();
  recipe.learning_rate.naive = RateRecipe{}.naive;  // of the comparison, not of an arm
  std::optional<RunResult> earlier = read_back(recipe);
  if (hooks_.notice) {
    hooks_.notice(earlier ? fmt::format("arm {}: read back from {}", name, recipe.output)
                          : fmt::format("arm {}", name));
  }
  ledger_.write("arm", Json::object({{"name", name}, {"read_back", earlier.has_value()}}));
  if (earlier) {
    first_ = first_ ? first_ : earlier;
    return *earlier;
  }
  Hooks hooks = hooks_;
  if (hooks_.progress) {
    hooks.progress = [this, &name](Progress progress) {
      progress.detail = progress.detail.empty() ? name : name + ", " + progress.detail;
      hooks_.progress(progress);
    };
  }
  RunResult result = run_on(inputs_, recipe, hooks, first_ ? &*first_ : nullptr);
  if (result.interrupted) {
    throw Stopped();
  }
  write_file(
      std::filesystem::path(recipe.output) / "result.json",
      Json::object({{"key", result_key(recipe, digest_)}, {"result", result_to_json(result)}})
              .dump() +
          "\n");
  return result;
}

double new_valid_accuracy(const RunResult& run) {
  return run.fresh().valid ? run.fresh().valid->accuracy : 0;
}

// The best new validation accuracy; of equal ones the lower rate.
std::size_t choose_naive(const std::vector<RunResult>& arms) {
  std::size_t best = 0;
  for (std::size_t i = 1; i < arms.size(); ++i) {
    const double gain = new_valid_accuracy(arms[i]) - new_valid_accuracy(arms[best]);
    const bool lower = arms[i].recipe.learning_rate.rate < arms[best].recipe.learning_rate.rate;
    if (gain > 0 || (gain == 0 && lower)) {
      best = i;
    }
  }
  return best;
}

double mean_test_accuracy(const RunResult& run, bool old) {
  double sum = 0;
  double tasks = 0;
  for (const TaskResult& task : run.tasks) {
    if (task.old == old && task.after) {
      sum += task.after->accuracy;
      ++tasks;
    }
  }
  return tasks > 0 ? sum / tasks : 0;
}

// Test predictions that differ, of all tasks; -1 when there is no test split.
std::int64_t changed_predictions(const RunResult& a, const RunResult& b) {
  std::int64_t changed = 0;
  bool any = false;
  for (std::size_t t = 0; t < a.tasks.size(); ++t) {
    if (!a.tasks[t].after || !b.tasks[t].after) {
      continue;
    }
    any = true;
    const std::vector<std::int32_t>& p = a.tasks[t].after->predictions;
    const std::vector<std::int32_t>& q = b.tasks[t].after->predictions;
    for (std::size_t n = 0; n < p.size(); ++n) {
      changed += p[n] != q[n] ? 1 : 0;
    }
  }
  return any ? changed : -1;
}

std::string inert_reason(const std::string& measure, const RunResult& recipe,
                         std::int64_t changed) {
  if (measure == "controller" && recipe.actions.empty()) {
    return "no old task dropped far enough for it to act";
  }
  if (measure == "ewc" && recipe.max_penalty_share < kInertPenalty) {
    return fmt::format("its penalty was never more than {:.2g}% of the loss",
                       100 * recipe.max_penalty_share);
  }
  return changed == 0 ? "leaving it out changes no test prediction" : "";
}

MeasureWorth worth_of(const Measure& measure, const SeedComparison& seed, Arms& arms) {
  MeasureWorth worth;
  worth.measure = measure.name;
  const bool same = worth.measure == "controller" && seed.recipe.actions.empty();
  if (same) {
    worth.without = seed.recipe;  // bit for bit what a run without it would be
  } else {
    Recipe recipe = seed.recipe.recipe;
    measure.remove(recipe);
    worth.without = arms.run(measure.folder, recipe);
  }
  worth.old_accuracy =
      mean_test_accuracy(seed.recipe, true) - mean_test_accuracy(worth.without, true);
  worth.new_accuracy =
      mean_test_accuracy(seed.recipe, false) - mean_test_accuracy(worth.without, false);
  const std::int64_t changed = changed_predictions(seed.recipe, worth.without);
  worth.changed = std::max<std::int64_t>(changed, 0);
  worth.inert = inert_reason(worth.measure, seed.recipe, changed);
  return worth;
}

SeedComparison compare_seed(const Recipe& recipe, const CompareOptions& options, Arms& arms) {
  SeedComparison seed;
  seed.seed = recipe.seed;
  for (const double rate : recipe.learning_rate.naive) {
    seed.naive.push_back(arms.run(fmt::format("naive-{}", rate), naive_recipe(recipe, rate)));
  }
  seed.chosen = choose_naive(seed.naive);
  seed.recipe = arms.run("recipe", recipe);
  const RunResult& naive = seed.chosen_naive();
  seed.overhead = seed.recipe.seconds.computing() / naive.seconds.plain() - 1;
  seed.overhead_per_token = (1 + seed.overhead) * static_cast<double>(naive.tokens) /
                                static_cast<double>(seed.recipe.tokens) -
                            1;
  if (options.leave_one_out) {
    for (const Measure& measure : measures_of(recipe, naive.recipe.learning_rate.rate)) {
      if (measure.on) {
        seed.leave_one_out.push_back(worth_of(measure, seed, arms));
      }
    }
  }
  return seed;
}

Json seed_json(const SeedComparison& seed) {
  Json naive_arms = Json::list();
  for (std::size_t i = 0; i < seed.naive.size(); ++i) {
    Json arm = Json::object({{"rate", seed.naive[i].recipe.learning_rate.rate},
                             {"chosen", i == seed.chosen},
                             {"new_valid_accuracy", new_valid_accuracy(seed.naive[i])}});
    const Json metrics = metrics_json(seed.naive[i]);
    for (const char* key : {"tasks", "forgetting", "retention", "train_seconds"}) {
      arm.add(key, metrics.at(key));
    }
    naive_arms.push_back(std::move(arm));
  }
  Json naive = Json::object({{"rate", seed.chosen_naive().recipe.learning_rate.rate}});
  const Json chosen = metrics_json(seed.chosen_naive());
  for (const auto& [key, value] : chosen.items()) {
    naive.add(key, value);
  }
  Json worths = Json::object();
  Json inert = Json::list();
  for (const MeasureWorth& worth : seed.leave_one_out) {
    worths.add(worth.measure,
               Json::object({{"old_accuracy", worth.old_accuracy},
                             {"new_accuracy", worth.new_accuracy},
                             {"changed_predictions", worth.changed},
                             {"inert", worth.inert.empty() ? Json() : Json(worth.inert)},
                             {"tasks", metrics_json(worth.without).at("tasks")}}));
    if (!worth.inert.empty()) {
      inert.push_back(worth.measure);
    }
  }
  return Json::object({{"seed", seed.seed},
                       {"overhead", seed.overhead},
                       {"overhead_per_token", seed.overhead_per_token},
                       {"naive", std::move(naive)},
                       {"recipe", metrics_json(seed.recipe)},
                       {"naive_rates", std::move(naive_arms)},
                       {"leave_one_out", std::move(worths)},
                       {"inert", std::move(inert)}});
}

// The first seed at the top, and all of them under "seeds" when there are several.
void write_metrics(const CompareResult& result, const std::filesystem::path& output) {
  Json json = seed_json(result.first());
  if (result.seeds.size() > 1) {
    Json seeds = Json::list();
    for (const SeedComparison& seed : result.seeds) {
      seeds.push_back(seed_json(seed));
    }
    json.add("seeds", std::move(seeds));
  }
  write_file(output / "metrics.json", json.dump(2) + "\n");
}

void check_options(const Recipe& recipe, const CompareOptions& options) {
  if (options.seeds < 1 || recipe.seed > std::numeric_limits<std::int64_t>::max() - options.seeds) {
    throw Refused(
        fmt::format("{} seeds from {} on: there must be at least one", options.seeds, recipe.seed));
  }
  if (recipe.learning_rate.naive.size() > 1 && recipe.fresh.valid.empty()) {
    throw Refused("learning_rate.naive is a list: the new task needs valid, to choose the rate by");
  }
}

}  // namespace

CompareResult compare_recipe(const Recipe& recipe, const CompareOptions& options,
                             const Hooks& hooks) {
  check_options(recipe, options);
  const std::filesystem::path output = recipe.output;
  CompareResult result;
  Descriptor lock;  // the output folder is this comparison's
  std::unique_ptr<Ledger> ledger;
  try {
    Recipe seeded = recipe;
    for (std::int64_t i = 0; i < options.seeds; ++i) {
      seeded.seed = recipe.seed + i;
      const Inputs inputs = open_inputs(seeded, hooks);
      seeded.threads = thread_count();
      if (!ledger) {
        lock = begin_output(output);
        ledger = std::make_unique<Ledger>(output / "ledger.jsonl");
        ledger->write("compare", Json::object({{"recipe", recipe_hash(recipe)}}));
        write_file(output / "recipe.toml", to_toml(resolve(recipe, inputs)).dump());
      }
      const std::string folder = options.seeds > 1 ? fmt::format("seed-{}", seeded.seed) : "";
      Arms arms(inputs, output / folder, *ledger, hooks);
      result.seeds.push_back(compare_seed(resolve(seeded, inputs), options, arms));
    }
    write_metrics(result, output);
  } catch (const Stopped&) {
    result.interrupted = true;
  }
  return result;
}

}  // namespace holdfast
