// holdfast train: one run of a recipe.
#include <fmt/format.h>

#include "base/file.h"
#include "base/text.h"
#include "cli/run.h"
#include "cli/table.h"
#include "train/report.h"

namespace holdfast::cli {
namespace {

void print_result(const RunResult& run) {
  std::string out = tasks_text(run);
  out += fmt::format(
      "{} steps, {} tokens, {} of computing; {} holds model/, metrics.json and report.html\n",
      grouped(run.steps), grouped(run.tokens), human_duration(run.seconds.computing()),
      run.recipe.output);
  print(out);
}

int run(const RunOptions& options, const Common& common) {
  const Recipe recipe = recipe_of(options);
  if (options.dry_run) return print_plan(recipe, 1, common);
  Watch watch(common);
  return training([&] {
    const RunResult result = run_recipe(recipe, watch.hooks());
    watch.clear();
    write_file(std::filesystem::path(recipe.output) / "report.html", report_html(result));
    common.json ? print_metrics(recipe.output) : print_result(result);
    return result.interrupted ? kInterrupted : kDone;
  });
}

}  // namespace

Command add_train(CLI::App& app, Common& common) {
  CLI::App* sub = add_subcommand(
      app, common, "train", "Fine-tunes a model as a recipe says",
      "  holdfast train examples/news-to-medical/news.toml\n"
      "  holdfast train recipe.toml --set training.epochs=1 --set seed=3 --output runs/try");
  auto options = add_run_options(*sub);
  return {sub, [options, &common] { return run(*options, common); }};
}

}  // namespace holdfast::cli
