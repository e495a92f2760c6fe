#include "train/ablate.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/file.h"
#include "train/measure_list.h"
#include "train/metrics.h"
#include "train/recipe_check.h"

namespace holdfast {
namespace {

// Difference of accuracies a - b on the same texts.
Estimate gain_of(const Evaluation& a, const Evaluation& b, std::span<const Sample> samples) {
  const PairedResult drop = paired_result(a, b, samples);
  return {drop.drop, drop.drop_ci95};
}

// Whether the measure makes sense on its own, at every rate that naive may choose.
void check_alone(const Recipe& recipe, const std::string& measure, double rate) {
  try {
    if (const std::optional<Recipe> alone = alone_recipe(recipe, measure, rate)) {
      check_whole(*alone, Toml::table(), measure + " alone");
    }
  } catch (const std::runtime_error& error) {
    throw Refused(fmt::format("ablate: {}", error.what()));
  }
}

void check(const Recipe& recipe) {
  if (recipe.old.empty()) {
    throw Refused("ablate needs an [[old]] task: what it measures is how much of it is kept");
  }
  for (const DataRecipe& old : recipe.old) {
    if (old.test.empty()) {
      throw Refused(
          fmt::format("ablate needs test of task {}: that is what it measures", old.name));
    }
  }
  if (recipe.fresh.test.empty()) {
    throw Refused(
        fmt::format("ablate needs test of task {}: that is what it measures", recipe.fresh.name));
  }
  const std::vector<std::string> measures = measures_of(recipe);
  if (measures.empty()) {
    throw Refused("ablate needs a recipe with a measure: every one of them is off in this one");
  }
  for (const std::string& measure : measures) {
    for (const double rate : recipe.learning_rate.naive) {
      check_alone(recipe, measure, rate);
    }
  }
}

// The arms of one seed, in the order of the table.
std::vector<std::pair<std::string, RunResult>> run_seed(const Recipe& recipe, Arms& arms) {
  std::vector<std::pair<std::string, RunResult>> runs;
  const NaiveArms naive = run_naive(arms, recipe);
  const double rate = naive.best().recipe.learning_rate.rate;
  runs.emplace_back("naive", naive.best());
  for (const std::string& measure : measures_of(recipe)) {
    if (const std::optional<Recipe> alone = alone_recipe(recipe, measure, rate)) {
      runs.emplace_back(measure, arms.run("alone-" + folder_name(measure), *alone));
    }
  }
  runs.emplace_back("all together", arms.run("recipe", recipe));
  return runs;
}

std::vector<double> values_of(const AblationArm& arm, double AblationRun::*value) {
  std::vector<double> values;
  for (const AblationRun& run : arm.runs) {
    values.push_back(run.*value);
  }
  return values;
}

Json gain_json(const SeedSummary& gain) {
  Json json = to_json(gain);
  json.add("over", gain.n > 1 ? "seeds" : "texts");
  return json;
}

Json run_json(const AblationRun& run) {
  const Json metrics = metrics_json(run.run);
  return Json::object({{"seed", run.run.recipe.seed},
                       {"rate", run.run.recipe.learning_rate.layer_wise()
                                    ? Json()
                                    : Json(run.run.recipe.learning_rate.rate)},
                       {"old_accuracy", run.old_accuracy},
                       {"new_accuracy", run.new_accuracy},
                       {"retention", run.retention},
                       {"old_gain", run.old_gain},
                       {"old_gain_ci95", to_json(run.old_gain_ci95)},
                       {"new_gain", run.new_gain},
                       {"new_gain_ci95", to_json(run.new_gain_ci95)},
                       {"overhead", run.overhead},
                       {"seconds", metrics.at("seconds")},
                       {"tasks", metrics.at("tasks")}});
}

Json result_json(const AblateResult& result) {
  Json seeds = Json::list();
  for (const std::int64_t seed : result.seeds) {
    seeds.push_back(seed);
  }
  Json arms = Json::list();
  for (const AblationArm& arm : result.arms) {
    Json runs = Json::list();
    for (const AblationRun& run : arm.runs) {
      runs.push_back(run_json(run));
    }
    arms.push_back(Json::object({{"name", arm.name},
                                 {"old_accuracy", to_json(arm.old_accuracy)},
                                 {"retention", to_json(arm.retention)},
                                 {"old_gain", gain_json(arm.old_gain)},
                                 {"new_accuracy", to_json(arm.new_accuracy)},
                                 {"new_gain", gain_json(arm.new_gain)},
                                 {"overhead", to_json(arm.overhead)},
                                 {"runs", std::move(runs)}}));
  }
  const Recipe& recipe = result.arms.front().runs.front().run.recipe;
  return Json::object({{"scenario", recipe.heads.scenario},
                       {"steps", recipe.training.steps},
                       {"seeds", std::move(seeds)},
                       {"arms", std::move(arms)}});
}

}  // namespace

AblationRun measure_against(const RunResult& run, const RunResult& naive,
                            std::span<const TaskData> tasks) {
  AblationRun out;
  out.run = run;
  out.old_accuracy = mean_test_accuracy(run, true);
  out.new_accuracy = mean_test_accuracy(run, false);
  out.overhead = overhead_of(run, naive);
  std::vector<Estimate> gains;
  for (std::size_t t = 0; t < tasks.size(); ++t) {
    const TaskResult& task = run.tasks.at(t);
    const Estimate gain = gain_of(*task.after, *naive.tasks.at(t).after, tasks[t].test);
    if (!tasks[t].old) {
      out.new_gain = gain.value;
      out.new_gain_ci95 = gain.ci95;
      continue;
    }
    gains.push_back(gain);
    const double before = task.before->accuracy;
    out.retention += before > 0 ? task.after->accuracy / before : 1;
  }
  out.retention /= static_cast<double>(gains.size());
  const Estimate old = mean_of_independent(gains);
  out.old_gain = old.value;
  out.old_gain_ci95 = old.ci95;
  return out;
}

void summarise(AblationArm& arm) {
  arm.old_accuracy = shares_over_seeds(values_of(arm, &AblationRun::old_accuracy));
  arm.new_accuracy = shares_over_seeds(values_of(arm, &AblationRun::new_accuracy));
  arm.retention = over_seeds(values_of(arm, &AblationRun::retention));
  arm.overhead = over_seeds(values_of(arm, &AblationRun::overhead));
  arm.old_gain = over_seeds(values_of(arm, &AblationRun::old_gain));
  arm.new_gain = over_seeds(values_of(arm, &AblationRun::new_gain));
  if (arm.runs.size() == 1) {
    arm.old_gain.ci95 = arm.runs.front().old_gain_ci95;
    arm.new_gain.ci95 = arm.runs.front().new_gain_ci95;
  }
}

AblateResult ablate_recipe(const Recipe& recipe, std::int64_t seeds, const Hooks& hooks) {
  check(recipe);
  AblateResult result;
  result.interrupted =
      !for_each_seed("ablate", recipe, seeds, hooks,
                     [&](const Recipe& seeded, const Inputs& inputs, ArmsFolder& output) {
                       Arms arms(inputs, output.path / fmt::format("seed-{}", seeded.seed),
                                 output.ledger, hooks, {.keep_models = false});
                       const auto runs = run_seed(seeded, arms);
                       result.seeds.push_back(seeded.seed);
                       result.arms.resize(runs.size());
                       for (std::size_t i = 0; i < runs.size(); ++i) {
                         result.arms[i].name = runs[i].first;
                         result.arms[i].runs.push_back(
                             measure_against(runs[i].second, runs.front().second, inputs.tasks));
                       }
                     });
  if (!result.interrupted) {
    for (AblationRun& run : result.arms.front().runs) {
      run.overhead = 0;  // naive is what the others are measured against
    }
    std::for_each(result.arms.begin(), result.arms.end(), summarise);
    write_file(std::filesystem::path(recipe.output) / "metrics.json",
               result_json(result).dump(2) + "\n");
  }
  return result;
}

std::size_t count_arms(const Recipe& recipe, std::int64_t seeds) {
  const std::vector<std::string> measures = measures_of(recipe);
  const auto alone = std::count_if(measures.begin(), measures.end(), [&](const std::string& name) {
    return alone_recipe(recipe, name, recipe.learning_rate.naive.front()).has_value();
  });
  return static_cast<std::size_t>(seeds) *
         (recipe.learning_rate.naive.size() + static_cast<std::size_t>(alone) + 1);
}

}  // namespace holdfast
