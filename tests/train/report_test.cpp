#include "train/report.h"

#include <gtest/gtest.h>

#include <cctype>
#include <cmath>
#include <string>
#include <vector>

#include "train/chart.h"

namespace holdfast {
namespace {

constexpr const char* kNasty = "<script>alert(1)</script>";

/// Why `text` is not well-formed XML, as far as a page without CDATA and comments goes; "" when it
/// is: tags balance, attributes are quoted, & begins one of the predefined entities or a number.
std::string xml_error(const std::string& text) {
  std::vector<std::string> open;
  std::size_t at = text.find('\n') + 1;  // after <!DOCTYPE html>
  for (; at < text.size(); ++at) {
    if (text[at] == '&') {
      const std::string entity = text.substr(at, text.find(';', at) + 1 - at);
      if (entity != "&amp;" && entity != "&lt;" && entity != "&gt;" && entity != "&quot;" &&
          entity != "&#39;")
        return "entity " + entity;
    }
    if (text[at] == '>') return "a lone > at " + text.substr(at, 40);
    if (text[at] != '<') continue;
    bool quoted = false;
    std::size_t end = at + 1;
    for (; end < text.size() && (quoted || text[end] != '>'); ++end) {
      if (text[end] == '"') quoted = !quoted;
      if (text[end] == '<') return "< inside a tag at " + text.substr(at, 40);
    }
    const std::string tag = text.substr(at + 1, end - at - 1);
    at = end;
    std::size_t length = tag.starts_with('/') ? 1 : 0;
    while (length < tag.size() && std::isalnum(static_cast<unsigned char>(tag[length]))) ++length;
    if (tag.starts_with('/')) {
      if (open.empty() || "/" + open.back() != tag) return "</" + tag + "> does not close anything";
      open.pop_back();
    } else if (!tag.ends_with('/')) {
      open.push_back(tag.substr(0, length));
    }
  }
  return open.empty() ? "" : open.back() + " is not closed";
}

std::size_t count(const std::string& text, const std::string& part) {
  std::size_t n = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++n;
  return n;
}

Evaluation evaluation(double accuracy) {
  Evaluation out;
  out.n = 200;
  out.accuracy = accuracy;
  out.macro_f1 = accuracy;
  out.labels = {kNasty, "plain & simple"};
  out.per_class = {{100, 0.5, 0.25, 1.0 / 3}, {100, 1, 1, 1}};
  return out;
}

RunResult run_of(double old_after, double new_after) {
  RunResult run;
  run.recipe.model = "models/\"quoted\"";
  run.recipe.output = "runs/<here>";
  run.recipe.fresh.name = "medical";
  run.recipe.old.push_back({});
  run.recipe.old.front().name = kNasty;
  run.recipe.replay.emplace();
  run.recipe.ewc.emplace();
  run.recipe.learning_rate.bottom = 1e-5;
  run.recipe.learning_rate.top = 5e-4;
  run.recipe.evaluation.controller = true;
  run.steps = 30;
  TaskResult old_task, new_task;
  old_task.name = kNasty;
  old_task.old = true;
  old_task.before = evaluation(0.9);
  old_task.after = evaluation(old_after);
  old_task.paired = PairedResult{0.9 - old_after, {0.01, 0.07}, 0.02, 9};
  new_task.name = "medical";
  new_task.before = evaluation(0.25);
  new_task.after = evaluation(new_after);
  run.tasks = {old_task, new_task};
  for (int step = 0; step <= 30; step += 10)
    run.curve.push_back(
        {step, 0.2, {{kNasty, 0.9 - step * 0.001, 0.3}, {"medical", 0.25 + step * 0.02, 0.9}}});
  for (int step = 1; step <= 30; ++step) {
    StepRecord record;
    record.step = step;
    record.loss = 1.4 / step;
    record.penalty = 0.01;
    record.share = step < 20 ? 0.2 : 0.24;
    run.ledger.push_back(record);
  }
  run.actions.push_back({20, 0.24, kNasty});
  run.notices.push_back(kNasty);
  return run;
}

CompareResult comparison() {
  CompareResult result;
  for (const std::int64_t number : {7, 8}) {
    SeedComparison seed;
    seed.seed = number;
    seed.naive = {run_of(0.7, 0.8), run_of(0.6, 0.86)};
    seed.chosen = 1;
    seed.recipe = run_of(0.87, 0.85);
    seed.leave_one_out.push_back({"replay", run_of(0.7, 0.86), 0.17, -0.01, 40, ""});
    seed.leave_one_out.push_back({"ewc", run_of(0.87, 0.85), 0, 0, 0, "the penalty is too small"});
    seed.overhead = 0.18;
    result.seeds.push_back(seed);
  }
  return result;
}

void expect_sound(const std::string& page) {
  EXPECT_EQ(xml_error(page), "");
  EXPECT_EQ(page.find("<script"), std::string::npos);
  EXPECT_NE(page.find("&lt;script&gt;alert(1)&lt;/script&gt;"), std::string::npos);
  for (const char* reference : {"src=", "href=", "url(", "@import"})
    EXPECT_EQ(page.find(reference), std::string::npos) << reference;
  EXPECT_EQ(count(page, "role=\"img\""), 2 * count(page, "<figure>"));  // wide and narrow
  EXPECT_EQ(count(page, "<figure>"), count(page, "<caption>"));         // a table for each chart
  EXPECT_NE(page.find("prefers-color-scheme: dark"), std::string::npos);
}

TEST(Report, OfARunIsSafeAndWellFormed) {
  const std::string page = report_html(run_of(0.86, 0.88));
  expect_sound(page);
  EXPECT_NE(page.find("4.0 [1.0, 7.0]"), std::string::npos);  // the drop with its interval
  EXPECT_NE(page.find("88.0%"), std::string::npos);
  EXPECT_EQ(page.find("dashed\" points"), std::string::npos);
}

TEST(Report, DrawsNoRealLossInGreen) {
  const auto card_of_old = [](double after, Interval ci95) {
    RunResult run = run_of(after, 0.88);
    run.tasks[0].paired->drop_ci95 = ci95;
    const std::string page = report_html(run);
    const std::size_t at = page.find("<div class=\"value");
    return page.substr(at, page.find('>', at) - at);
  };
  EXPECT_EQ(card_of_old(0.89, {-0.01, 0.03}), "<div class=\"value good\"");
  EXPECT_EQ(card_of_old(0.87, {0.01, 0.05}), "<div class=\"value \"");
  EXPECT_EQ(card_of_old(0.80, {0.06, 0.14}), "<div class=\"value bad\"");
}

TEST(Report, OfAComparisonShowsBothArmsAndEveryMeasure) {
  const std::string page = report_html(comparison());
  expect_sound(page);
  EXPECT_EQ(count(page, "dashed\" points"), 4u);  // naive, two tasks, drawn wide and narrow
  EXPECT_NE(page.find("medical, naive"), std::string::npos);
  EXPECT_NE(page.find("+18.0%"), std::string::npos);
  EXPECT_NE(page.find("did nothing: the penalty is too small"), std::string::npos);
  EXPECT_NE(page.find("Over 2 seeds"), std::string::npos);
  EXPECT_NE(page.find("worth +27.0 [+27.0, +27.0] points on the old"), std::string::npos);
  EXPECT_NE(page.find("<td>recipe</td><td>87.0 [87.0, 87.0]</td>"), std::string::npos);
}

TEST(Report, TellsWhatTheRarerMeasuresDid) {
  RunResult run = run_of(0.86, 0.88);
  run.recipe.protect.emplace();
  run.recipe.gradient.emplace();
  run.recipe.merge.emplace().method = "linear";
  run.protected_weights = 1234;
  run.ledger.back().at_bound = 56;
  run.ledger[3].projected = true;
  run.best_step = 20;
  run.merge.emplace().curve = {{0, {0.9, 0.3}}, {0.5, {0.89, 0.8}}, {1, {0.7, 0.9}}};
  run.merge->chosen = 1;
  run.merge->why = kNasty;
  const std::string page = report_html(run);
  expect_sound(page);
  for (const char* part :
       {"1234 weights were protected (clamp); 56 were at their bound",
        "A-GEM turned the gradient in 1 of 30 steps", "weight 0.5 as found on validation",
        "the model after step 20 was the best", "Validation accuracy by weight"})
    EXPECT_NE(page.find(part), std::string::npos) << part;
}

TEST(Report, OfAComparisonShowsTheBounds) {
  CompareResult result = comparison();
  EXPECT_EQ(report_html(result).find("joint"), std::string::npos);
  result.seeds.front().bounds = Bounds{run_of(0.89, 0.9), {{run_of(0.9, 0.4)}, 0}};
  const std::string page = report_html(result);
  expect_sound(page);
  EXPECT_NE(page.find("joint: all texts"), std::string::npos);
  EXPECT_NE(page.find("frozen encoder"), std::string::npos);
}

AblateResult ablation(std::size_t seeds) {
  AblateResult result;
  for (const double gain : {0.0, 0.05, 0.2}) {
    AblationArm& arm = result.arms.emplace_back();
    arm.name = gain == 0.05 ? kNasty : "arm";
    for (std::size_t seed = 0; seed < seeds; ++seed) {
      AblationRun run;
      run.run = run_of(0.7 + gain, 0.8);
      run.old_accuracy = 0.7 + gain;
      run.new_accuracy = 0.97 + 0.01 * static_cast<double>(seed);
      run.old_gain = gain + 0.01 * static_cast<double>(seed);
      arm.runs.push_back(run);
    }
    summarise(arm);
  }
  for (std::size_t seed = 0; seed < seeds; ++seed)
    result.seeds.push_back(7 + static_cast<std::int64_t>(seed));
  return result;
}

void expect_sound_arms(const std::string& page) {
  EXPECT_EQ(xml_error(page), "");
  EXPECT_EQ(page.find("<script"), std::string::npos);
  EXPECT_NE(page.find("&lt;script&gt;alert(1)&lt;/script&gt;"), std::string::npos);
  EXPECT_EQ(count(page, "role=\"img\""), 2u);
}

TEST(Report, OfAnAblationShowsEveryArm) {
  const std::string page = report_html(ablation(2));
  expect_sound_arms(page);
  EXPECT_EQ(count(page, "<circle"), 6u);
  EXPECT_NE(page.find("+5.5 [-0.9, +11.9]"), std::string::npos);  // 0.055 -+ 12.71 * 0.005
  EXPECT_NE(page.find("97.5 [91.1, 100.0]"), std::string::npos);  // no share is above 1
  EXPECT_NE(page.find("paired by seed"), std::string::npos);
  EXPECT_NE(report_html(ablation(1)).find("no interval over seeds"), std::string::npos);
}

TEST(Report, OfASearchShowsFrontChoiceAndFailures) {
  SearchResult search;
  search.recipe = run_of(0.9, 0.8).recipe;
  search.recipe.search.emplace().grid = {{kNasty, {Toml(1), Toml(2), Toml(3)}}};
  for (int i = 0; i < 3; ++i) {
    SearchPoint& point = search.points.emplace_back();
    point.values = {{kNasty, Toml(i)}};
    point.outcome = {0.8 + 0.01 * i, 0.99 - 0.02 * i, i == 2};
    point.rung = i == 1 ? 1 : 0;
  }
  search.points[2].failure = "the loss is not finite";
  search.rungs = {{3, 2}, {1, 1}};
  search.chosen = 1;
  search.satisfied = true;
  search.best = run_of(0.9, 0.8);
  const std::string page = report_html(search);
  expect_sound_arms(page);
  EXPECT_EQ(count(page, "<circle"), 4u);
  EXPECT_EQ(count(page, "class=\"line c5\""), 2u);  // the hollow one
  EXPECT_NE(page.find("failed: the loss is not finite"), std::string::npos);
  EXPECT_NE(page.find("left behind"), std::string::npos);
  EXPECT_NE(page.find(">chosen<"), std::string::npos);
}

TEST(Report, OfARunWithoutOldTasksTestsOrSteps) {
  RunResult run;
  run.recipe.fresh.name = kNasty;
  run.tasks.emplace_back();
  run.tasks.back().name = kNasty;
  EXPECT_EQ(xml_error(report_html(run)), "");
  EXPECT_NE(report_html(run).find("not measured"), std::string::npos);
}

TEST(Chart, LeavesOutWhatIsNotFinite) {
  Chart chart{"loss",
              "step",
              false,
              {{"a", 0, false, false, {{1, 2.0}, {2, NAN}, {3, INFINITY}, {4, 1.0}}}}};
  const std::string figure = chart_html(chart);
  EXPECT_EQ(figure.find("nan"), std::string::npos);
  EXPECT_EQ(figure.find("inf"), std::string::npos);
  EXPECT_EQ(count(figure, "<circle"), 4u);
  EXPECT_NE(chart_html({"empty", "step", false, {}}).find("No data."), std::string::npos);
}

TEST(Chart, PointsLieWithinTheDrawing) {
  Chart chart{"accuracy", "step", true, {{"a", 0, false, false, {{0, 0.0}, {10, 1.0}}}}};
  for (const char* points : {"52.0,260.0 784.0,14.0", "52.0,220.0 364.0,14.0"})
    EXPECT_NE(chart_html(chart).find(points), std::string::npos) << chart_html(chart);
}

TEST(Chart, ThinnedKeepsMeansAndTheLastStep) {
  std::vector<std::pair<double, double>> points;
  for (int i = 1; i <= 10; ++i) points.emplace_back(i, i);
  const std::vector<std::pair<double, double>> wanted = {{3, 2}, {6, 5}, {9, 8}, {10, 10}};
  EXPECT_EQ(thinned(points, 4), wanted);
  EXPECT_EQ(thinned(points, 10), points);
}

TEST(HtmlEscape, MarksControlCharactersAndQuotes) {
  EXPECT_EQ(html_escape("a<b>&\"c'\x1b"), "a&lt;b&gt;&amp;&quot;c&#39;\\e");
}

}  // namespace
}  // namespace holdfast
