#include "cli/run.h"

#include <fmt/format.h>

#include "base/file.h"
#include "base/utf8.h"
#include "cli/inputs.h"
#include "cli/table.h"
#include "cli/usage.h"
#include "train/numbers.h"

namespace holdfast::cli {
namespace {

constexpr std::int64_t kLargestMetrics = std::int64_t{256} << 20;  // bytes

}  // namespace

std::shared_ptr<RunOptions> add_run_options(CLI::App& sub) {
  auto options = std::make_shared<RunOptions>();
  sub.add_option("recipe", options->recipe, "Recipe, a TOML file")->required();
  sub.add_option("--set", options->set,
                 "Change a key of the recipe: training.epochs=1, or old.0.train=a.csv for the "
                 "first [[old]] (repeatable)")
      ->allow_extra_args(false);
  sub.add_option("--output", options->output,
                 "Folder for what the run leaves; `output` of the recipe")
      ->check(CLI::Validator(
          [](const std::string& folder) { return folder.empty() ? "names no folder" : ""; }, ""));
  sub.add_option("--threads", options->threads, "Worker threads, or auto; `threads` of the recipe")
      ->check(whole_number(1, 1024, "auto"));
  sub.add_flag("--dry-run", options->dry_run, "Check everything, print the plan and stop");
  return options;
}

Recipe recipe_of(const RunOptions& options) {
  std::vector<std::string> assignments = options.set;
  if (!options.output.empty()) assignments.push_back("output=" + Toml(options.output).dump());
  if (!options.threads.empty())
    assignments.push_back("threads=" +
                          (options.threads == "auto" ? std::string("\"auto\"") : options.threads));
  Recipe recipe = load_recipe(options.recipe, assignments);
  check_model_folder(recipe.model);
  return recipe;
}

Hooks Watch::hooks() {
  Hooks hooks;
  hooks.progress = [this](const holdfast::Progress& now) {
    progress_.update({now.phase, now.detail, now.done, now.total, now.tokens_per_second,
                      now.seconds_left, now.phase == "train" ? now.loss : -1});
  };
  hooks.notice = [this](const std::string& line) { progress_.notice(line); };
  hooks.evaluated = [this](const CurvePoint& point) {
    std::string line = fmt::format("step {}:", point.step);
    for (const CurvePoint::Task& task : point.tasks)
      line += fmt::format("  {} {}%", task.name, percent(task.accuracy));
    progress_.notice(line);
  };
  hooks.acted = [this](const Action& action) {
    progress_.notice(fmt::format("step {}: share of old texts {}%: {}", action.step,
                                 percent(action.share), action.why));
  };
  hooks.stop = interrupt_.flag();
  return hooks;
}

void print_metrics(const std::string& output, Json::Object more) {
  const std::filesystem::path file = std::filesystem::path(output) / "metrics.json";
  Json metrics = Json::parse(read_file(file, kLargestMetrics), file.string());
  for (auto& [name, value] : more) metrics.add(name, std::move(value));
  print(metrics.dump() + '\n');
}

std::string tasks_text(const RunResult& run) {
  Table table({"task", "role", "texts", "before %", "after %", "drop, points [95%]"});
  for (const TaskResult& task : run.tasks) {
    const bool measured = task.after.has_value();
    table.add({task.name, task.old ? "old" : "new", measured ? grouped(task.after->n) : "-",
               task.before ? percent(task.before->accuracy) : "-",
               measured ? percent(task.after->accuracy) : "-", task.old ? drop_text(task) : "-"});
  }
  return table.text();
}

}  // namespace holdfast::cli
