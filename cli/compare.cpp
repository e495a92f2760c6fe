// holdfast compare: naive fine-tuning and the recipe from the same start.
#include "train/compare.h"

#include <fmt/format.h>

#include "base/file.h"
#include "base/utf8.h"
#include "cli/run.h"
#include "cli/table.h"
#include "cli/usage.h"
#include "train/numbers.h"
#include "train/report.h"

namespace holdfast::cli {
namespace {

std::string share_text(const std::optional<Evaluation>& evaluation) {
  return evaluation ? percent(evaluation->accuracy) : "-";
}

void add_arm(Table& table, const std::string& name, const RunResult& run) {
  std::vector<std::string> row = {name};
  for (const TaskResult& task : run.tasks) {
    row.push_back(share_text(task.before));
    row.push_back(share_text(task.after));
    if (task.old) row.push_back(drop_text(task));
  }
  row.push_back(share_text(run.fresh().valid));
  table.add(std::move(row));
}

std::string arms_text(const SeedComparison& seed) {
  std::vector<std::string> header = {"test accuracy, %"};
  for (const TaskResult& task : seed.recipe.tasks) {
    header.push_back(task.name + " before");
    header.push_back("after");
    if (task.old) header.push_back("drop [95%]");
  }
  header.push_back(seed.recipe.fresh().name + " valid");
  Table table(std::move(header));
  for (std::size_t i = 0; i < seed.naive.size(); ++i)
    add_arm(table,
            fmt::format("naive at {}{}", seed.naive[i].recipe.learning_rate.rate,
                        i == seed.chosen ? " *" : ""),
            seed.naive[i]);
  add_arm(table, "recipe", seed.recipe);
  if (seed.bounds) {
    add_arm(table, "joint (all texts)", seed.bounds->joint);
    const RunResult& frozen = seed.bounds->frozen.best();
    add_arm(table, fmt::format("frozen encoder at {}", frozen.recipe.learning_rate.rate), frozen);
  }
  return table.text() + "* the rate that is best for the new task on validation\n";
}

std::string worth_text(const SeedComparison& seed) {
  if (seed.leave_one_out.empty()) return "";
  Table table({"worth of a measure, points", "old", "new", "changed", "remark"});
  for (const MeasureWorth& worth : seed.leave_one_out)
    table.add({worth.measure, points(worth.old_accuracy), points(worth.new_accuracy),
               grouped(worth.changed), worth.inert.empty() ? "" : "did nothing: " + worth.inert});
  return '\n' + table.text();
}

/// Means over the seeds with their intervals, arm by arm, and what the recipe is worth against
/// naive.
std::string seeds_text(const CompareResult& result) {
  if (result.seeds.size() < 2) return "";
  const CompareSummary summary = over_seeds(result);
  Table table({"mean [95%]", "old %", "old drop, points", "new %", "time %"});
  for (const CompareSummary::Arm& arm : summary.arms)
    table.add({arm.name, percent(arm.old_accuracy), percent(arm.old_drop),
               percent(arm.new_accuracy), arm.name == "naive" ? "" : points(arm.overhead)});
  return fmt::format(
      "\nover {} seeds (Student's t)\n{}recipe against naive, paired by seed: old {} points, new "
      "{}\n",
      result.seeds.size(), table.text(), points(summary.old_gain), points(summary.new_gain));
}

/// What was lost, what was gained and what it cost, in words.
std::string summary(const SeedComparison& seed) {
  const RunResult& naive = seed.chosen_naive();
  const RunResult& recipe = seed.recipe;
  std::string out;
  for (std::size_t i = 0; i < recipe.tasks.size(); ++i) {
    const TaskResult& task = recipe.tasks[i];
    const TaskResult& other = naive.tasks[i];
    if (!task.after || !other.after || !task.before) continue;
    if (task.old)
      out += fmt::format("{}: naive fine-tuning loses {} points, the recipe {}\n",
                         utf8::printable(task.name),
                         percent(other.before->accuracy - other.after->accuracy),
                         percent(task.before->accuracy - task.after->accuracy));
    else
      out += fmt::format("{}: naive reaches {}%, the recipe {}% ({})\n", utf8::printable(task.name),
                         share_text(other.after), share_text(task.after),
                         points(task.after->accuracy - other.after->accuracy));
  }
  return out +
         fmt::format(
             "time: the recipe takes {}% against naive ({}% a token), {}% against a naive that "
             "never looks at the old tasks\n",
             points(seed.overhead), points(seed.overhead_per_token),
             points(seed.overhead_unwatched));
}

void print_result(const Recipe& recipe, const CompareResult& result) {
  std::string out;
  for (const SeedComparison& seed : result.seeds) {
    if (result.seeds.size() > 1)
      out += fmt::format("{}seed {}\n", out.empty() ? "" : "\n", seed.seed);
    out += arms_text(seed) + worth_text(seed) + '\n' + summary(seed);
  }
  out += seeds_text(result);
  print(out + fmt::format("{} holds the models, metrics.json and report.html\n", recipe.output));
}

int run(const RunOptions& options, const CompareOptions& compare, const Common& common) {
  const Recipe recipe = recipe_of(options);
  if (options.dry_run) return print_plan(recipe, count_arms(recipe, compare), common);
  Watch watch(common);
  return training([&] {
    const CompareResult result = compare_recipe(recipe, compare, watch.hooks());
    watch.clear();
    if (result.interrupted) {
      watch.say("stopped; a later compare into " + recipe.output + " keeps the arms that are done");
      return kInterrupted;
    }
    write_file(std::filesystem::path(recipe.output) / "report.html", report_html(result));
    common.json ? print_metrics(recipe.output) : print_result(recipe, result);
    return kDone;
  });
}

}  // namespace

Command add_compare(CLI::App& app, Common& common) {
  CLI::App* sub = add_subcommand(
      app, common, "compare", "Runs naive fine-tuning and a recipe from the same start",
      "  holdfast compare examples/news-to-medical/medical.toml\n"
      "  holdfast compare recipe.toml --leave-one-out --set 'learning_rate.naive=[3e-5,1e-4]'");
  auto options = add_run_options(*sub);
  auto compare = std::make_shared<CompareOptions>();
  sub->add_flag("--leave-one-out", compare->leave_one_out,
                "Also the recipe without each of its measures, once each");
  sub->add_flag("--bounds", compare->bounds,
                "Also joint training on all texts, and the encoder frozen: between these bounds");
  sub->add_option("--seeds", compare->seeds, "Repeat with so many seeds")
      ->check(whole_number(1, 1000))
      ->capture_default_str();
  return {sub, [options, compare, &common] { return run(*options, *compare, common); }};
}

}  // namespace holdfast::cli
