// holdfast ablate: what each measure of a recipe is worth on its own.
#include "train/ablate.h"

#include <fmt/format.h>

#include "base/file.h"
#include "cli/run.h"
#include "cli/table.h"
#include "cli/usage.h"
#include "train/numbers.h"
#include "train/report.h"

namespace holdfast::cli {
namespace {

void print_result(const Recipe& recipe, const AblateResult& result) {
  Table table({"test accuracy, %", "old", "kept", "gain, points", "new", "gain, points", "time %"});
  for (const AblationArm& arm : result.arms) {
    const bool naive = &arm == &result.arms.front();
    table.add({arm.name, percent(arm.old_accuracy), percent(arm.retention.mean),
               naive ? "" : points(arm.old_gain), percent(arm.new_accuracy),
               naive ? "" : points(arm.new_gain), naive ? "" : points(arm.overhead.mean)});
  }
  std::string out = table.text();
  out += result.seeds.size() > 1
             ? fmt::format("over {} seeds; gains against naive are paired by seed (95%, Student)\n",
                           result.seeds.size())
             : "one seed: there is no interval over seeds (--seeds 3), and the gains' intervals "
               "are over test texts\n";
  print(out + fmt::format("{} holds metrics.json and report.html\n", recipe.output));
}

int run(const RunOptions& options, std::int64_t seeds, const Common& common) {
  const Recipe recipe = recipe_of(options);
  if (options.dry_run) return print_plan(recipe, count_arms(recipe, seeds), common);
  Watch watch(common);
  return training([&] {
    const AblateResult result = ablate_recipe(recipe, seeds, watch.hooks());
    watch.clear();
    if (result.interrupted) {
      watch.say("stopped; a later ablate into " + recipe.output + " keeps the arms that are done");
      return kInterrupted;
    }
    write_file(std::filesystem::path(recipe.output) / "report.html", report_html(result));
    common.json ? print_metrics(recipe.output) : print_result(recipe, result);
    return kDone;
  });
}

}  // namespace

Command add_ablate(CLI::App& app, Common& common) {
  CLI::App* sub = add_subcommand(
      app, common, "ablate", "Runs naive fine-tuning, each measure alone, and all together",
      "  holdfast ablate recipe.toml --seeds 3\n"
      "  holdfast ablate recipe.toml --set 'learning_rate.naive=[1e-4]' --output runs/ablation");
  auto options = add_run_options(*sub);
  auto seeds = std::make_shared<std::int64_t>(1);
  sub->add_option("--seeds", *seeds, "Repeat with so many seeds")
      ->check(whole_number(1, 1000))
      ->capture_default_str();
  return {sub, [options, seeds, &common] { return run(*options, *seeds, common); }};
}

}  // namespace holdfast::cli
