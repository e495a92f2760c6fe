#include "train/compare.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/file.h"
#include "train/inert.h"
#include "train/measure_list.h"
#include "train/metrics.h"

namespace holdfast {
namespace {

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

MeasureWorth worth_of(const std::string& measure, const SeedComparison& seed, Arms& arms) {
  MeasureWorth worth;
  worth.measure = measure;
  const double rate = seed.chosen_naive().recipe.learning_rate.rate;
  worth.without = changes_nothing(measure, seed.recipe)
                      ? seed.recipe
                      : arms.run("without-" + folder_name(measure),
                                 without_measure(seed.recipe.recipe, measure, rate));
  worth.old_accuracy =
      mean_test_accuracy(seed.recipe, true) - mean_test_accuracy(worth.without, true);
  worth.new_accuracy =
      mean_test_accuracy(seed.recipe, false) - mean_test_accuracy(worth.without, false);
  const std::int64_t changed = changed_predictions(seed.recipe, worth.without);
  worth.changed = std::max<std::int64_t>(changed, 0);
  worth.inert = inert_reason(measure, seed.recipe);
  if (worth.inert.empty() && changed == 0) {
    const bool start = seed.recipe.merge && seed.recipe.merge->best().weight == 0;
    worth.inert = start ? "merge took the encoder of the start, so that nothing else can show"
                        : "leaving it out changes no test prediction";
  }
  return worth;
}

Bounds bounds_of(const Recipe& recipe, double rate, Arms& arms) {
  double old_texts = 0;
  for (const TaskData& task : arms.inputs().tasks) {
    old_texts += task.old ? static_cast<double>(task.train.size()) : 0;
  }
  const auto new_texts = static_cast<double>(arms.inputs().fresh().train.size());
  Recipe joint = naive_recipe(recipe, rate);
  joint.replay.emplace();
  joint.replay->keep = 1;
  joint.replay->select = "random";
  joint.replay->quota = "none";
  joint.replay->share = old_texts / (old_texts + new_texts);
  joint.training.steps = static_cast<std::int64_t>(  // every new text as often as in naive
      std::ceil(static_cast<double>(joint.training.steps) * (old_texts + new_texts) / new_texts));
  return {arms.run("joint", joint),
          run_naive(arms, recipe, "frozen", [](Recipe& r) { r.training.encoder = "frozen"; })};
}

SeedComparison compare_seed(const Recipe& recipe, const CompareOptions& options, Arms& arms) {
  SeedComparison seed;
  seed.seed = recipe.seed;
  NaiveArms naive_arms = run_naive(arms, recipe);
  seed.naive = std::move(naive_arms.runs);
  seed.chosen = naive_arms.chosen;
  seed.recipe = arms.run("recipe", recipe);
  const RunResult& naive = seed.chosen_naive();
  seed.overhead = overhead_of(seed.recipe, naive);
  seed.overhead_per_token = (1 + seed.overhead) * static_cast<double>(naive.tokens) /
                                static_cast<double>(seed.recipe.tokens) -
                            1;
  seed.overhead_unwatched = seed.recipe.seconds.computing() / naive.seconds.plain() - 1;
  if (options.leave_one_out) {
    for (const std::string& measure : measures_of(recipe)) {
      seed.leave_one_out.push_back(worth_of(measure, seed, arms));
    }
  }
  if (options.bounds) {
    seed.bounds = bounds_of(recipe, naive.recipe.learning_rate.rate, arms);
  }
  return seed;
}

// A run's metrics after the rate that was chosen for it.
Json with_rate(const RunResult& run) {
  Json json = Json::object({{"rate", run.recipe.learning_rate.rate}});
  const Json metrics = metrics_json(run);
  for (const auto& [key, value] : metrics.items()) {
    json.add(key, value);
  }
  return json;
}

Json worths_json(const SeedComparison& seed) {
  Json worths = Json::object();
  for (const MeasureWorth& worth : seed.leave_one_out) {
    worths.add(worth.measure,
               Json::object({{"old_accuracy", worth.old_accuracy},
                             {"new_accuracy", worth.new_accuracy},
                             {"changed_predictions", worth.changed},
                             {"inert", worth.inert.empty() ? Json() : Json(worth.inert)},
                             {"tasks", metrics_json(worth.without).at("tasks")}}));
  }
  return worths;
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
  Json inert = Json::list();
  for (const MeasureWorth& worth : seed.leave_one_out) {
    if (!worth.inert.empty()) {
      inert.push_back(worth.measure);
    }
  }
  return Json::object({{"seed", seed.seed},
                       {"overhead", seed.overhead},
                       {"overhead_unwatched", seed.overhead_unwatched},
                       {"overhead_per_token", seed.overhead_per_token},
                       {"naive", with_rate(seed.chosen_naive())},
                       {"recipe", metrics_json(seed.recipe)},
                       {"naive_rates", std::move(naive_arms)},
                       {"joint", seed.bounds ? with_rate(seed.bounds->joint) : Json()},
                       {"frozen", seed.bounds ? with_rate(seed.bounds->frozen.best()) : Json()},
                       {"leave_one_out", worths_json(seed)},
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

void check_bounds(const Recipe& recipe, const CompareOptions& options) {
  const bool gone = std::any_of(recipe.old.begin(), recipe.old.end(),
                                [](const DataRecipe& old) { return old.train.empty(); });
  if (options.bounds && (recipe.old.empty() || gone)) {
    throw Refused("--bounds trains on old and new texts together: it needs train of every [[old]]");
  }
}

}  // namespace

CompareResult compare_recipe(const Recipe& recipe, const CompareOptions& options,
                             const Hooks& hooks) {
  check_bounds(recipe, options);
  CompareResult result;
  result.interrupted = !for_each_seed(
      "compare", recipe, options.seeds, hooks,
      [&](const Recipe& seeded, const Inputs& inputs, ArmsFolder& output) {
        const std::string folder = options.seeds > 1 ? fmt::format("seed-{}", seeded.seed) : "";
        Arms arms(inputs, output.path / folder, output.ledger, hooks);
        result.seeds.push_back(compare_seed(seeded, options, arms));
      });
  if (!result.interrupted) {
    write_metrics(result, recipe.output);
  }
  return result;
}

std::size_t count_arms(const Recipe& recipe, const CompareOptions& options) {
  const std::size_t rates = recipe.learning_rate.naive.size();
  const std::size_t left_out = options.leave_one_out ? measures_of(recipe).size() : 0;
  return static_cast<std::size_t>(options.seeds) *
         (rates + 1 + left_out + (options.bounds ? 1 + rates : 0));
}

}  // namespace holdfast
