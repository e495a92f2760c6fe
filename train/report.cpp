#include "train/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "train/chart.h"

namespace holdfast {
namespace {

constexpr std::string_view kStyle = R"(
:root { color-scheme: light dark; --page: #fbfbfa; --card: #ffffff; --ink: #1d2129; --soft: #6a7180;
  --rule: #e3e5e9; --c0: #2463c4; --c1: #c4551a; --c2: #1d8a5a; --c3: #8a3fb5; --c4: #b0851a; --c5: #5a6472;
  --good: #18794e; --bad: #b42318; }
@media (prefers-color-scheme: dark) { :root { --page: #14161a; --card: #1c1f25; --ink: #e6e8ec; --soft: #9aa3b2;
  --rule: #31363f; --c0: #6ea3f5; --c1: #f0945c; --c2: #56c596; --c3: #c590e8; --c4: #dfb75a; --c5: #a0a9b8;
  --good: #56c596; --bad: #ff8f85; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 2rem 1.25rem 4rem; max-width: 60rem; background: var(--page); color: var(--ink);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; }
h1 { font-size: 1.6rem; margin: 0 0 .25rem; line-height: 1.25; } h2 { font-size: 1.15rem; margin: 2.5rem 0 .75rem; }
.lead { color: var(--soft); margin: 0 0 1.5rem; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(13rem, 1fr)); gap: .9rem; }
.card { background: var(--card); border: 1px solid var(--rule); border-radius: .6rem; padding: .9rem 1.1rem; }
.card h3 { margin: 0; font-size: .85rem; font-weight: 600; color: var(--soft); }
.card .value { font-size: 1.7rem; font-weight: 650; font-variant-numeric: tabular-nums; line-height: 1.35; }
.card p { margin: 0; font-size: .85rem; color: var(--soft); }
.good { color: var(--good); } .bad { color: var(--bad); }
figure { margin: 0 0 1.25rem; background: var(--card); border: 1px solid var(--rule); border-radius: .6rem;
  padding: 1rem 1.1rem .7rem; } figcaption { font-weight: 600; margin-bottom: .4rem; }
svg { max-width: 100%; height: auto; vertical-align: middle; } .grid line { stroke: var(--rule); }
.grid text { fill: var(--soft); font-size: 12px; font-variant-numeric: tabular-nums; }
.line { fill: none; stroke-width: 2.2; stroke-linejoin: round; stroke-linecap: round; } .dashed { stroke-dasharray: 6 6; opacity: .8; }
.line.c0 { stroke: var(--c0); } .line.c1 { stroke: var(--c1); } .line.c2 { stroke: var(--c2); }
.line.c3 { stroke: var(--c3); } .line.c4 { stroke: var(--c4); } .line.c5 { stroke: var(--c5); }
circle.c0 { fill: var(--c0); } circle.c1 { fill: var(--c1); } circle.c2 { fill: var(--c2); }
circle.c3 { fill: var(--c3); } circle.c4 { fill: var(--c4); } circle.c5 { fill: var(--c5); }
.legend { margin: .3rem 0; font-size: .85rem; color: var(--soft); } .legend span { margin-right: 1.1rem; white-space: nowrap; }
.scroll { overflow-x: auto; } table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; font-size: .92rem; }
caption { text-align: left; color: var(--soft); padding-bottom: .3rem; }
th, td { padding: .38rem .7rem; text-align: right; border-bottom: 1px solid var(--rule); white-space: nowrap; }
th:first-child, td:first-child { text-align: left; padding-left: 0; } thead th { color: var(--soft); font-weight: 600; }
tr.chosen { font-weight: 650; } td.text { white-space: normal; text-align: left; }
details { margin: .5rem 0; } summary { cursor: pointer; color: var(--soft); font-size: .9rem; }
pre { background: var(--card); border: 1px solid var(--rule); border-radius: .6rem; padding: 1rem; overflow-x: auto; font-size: .85rem; }
footer { margin-top: 3rem; color: var(--soft); font-size: .85rem; }
)";

constexpr int kColours = 6;
constexpr std::size_t kLossPoints = 90;  // of a curve; each is the mean of its steps
constexpr std::size_t kLongCell = 40;    // a longer one is a sentence: it wraps

std::string percent(double share) { return fmt::format("{:.1f}%", 100 * share); }

std::string points(double difference) {
  const double value = std::round(1000 * difference) / 10;
  return value == 0 ? "0.0" : fmt::format("{:+.1f}", value);
}

std::string accuracy(const std::optional<Evaluation>& evaluation) {
  return evaluation ? percent(evaluation->accuracy) : "–";
}

/// Escaped text that keeps its line ends.
std::string preformatted(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    out += html_escape(text.substr(0, end)) + '\n';
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return out;
}

/// Rows of text cells; the first is the header. `chosen` rows (from 1) are emphasised.
std::string table(const std::vector<std::vector<std::string>>& rows,
                  const std::vector<std::size_t>& chosen = {}) {
  std::string out = "<div class=\"scroll\"><table><thead><tr>";
  for (const std::string& cell : rows.front()) out += "<th>" + html_escape(cell) + "</th>";
  out += "</tr></thead><tbody>\n";
  for (std::size_t i = 1; i < rows.size(); ++i) {
    out += std::ranges::find(chosen, i) == chosen.end() ? "<tr>" : "<tr class=\"chosen\">";
    for (const std::string& cell : rows[i])
      out +=
          (cell.size() > kLongCell ? "<td class=\"text\">" : "<td>") + html_escape(cell) + "</td>";
    out += "</tr>\n";
  }
  return out + "</tbody></table></div>\n";
}

double drop_of(const TaskResult& task) {
  return task.before && task.after ? task.before->accuracy - task.after->accuracy : 0;
}

std::string drop_text(const TaskResult& task) {
  if (!task.before || !task.after) return "–";
  const auto text = [](double drop) {
    return fmt::format("{:.1f}", std::round(1000 * drop) / 10 + 0.0);
  };
  if (!task.paired) return text(drop_of(task));
  return fmt::format("{} [{}, {}]", text(drop_of(task)), text(task.paired->drop_ci95.low),
                     text(task.paired->drop_ci95.high));
}

std::string card(const std::string& name, const std::string& value, const std::string& note,
                 std::string_view tone = "") {
  return fmt::format(
      "<div class=\"card\"><h3>{}</h3><div class=\"value {}\">{}</div><p>{}</p></div>\n",
      html_escape(name), tone, html_escape(value), html_escape(note));
}

std::string task_card(const TaskResult& task, double max_drop, const std::string& more) {
  if (!task.after) return card(task.name, "not measured", "there is no test split");
  const std::string note = (task.before ? "before " + percent(task.before->accuracy) : "") +
                           (task.old ? ", drop " + drop_text(task) + " points" : "") + more;
  std::string_view tone = "";
  if (task.old) tone = drop_of(task) > max_drop ? "bad" : "good";
  return card((task.old ? "Old task: " : "New task: ") + task.name, percent(task.after->accuracy),
              note, tone);
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
    rows.push_back({std::to_string(action.step), percent(action.share), action.why});
  return table(rows);
}

std::string tasks_table(const RunResult& run) {
  std::vector<std::vector<std::string>> rows = {
      {"task", "role", "texts", "before", "after", "drop [95%]", "macro F1", "p (McNemar)"}};
  for (const TaskResult& task : run.tasks)
    rows.push_back({task.name, task.old ? "old" : "new",
                    task.after ? std::to_string(task.after->n) : "–", accuracy(task.before),
                    accuracy(task.after), task.old ? drop_text(task) : "–",
                    task.after ? fmt::format("{:.3f}", task.after->macro_f1) : "–",
                    task.old && task.paired ? fmt::format("{:.2g}", task.paired->mcnemar_p) : "–"});
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

std::string measures(const RunResult& run) {
  std::vector<std::string> said;
  if (run.recipe.replay)
    said.push_back(fmt::format("replay kept {} old texts ({}), {} of each batch at the start",
                               run.replayed, run.recipe.replay->select,
                               percent(run.recipe.replay->share)));
  if (run.recipe.ewc)
    said.push_back(fmt::format(
        "EWC with lambda {:g} on the {} Fisher (normalised: {}; its mean was {:.3g}) was {} of the "
        "loss on average, {} at most",
        run.recipe.ewc->lambda, run.recipe.ewc->fisher, run.recipe.ewc->normalize, run.mean_fisher,
        percent(run.penalty_share), percent(run.max_penalty_share)));
  if (run.recipe.learning_rate.layer_wise())
    said.push_back(fmt::format("learning rates from {:g} at the bottom to {:g} at the top",
                               *run.recipe.learning_rate.bottom,
                               run.recipe.learning_rate.top.value_or(0)));
  if (run.recipe.evaluation.controller)
    said.push_back(fmt::format("the controller acted {} times", run.actions.size()));
  if (said.empty()) return "<p>No measure against forgetting was on.</p>\n";
  std::string out = "<ul>\n";
  for (const std::string& line : said) out += "<li>" + html_escape(line) + "</li>\n";
  return out + "</ul>\n";
}

std::string notices(const RunResult& run) {
  if (run.notices.empty()) return "";
  std::string out = "<h2>Notices</h2>\n<ul>\n";
  for (const std::string& notice : run.notices) out += "<li>" + html_escape(notice) + "</li>\n";
  return out + "</ul>\n";
}

std::string page(const std::string& title, const std::string& lead, const std::string& body,
                 const RunResult& run) {
  return fmt::format(
      "<!DOCTYPE html>\n<html xmlns=\"http://www.w3.org/1999/xhtml\" lang=\"en\">\n<head>\n"
      "<meta charset=\"utf-8\"/>\n<meta name=\"viewport\" content=\"width=device-width, "
      "initial-scale=1\"/>\n<title>{0}</title>\n<style>{1}</style>\n</head>\n<body>\n"
      "<h1>{0}</h1>\n<p class=\"lead\">{2}</p>\n{3}<h2>Recipe</h2>\n"
      "<details><summary>The resolved recipe</summary>\n<pre>{4}</pre></details>\n"
      "<footer>Accuracies before and after are those of the test splits; curves and decisions "
      "during training use the validation splits alone. Intervals are 95%: Wilson for an accuracy, "
      "Newcombe (paired) for a drop.</footer>\n</body>\n</html>\n",
      html_escape(title), kStyle, html_escape(lead), body,
      preformatted(to_toml(run.recipe).dump()));
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
  if (run.recipe.replay) out += share_chart(run) + actions_table(run);
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
  return table(rows, {seed.chosen + 1, rows.size() - 1});
}

std::string worth_table(const SeedComparison& seed) {
  if (seed.leave_one_out.empty()) return "";
  std::vector<std::vector<std::string>> rows = {
      {"measure", "worth on old, points", "on new, points", "predictions changed", "remark"}};
  for (const MeasureWorth& worth : seed.leave_one_out)
    rows.push_back({worth.measure, points(worth.old_accuracy), points(worth.new_accuracy),
                    std::to_string(worth.changed),
                    worth.inert.empty() ? "" : "inert: " + worth.inert});
  return "<h2>What each measure is worth</h2>\n<p>The recipe with it less the recipe without it, "
         "on the test splits.</p>\n" +
         table(rows);
}

std::string seeds_table(const CompareResult& comparison) {
  if (comparison.seeds.size() < 2) return "";
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
  return "<h2>All seeds</h2>\n" + table(rows);
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
          notices(run);
  const std::string title = run.recipe.old.empty()
                                ? "Training " + new_name(run)
                                : "Learning " + new_name(run) + ", keeping " + old_names(run);
  return page(title, facts(run), body, run);
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
               fmt::format("all that the recipe computes against naive's steps and evaluations of "
                           "the new task alone; {}% a token",
                           points(seed.overhead_per_token)));
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
  return page("Learning " + new_name(recipe) + ", keeping " + old_names(recipe), facts(recipe),
              body, recipe);
}

}  // namespace holdfast
