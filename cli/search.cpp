// holdfast search: the grid of [search] under the retention constraint.
#include "train/search.h"

#include <fmt/format.h>

#include "base/file.h"
#include "cli/run.h"
#include "cli/table.h"
#include "train/numbers.h"
#include "train/report.h"

namespace holdfast::cli {
namespace {

std::string mark(const SearchResult& result, std::size_t number) {
  const SearchPoint& point = result.points[number];
  if (!point.failure.empty()) return "failed";
  if (number == result.chosen) return "chosen";
  if (!result.whole(point)) return "left behind";
  return point.front ? "front" : "";
}

std::string points_text(const SearchResult& result) {
  std::vector<std::string> header = {"point"};
  for (const auto& [key, values] : result.recipe.search->grid) header.push_back(key);
  header.insert(header.end(), {"steps", "old kept %", "new %", ""});
  Table table(std::move(header));
  for (std::size_t i = 0; i < result.points.size(); ++i) {
    const SearchPoint& point = result.points[i];
    std::vector<std::string> row = {std::to_string(i + 1)};
    for (const auto& [key, value] : point.values) row.push_back(value.dump());
    const bool failed = !point.failure.empty();
    row.insert(row.end(), {failed ? "-" : grouped(point.steps),
                           failed ? "-" : percent(point.outcome.retention),
                           failed ? "-" : percent(point.outcome.gained), mark(result, i)});
    table.add(std::move(row));
  }
  return table.text();
}

void print_result(const SearchResult& result) {
  const Recipe& recipe = result.recipe;
  std::string out = points_text(result);
  out += fmt::format(
      "validation splits; front: no other point keeps more and learns as much\n\n"
      "chosen: {}{}\n",
      result.choice().text(),
      result.satisfied ? ""
                       : fmt::format(" (no point keeps {}% of every old task: this "
                                     "one keeps most)",
                                     percent(recipe.search->retention)));
  out += tasks_text(result.best);
  print(out + fmt::format("{0} holds best/model, best.toml, metrics.json and report.html\n",
                          recipe.output));
}

int run(const RunOptions& options, const Common& common) {
  const Recipe recipe = recipe_of(options);
  if (options.dry_run) return print_plan(recipe, count_arms(recipe), common);
  Watch watch(common);
  return training([&] {
    const SearchResult result = search_recipe(recipe, watch.hooks());
    watch.clear();
    if (result.interrupted) {
      watch.say("stopped; a later search into " + recipe.output + " keeps the runs that are done");
      return kInterrupted;
    }
    write_file(std::filesystem::path(recipe.output) / "report.html", report_html(result));
    common.json ? print_metrics(recipe.output) : print_result(result);
    return kDone;
  });
}

}  // namespace

Command add_search(CLI::App& app, Common& common) {
  CLI::App* sub = add_subcommand(
      app, common, "search", "Tries the grid of [search] and chooses what keeps enough",
      "  holdfast search recipe.toml --set 'search.\"ewc.lambda\"=[0.03,0.1,0.3,1.0,3.0]'\n"
      "  holdfast search recipe.toml --set search.halving=3 --output runs/search");
  auto options = add_run_options(*sub);
  return {sub, [options, &common] { return run(*options, common); }};
}

}  // namespace holdfast::cli
