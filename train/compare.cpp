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
    worth.inert =
        start ? "merge went back to the encoder of the start, so nothing that was learnt shows"
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

// Mean test accuracy of the old tasks or of the new one; NaN when there is no test split.
double measured_accuracy(const RunResult& run, bool old,
                         std::optional<Evaluation> TaskResult::*when) {
  double sum = 0;
  double tasks = 0;
  for (const TaskResult& task : run.tasks) {
    if (task.old == old && task.before && task.after) {
      sum += (task.*when)->accuracy;
      ++tasks;
    }
  }
  return sum / tasks;
}

double final_accuracy(const RunResult& run, bool old) {
  return measured_accuracy(run, old, &TaskResult::after);
}

double mean_drop(const RunResult& run) {
  return measured_accuracy(run, true, &TaskResult::before) - final_accuracy(run, true);
}

// `summarise` over `value` of every seed, or nothing when one of them was not measured.
template <class Value>
SeedSummary summarised(const CompareResult& result, const Value& value,
                       SeedSummary (*summarise)(std::span<const double>)) {
  std::vector<double> values;
  for (const SeedComparison& seed : result.seeds) {
    values.push_back(value(seed));
  }
  const bool measured =
      std::none_of(values.begin(), values.end(), [](double x) { return !std::isfinite(x); });
  return measured ? summarise(values) : SeedSummary{};
}

template <class Run>
CompareSummary::Arm arm_over_seeds(const CompareResult& result, const std::string& name,
                                   const Run& run) {
  const auto accuracy = [&](bool old) {
    return summarised(
        result, [&, old](const SeedComparison& seed) { return final_accuracy(run(seed), old); },
        shares_over_seeds);
  };
  return {
      .name = name,
      .old_accuracy = accuracy(true),
      .old_drop = summarised(
          result, [&](const SeedComparison& seed) { return mean_drop(run(seed)); }, over_seeds),
      .new_accuracy = accuracy(false),
      .overhead = summarised(
          result,
          [&](const SeedComparison& seed) { return overhead_of(run(seed), seed.chosen_naive()); },
          over_seeds)};
}

Json summary_json(const CompareSummary& summary) {
  const auto json = [](const SeedSummary& one) { return one.n > 0 ? to_json(one) : Json(); };
  Json arms = Json::object();
  for (const CompareSummary::Arm& arm : summary.arms) {
    arms.add(arm.name, Json::object({{"old_accuracy", json(arm.old_accuracy)},
                                     {"old_drop", json(arm.old_drop)},
                                     {"new_accuracy", json(arm.new_accuracy)},
                                     {"overhead", json(arm.overhead)}}));
  }
  return Json::object({{"arms", std::move(arms)},
                       {"old_gain", json(summary.old_gain)},
                       {"new_gain", json(summary.new_gain)}});
}

// The first seed at the top; when there are several all of them under "seeds", and what they say
// together under "over_seeds".
void write_metrics(const CompareResult& result, const std::filesystem::path& output) {
  Json json = seed_json(result.first());
  if (result.seeds.size() > 1) {
    Json seeds = Json::list();
    for (const SeedComparison& seed : result.seeds) {
      seeds.push_back(seed_json(seed));
    }
    json.add("seeds", std::move(seeds));
    json.add("over_seeds", summary_json(over_seeds(result)));
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

CompareSummary over_seeds(const CompareResult& result) {
  CompareSummary summary;
  const auto add = [&](const char* name, const auto& run) {
    summary.arms.push_back(arm_over_seeds(result, name, run));
  };
  using Seed = const SeedComparison&;
  add("naive", [](Seed seed) -> const RunResult& { return seed.chosen_naive(); });
  add("recipe", [](Seed seed) -> const RunResult& { return seed.recipe; });
  if (std::all_of(result.seeds.begin(), result.seeds.end(),
                  [](Seed seed) { return seed.bounds.has_value(); })) {
    add("joint", [](Seed seed) -> const RunResult& { return seed.bounds->joint; });
    add("frozen", [](Seed seed) -> const RunResult& { return seed.bounds->frozen.best(); });
  }
  const auto gain = [&](bool old) {
    return summarised(
        result,
        [old](Seed seed) {
          return final_accuracy(seed.recipe, old) - final_accuracy(seed.chosen_naive(), old);
        },
        over_seeds);
  };
  summary.old_gain = gain(true);
  summary.new_gain = gain(false);
  return summary;
}

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
