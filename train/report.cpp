#include "train/report.h"

#include <fmt/format.h>

#include <algorithm>

#include "train/chart.h"
#include "train/numbers.h"
#include "train/report_parts.h"

namespace holdfast {
namespace {

using report::accuracy;
using report::card;
using report::percentage;
using report::table;

constexpr std::string_view kFooter =
    "Accuracies before and after are those of the test splits; curves and decisions during "
    "training "
    "use the validation splits alone. Intervals are 95%: Wilson for an accuracy, Newcombe (paired) "
    "for a drop.";
constexpr int kColours = 6;
constexpr std::size_t kLossPoints = 90;  // of a curve; each is the mean of its steps

double drop_of(const TaskResult& task) {
  return task.before && task.after ? task.before->accuracy - task.after->accuracy : 0;
}

/// Green is what was kept as far as the test texts tell; red what dropped further than the recipe
/// allows; a loss in between that is more than chance has no colour.
std::string_view tone_of(const TaskResult& task, double max_drop) {
  const double drop = drop_of(task);
  if (!task.old || !task.before) return "";
  if (drop > max_drop) return "bad";
  const bool lost = task.paired ? task.paired->drop_ci95.low > 0 : drop > 0;
  return lost ? "" : "good";
}

std::string task_card(const TaskResult& task, double max_drop, const std::string& more) {
  if (!task.after) return card(task.name, "not measured", "there is no test split");
  const std::string note = (task.before ? "before " + percentage(task.before->accuracy) : "") +
                           (task.old ? ", drop " + drop_text(task) + " points" : "") + more;
  return card((task.old ? "Old task: " : "New task: ") + task.name,
              percentage(task.after->accuracy), note, tone_of(task, max_drop));
}

/// The accuracy curves of a run, old tasks first; one colour a task.
void add_curves(Chart& chart, const RunResult& run, const std::string& arm, bool dashed) {
  std::vector<Series> series;
  for (const CurvePoint& point : run.curve) {
    for (const CurvePoint::Task& task : point.tasks) {
      const std::string name = arm.empty() ? task.name : task.name + ", " + arm;
      auto at = std::ranges::find(series, name, &Series::name);
      if (at == series.end()) {
        const int colour = static_cast<int>(series.size()) % kColours;
        at = series.insert(at, Series{name, colour, dashed, false, {}});
      }
      at->points.emplace_back(static_cast<double>(point.step), task.accuracy);
    }
  }
  for (Series& one : series) chart.series.push_back(std::move(one));
}

Series step_series(const RunResult& run, const std::string& name, int colour, bool dashed,
                   double StepRecord::*value) {
  Series series{name, colour, dashed, false, {}};
  for (const StepRecord& record : run.ledger)
    series.points.emplace_back(static_cast<double>(record.step), record.*value);
  series.points = thinned(series.points, kLossPoints);
  return series;
}

std::string share_chart(const RunResult& run) {
  Chart chart{"Share of old texts in a batch", "step", true, {}};
  Series series{"share", 2, false, true, {}};
  for (const StepRecord& record : run.ledger)
    if (series.points.empty() || series.points.back().second != record.share)
      series.points.emplace_back(static_cast<double>(record.step), record.share);
  if (!run.ledger.empty())
    series.points.emplace_back(static_cast<double>(run.ledger.back().step),
                               run.ledger.back().share);
  chart.series.push_back(std::move(series));
  return chart_html(chart);
}

std::string actions_table(const RunResult& run) {
  if (run.actions.empty()) return "<p>The controller had no reason to raise the share.</p>\n";
  std::vector<std::vector<std::string>> rows = {{"step", "share", "why"}};
  for (const Action& action : run.actions)
    rows.push_back({std::to_string(action.step), percentage(action.share), action.why});
  return table(rows);
}

std::string tasks_table(const RunResult& run) {
  std::vector<std::vector<std::string>> rows = {
      {"task", "role", "texts", "before", "after", "drop [95%]", "macro F1", "p (McNemar)"}};
  for (const TaskResult& task : run.tasks)
    rows.push_back({task.name, task.old ? "old" : "new",
                    task.after ? std::to_string(task.after->n) : "-", accuracy(task.before),
                    accuracy(task.after), task.old ? drop_text(task) : "-",
                    task.after ? fmt::format("{:.3f}", task.after->macro_f1) : "-",
                    task.old && task.paired ? fmt::format("{:.2g}", task.paired->mcnemar_p) : "-"});
  return table(rows);
}

std::string classes_tables(const RunResult& run) {
  std::string out;
  for (const TaskResult& task : run.tasks) {
    if (!task.after) continue;
    std::vector<std::vector<std::string>> rows = {{"class", "texts", "precision", "recall", "F1"}};
    for (std::size_t k = 0; k < task.after->labels.size(); ++k) {
      const ClassRates& rates = task.after->per_class[k];
      rows.push_back({task.after->labels[k], std::to_string(rates.support),
                      fmt::format("{:.3f}", rates.precision), fmt::format("{:.3f}", rates.recall),
                      fmt::format("{:.3f}", rates.f1)});
    }
    out += "<details><summary>Classes of " + html_escape(task.name) +
           " after training</summary>\n" + table(rows) + "</details>\n";
  }
  return out;
}

std::string seconds_table(const std::vector<std::pair<std::string, const RunResult*>>& arms) {
  std::vector<std::vector<std::string>> rows = {
      {"seconds", "select", "Fisher", "train", "evaluate", "computing", "tokens", "peak MiB"}};
  const auto text = [](double seconds) { return fmt::format("{:.1f}", seconds); };
  for (const auto& [name, run] : arms) {
    const Seconds& s = run->seconds;
    rows.push_back({name, text(s.select), text(s.fisher), text(s.train), text(s.evaluate),
                    text(s.computing()), std::to_string(run->tokens),
                    fmt::format("{:.0f}", static_cast<double>(run->peak_bytes) / (1 << 20))});
  }
  return table(rows);
}

/// What each measure of the run did, a line each.
std::vector<std::string> said(const RunResult& run) {
  const Recipe& recipe = run.recipe;
  std::vector<std::string> lines;
  if (recipe.replay)
    lines.push_back(fmt::format("replay kept {} old texts ({}), {} of each batch at the start",
                                run.replayed, recipe.replay->select,
                                percentage(recipe.replay->share)));
  if (recipe.ewc)
    lines.push_back(fmt::format(
        "EWC with lambda {:g} on the {} Fisher (normalised: {}; its mean was {:.3g}) was {} of the "
        "loss on average, {} at most",
        recipe.ewc->lambda, recipe.ewc->fisher, recipe.ewc->normalize, run.mean_fisher,
        percentage(run.penalty_share), percentage(run.max_penalty_share)));
  if (recipe.learning_rate.layer_wise())
    lines.push_back(fmt::format("learning rates from {:g} at the bottom to {:g} at the top",
                                *recipe.learning_rate.bottom,
                                recipe.learning_rate.top.value_or(0)));
  if (recipe.evaluation.controller)
    lines.push_back(fmt::format("the controller acted {} times", run.actions.size()));
  if (recipe.protect)
    lines.push_back(fmt::format("{} weights were protected ({}); {} {} at their bound at the end",
                                run.protected_weights, recipe.protect->mode,
                                run.ledger.empty() ? 0 : run.ledger.back().at_bound,
                                recipe.protect->bound == "tensor" ? "tensors were" : "were"));
  if (recipe.gradient)
    lines.push_back(fmt::format("A-GEM turned the gradient in {} of {} steps",
                                std::ranges::count(run.ledger, true, &StepRecord::projected),
                                run.steps));
  if (recipe.merge)
    lines.push_back(fmt::format(
        "the trained model was merged with its start ({}), {}", recipe.merge->method,
        run.merge ? fmt::format("weight {:g} as found on validation", run.merge->best().weight)
                  : fmt::format("weight {:g}", recipe.merge->weight.value_or(1))));
  if (run.stopped_early)
    lines.push_back(fmt::format("training stopped early, after {} steps", run.steps));
  if (run.best_step > 0)
    lines.push_back(fmt::format("the model after step {} was the best on validation and is kept",
                                run.best_step));
  return lines;
}

std::string measures(const RunResult& run) {
  const std::vector<std::string> lines = said(run);
  if (lines.empty()) return "<p>No measure against forgetting was on.</p>\n";
  std::string out = "<ul>\n";
  for (const std::string& line : lines) out += "<li>" + html_escape(line) + "</li>\n";
  return out + "</ul>\n";
}

/// The weights that [merge] tried.
std::string merge_chart(const RunResult& run) {
  Chart chart{"Validation accuracy by weight of the trained model", "weight", true, {}};
  for (std::size_t t = 0; t < run.tasks.size(); ++t) {
    Series series{run.tasks[t].name, static_cast<int>(t) % kColours, false, false, {}};
    for (const MergePoint& point : run.merge->curve)
      series.points.emplace_back(point.weight, point.accuracy.at(t));
    chart.series.push_back(std::move(series));
  }
  return chart_html(chart) + "<p>" + html_escape(run.merge->why) + "</p>\n";
}

std::string notices(const RunResult& run) {
  if (run.notices.empty()) return "";
  std::string out = "<h2>Notices</h2>\n<ul>\n";
  for (const std::string& notice : run.notices) out += "<li>" + html_escape(notice) + "</li>\n";
  return out + "</ul>\n";
}

std::string new_name(const RunResult& run) { return run.recipe.fresh.name; }

std::string old_names(const RunResult& run) {
  std::string out;
  for (const DataRecipe& old : run.recipe.old) out += (out.empty() ? "" : ", ") + old.name;
  return out.empty() ? "nothing" : out;
}

std::string facts(const RunResult& run) {
  return fmt::format("{} steps of {} texts, seed {}{}.", run.steps, run.recipe.training.batch_size,
                     run.recipe.seed, run.interrupted ? ", stopped early" : "");
}

/// Loss, share and what the measures did, of one run.
std::string training(const RunResult& run) {
  std::string out = "<h2>What the measures did</h2>\n" + measures(run);
  Chart loss{"Training loss", "step", false, {}};
  loss.series.push_back(step_series(run, "task loss", 5, false, &StepRecord::loss));
  if (run.recipe.ewc)
    loss.series.push_back(step_series(run, "penalty", 3, false, &StepRecord::penalty));
  out += chart_html(loss);
  if (run.recipe.replay) out += share_chart(run);
  if (run.recipe.evaluation.controller) out += actions_table(run);
  if (run.merge) out += merge_chart(run);
  return out;
}

std::string arm_name(const RunResult& run) {
  return fmt::format("naive at {}", run.recipe.learning_rate.rate);
}

std::string arms_table(const SeedComparison& seed) {
  std::vector<std::vector<std::string>> rows = {{"arm"}};
  for (const TaskResult& task : seed.recipe.tasks) {
    rows[0].push_back(task.name + " before");
    rows[0].push_back("after");
    if (task.old) rows[0].push_back("drop [95%]");
  }
  rows[0].push_back("valid");
  const auto add = [&](const std::string& name, const RunResult& run) {
    std::vector<std::string> row = {name};
    for (const TaskResult& task : run.tasks) {
      row.push_back(accuracy(task.before));
      row.push_back(accuracy(task.after));
      if (task.old) row.push_back(drop_text(task));
    }
    row.push_back(accuracy(run.fresh().valid));
    rows.push_back(std::move(row));
  };
  for (std::size_t i = 0; i < seed.naive.size(); ++i)
    add(arm_name(seed.naive[i]) + (i == seed.chosen ? " (chosen)" : ""), seed.naive[i]);
  add("recipe", seed.recipe);
  const std::size_t recipe_row = rows.size() - 1;
  if (seed.bounds) {
    add("joint: all texts", seed.bounds->joint);
    add("frozen encoder", seed.bounds->frozen.best());
  }
  return table(rows, {seed.chosen + 1, recipe_row});
}

std::string worth_table(const SeedComparison& seed) {
  if (seed.leave_one_out.empty()) return "";
  std::vector<std::vector<std::string>> rows = {
      {"measure", "worth on old, points", "on new, points", "predictions changed", "remark"}};
  for (const MeasureWorth& worth : seed.leave_one_out)
    rows.push_back({worth.measure, points(worth.old_accuracy), points(worth.new_accuracy),
                    std::to_string(worth.changed),
                    worth.inert.empty() ? "" : "did nothing: " + worth.inert});
  return "<h2>What each measure is worth</h2>\n<p>The recipe with it less the recipe without it, "
         "on the test splits.</p>\n" +
         table(rows);
}

std::string seeds_table(const CompareResult& comparison) {
  if (comparison.seeds.size() < 2) return "";
  const CompareSummary summary = over_seeds(comparison);
  std::vector<std::vector<std::string>> means = {
      {"mean [95%]", "old, %", "old drop, points", "new, %", "time, %"}};
  for (const CompareSummary::Arm& arm : summary.arms)
    means.push_back({arm.name, percent(arm.old_accuracy), percent(arm.old_drop),
                     percent(arm.new_accuracy), arm.name == "naive" ? "" : points(arm.overhead)});
  std::vector<std::vector<std::string>> rows = {
      {"seed", "naive: old drop", "naive: new", "recipe: old drop", "recipe: new", "time"}};
  const auto worst = [](const RunResult& run) {
    double drop = -1;
    for (const TaskResult& task : run.tasks)
      if (task.old) drop = std::max(drop, drop_of(task));
    return points(drop);
  };
  for (const SeedComparison& seed : comparison.seeds)
    rows.push_back({std::to_string(seed.seed), worst(seed.chosen_naive()),
                    accuracy(seed.chosen_naive().fresh().after), worst(seed.recipe),
                    accuracy(seed.recipe.fresh().after), points(seed.overhead) + "%"});
  return fmt::format(
      "<h2>Over {} seeds</h2>\n<p>Against naive, paired by seed, the recipe is worth {} points on "
      "the "
      "old tasks and {} on the new one. Intervals are 95%, Student's over seeds.</p>\n{}{}",
      comparison.seeds.size(), points(summary.old_gain), points(summary.new_gain), table(means),
      table(rows));
}

}  // namespace

std::string report_html(const RunResult& run) {
  std::string body = "<div class=\"cards\">\n";
  for (const TaskResult& task : run.tasks)
    body += task_card(task, run.recipe.evaluation.max_drop, "");
  body += "</div>\n<h2>While training</h2>\n";
  Chart chart{"Validation accuracy", "step", true, {}};
  add_curves(chart, run, "", false);
  body += chart_html(chart) + training(run) + "<h2>Results</h2>\n" + tasks_table(run) +
          classes_tables(run) + "<h2>Time and memory</h2>\n" + seconds_table({{"run", &run}}) +
          report::chain_line() + notices(run);
  const std::string title = run.recipe.old.empty()
                                ? "Training " + new_name(run)
                                : "Learning " + new_name(run) + ", keeping " + old_names(run);
  return report::page(title, facts(run), body, to_toml(run.recipe).dump(), kFooter);
}

std::string report_html(const CompareResult& comparison) {
  const SeedComparison& seed = comparison.first();
  const RunResult& naive = seed.chosen_naive();
  const RunResult& recipe = seed.recipe;
  std::string body = "<div class=\"cards\">\n";
  for (std::size_t i = 0; i < recipe.tasks.size(); ++i) {
    const TaskResult& other = naive.tasks[i];
    body += task_card(recipe.tasks[i], recipe.recipe.evaluation.max_drop,
                      "; naive " + accuracy(other.after));
  }
  body += card("Time", points(seed.overhead) + "%",
               fmt::format("all that the recipe computes against all that naive does; {}% a token; "
                           "{}% against a naive that never looks at the old tasks",
                           points(seed.overhead_per_token), points(seed.overhead_unwatched)));
  body += "</div>\n<h2>While training</h2>\n";
  Chart chart{"Validation accuracy: the recipe, and naive fine-tuning (dashed)", "step", true, {}};
  add_curves(chart, recipe, "recipe", false);
  add_curves(chart, naive, "naive", true);
  body += chart_html(chart) +
          "<h2>Naive and recipe</h2>\n<p>Naive takes the rate that is best for "
          "the new task on the validation split (last column).</p>\n" +
          arms_table(seed) + seeds_table(comparison) + worth_table(seed) + training(recipe) +
          "<h2>Results of the recipe</h2>\n" + tasks_table(recipe) + classes_tables(recipe) +
          "<h2>Time and memory</h2>\n" +
          seconds_table({{arm_name(naive), &naive}, {"recipe", &recipe}}) + notices(recipe);
  return report::page("Learning " + new_name(recipe) + ", keeping " + old_names(recipe),
                      facts(recipe), body, to_toml(recipe.recipe).dump(), kFooter);
}

}  // namespace holdfast
