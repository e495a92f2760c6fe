// The pages about many arms: ablation and search.
#include <fmt/format.h>

#include "train/numbers.h"
#include "train/report.h"
#include "train/report_parts.h"
#include "train/scatter.h"

namespace holdfast {
namespace {

using report::percentage;

constexpr int kNaiveColour = 1, kMeasureColour = 0, kTogetherColour = 2;

std::string names(const Recipe& recipe) {
  std::string out;
  for (const DataRecipe& old : recipe.old) out += (out.empty() ? "" : ", ") + old.name;
  return out;
}

std::string arms_table(const AblateResult& ablation) {
  std::vector<std::vector<std::string>> rows = {
      {"arm", "old, %", "kept, %", "gain, points", "new, %", "gain, points", "time, %"}};
  for (const AblationArm& arm : ablation.arms) {
    const bool naive = &arm == &ablation.arms.front();
    rows.push_back({fmt::format("{}. {}", rows.size(), arm.name), percent(arm.old_accuracy),
                    percent(arm.retention.mean), naive ? "" : points(arm.old_gain),
                    percent(arm.new_accuracy), naive ? "" : points(arm.new_gain),
                    naive ? "" : points(arm.overhead.mean)});
  }
  return report::table(rows, {1, rows.size() - 1});
}

std::string arms_scatter(const AblateResult& ablation) {
  Scatter scatter{
      "Mean test accuracy of each arm, by its number in the table: naive orange, all together "
      "green",
      "old accuracy",
      "new accuracy",
      {}};
  for (std::size_t i = 0; i < ablation.arms.size(); ++i) {
    const AblationArm& arm = ablation.arms[i];
    const int colour = i == 0                          ? kNaiveColour
                       : i + 1 == ablation.arms.size() ? kTogetherColour
                                                       : kMeasureColour;
    scatter.points.push_back({arm.old_accuracy.mean, arm.new_accuracy.mean, std::to_string(i + 1),
                              colour, false, colour != kMeasureColour});
  }
  return scatter_html(scatter);
}

std::string point_state(const SearchResult& search, std::size_t number) {
  const SearchPoint& point = search.points[number];
  if (!point.failure.empty()) return "failed: " + point.failure;
  if (number == search.chosen) return "chosen";
  if (!search.whole(point)) return "left behind";
  return point.front ? "on the front" : "";
}

std::string points_table(const SearchResult& search) {
  std::vector<std::string> header = {""};
  for (const auto& [key, values] : search.recipe.search->grid) header.push_back(key);
  header.insert(header.end(), {"steps", "old kept", "new accuracy", ""});
  std::vector<std::vector<std::string>> rows = {header};
  for (std::size_t i = 0; i < search.points.size(); ++i) {
    const SearchPoint& point = search.points[i];
    std::vector<std::string> row = {std::to_string(i + 1)};
    for (const auto& [key, value] : point.values) row.push_back(value.dump());
    const bool failed = !point.failure.empty();
    row.push_back(failed ? "-" : std::to_string(point.steps));
    row.push_back(failed ? "-" : percentage(point.outcome.retention));
    row.push_back(failed ? "-" : percentage(point.outcome.gained));
    row.push_back(point_state(search, i));
    rows.push_back(std::move(row));
  }
  return report::table(rows, {search.chosen + 1});
}

std::string points_scatter(const SearchResult& search) {
  Scatter scatter{
      "Every point on validation: the chosen one green, the Pareto front orange, hollow what did "
      "not run all its steps; dashed the retention asked for",
      "old accuracy kept",
      "new accuracy",
      {}};
  scatter.least_x = search.recipe.search->retention;
  for (std::size_t i = 0; i < search.points.size(); ++i) {
    const SearchPoint& point = search.points[i];
    if (point.outcome.failed) continue;
    const int colour = i == search.chosen ? kTogetherColour : point.front ? kNaiveColour : 5;
    scatter.points.push_back({point.outcome.retention, point.outcome.gained, std::to_string(i + 1),
                              colour, !search.whole(point), colour != 5});
  }
  return scatter_html(scatter);
}

std::string best_cards(const SearchResult& search) {
  std::string out = "<div class=\"cards\">\n";
  out += report::card("Chosen: new, on validation", percentage(search.choice().outcome.gained),
                      search.choice().text() + "; keeps " +
                          percentage(search.choice().outcome.retention) + " on validation",
                      search.satisfied ? "good" : "bad");
  for (const TaskResult& task : search.best.tasks)
    out += report::card((task.old ? "Old task: " : "New task: ") + task.name,
                        report::accuracy(task.after),
                        "on the test split; before " + report::accuracy(task.before));
  return out + "</div>\n";
}

}  // namespace

std::string report_html(const AblateResult& ablation) {
  const Recipe& recipe = ablation.arms.front().runs.front().run.recipe;
  const bool seeds = ablation.seeds.size() > 1;
  const std::string lead = fmt::format(
      "Naive fine-tuning, naive with one measure, and all of the recipe's measures together: {} "
      "steps of {} texts, {}.",
      recipe.training.steps, recipe.training.batch_size,
      seeds ? fmt::format("{} seeds from {}", ablation.seeds.size(), ablation.seeds.front())
            : fmt::format("seed {}", ablation.seeds.front()));
  const std::string footer = fmt::format(
      "Accuracies are those of the test splits after training; \"kept\" is the old accuracy after "
      "training by that before. {} Time is all that an arm computes against naive's steps and "
      "evaluations of the new task alone.",
      seeds ? "Intervals are 95%, Student's over seeds; gains against naive are paired by seed."
            : "With one seed there is no interval over seeds; those of gains against naive are "
              "Newcombe's (paired) over test texts.");
  const Recipe& together = ablation.arms.back().runs.front().run.recipe;
  return report::page(
      "What each measure is worth alone: " + names(recipe) + ", then " + recipe.fresh.name, lead,
      arms_table(ablation) + arms_scatter(ablation), to_toml(together).dump(), footer);
}

std::string report_html(const SearchResult& search) {
  const std::string lead =
      fmt::format("{} points; the best new accuracy among those that keep {} of every old task{}.",
                  search.points.size(), percentage(search.recipe.search->retention),
                  search.satisfied ? "" : ": none did, and the one that keeps most was taken");
  std::string body = best_cards(search);
  if (search.rungs.size() > 1)
    body += fmt::format(
        "<p>Successive halving: one of {} points goes on to {} times the steps, from the start "
        "again.</p>\n",
        search.recipe.search->halving, search.recipe.search->halving);
  body += points_scatter(search) + "<h2>All points</h2>\n" + points_table(search);
  return report::page("Search: " + names(search.recipe) + ", then " + search.recipe.fresh.name,
                      lead, body, to_toml(search.best.recipe).dump(),
                      "The points were compared on the validation splits alone; the test splits of "
                      "the chosen one are at the top. The recipe is that of the chosen point.");
}

}  // namespace holdfast
