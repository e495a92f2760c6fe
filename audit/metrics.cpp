// What is measured of a run and decided from it, beside sums written out.
#include <algorithm>
#include <cmath>

#include "audit/case.h"
#include "audit/reference/random_tensor.h"
#include "audit/reference/small_arena.h"
#include "audit/reference/tiny_classifier.h"
#include "audit/reference/wilson.h"
#include "train/continual.h"
#include "train/controller.h"
#include "train/drift.h"
#include "train/evaluate.h"
#include "train/search_rule.h"

namespace holdfast::audit {
namespace {

using Vector = std::vector<double>;

// Every measure over whole and incomplete matrices, by its sum written out.
double sequences() {
  const AccuracyMatrix full = {{0.90, 0.30, 0.25}, {0.92, 0.95, 0.40}, {0.60, 0.90, 0.80}},
                       gaps = {{0.90}, {kGap, 0.95}, {0.60, kGap, 0.80}},
                       none = {{0.0}, {0.5, 0.7}};
  const Vector untrained = {0.25, 0.20, 0.35};
  const ContinualSummary f = summarize(full, untrained), g = summarize(gaps, untrained),
                         z = summarize(none);
  Worst worst;
  const auto equal = [&](const std::optional<double>& found, double expected) {
    worst.add(found ? relative_error(*found, expected) : 1);
  };
  equal(f.average_accuracy, (0.60 + 0.90 + 0.80) / 3);
  equal(f.backward_transfer, ((0.60 - 0.90) + (0.90 - 0.95)) / 2);
  equal(f.forward_transfer, ((0.30 - 0.20) + (0.40 - 0.35)) / 2);
  equal(f.forgetting, ((0.92 - 0.60) + (0.95 - 0.90)) / 2);
  equal(f.retention, 0.60 / 0.90);
  equal(f.worst_retention, 0.60 / 0.90);
  equal(f.worst_accuracy, 0.60);
  equal(g.backward_transfer, 0.60 - 0.90);
  equal(g.forgetting, 0.90 - 0.60);
  equal(g.worst_accuracy, 0.60);
  equal(z.retention, 1);
  equal(z.worst_retention, 1);
  equal(z.worst_accuracy, 0);
  worst.add(g.average_accuracy || g.forward_transfer ? 1 : 0);
  return worst.value();
}

double drift() {
  const ParameterArena old = small_arena(1, DType::f64, 130), now = small_arena(1, DType::f64, 130);
  const Vector d = reference::random_tensor(old.values().shape(), 4, -0.3, 0.3).to_vector();
  for (std::size_t i = 0; i < d.size(); ++i) now.values().data<double>()[i] += d[i];
  const Vector x = now.values().to_vector(), y = old.values().to_vector();
  Worst worst;
  std::size_t row = 0;
  const std::vector<TensorDrift> found = measure_tensor_drift(now, old, 0.25);
  for (const NamedSlice& slice : now.slices()) {
    double moved = 0, norm = 0, largest = 0;
    std::int64_t beyond = 0;
    for (auto i = static_cast<std::size_t>(slice.offset);
         i < static_cast<std::size_t>(slice.offset + slice.size); ++i) {
      const double step = std::abs(x[i] - y[i]);
      moved += step * step, norm += y[i] * y[i], largest = std::max(largest, step),
                                                 beyond += step > 0.25 * std::abs(y[i]);
    }
    const TensorDrift& one = found.at(row++);
    worst.add(relative_error(one.moved, std::sqrt(moved)));
    worst.add(relative_error(one.relative(), std::sqrt(moved / norm)));
    worst.add(relative_error(one.largest, largest));
    worst.add(relative_error(one.share_beyond(),
                             static_cast<double>(beyond) / static_cast<double>(slice.size)));
  }
  return worst.value();
}

// Drops just below, at and above the limit; growth up to the largest share; the paired gate.
double controller() {
  Worst worst;
  worst.add(unequal(std::array{dropped_too_far(90, 85, 100, 0.05, DropKind::absolute),
                               dropped_too_far(90, 84, 100, 0.05, DropKind::absolute),
                               dropped_too_far(80, 76, 100, 0.05, DropKind::relative),
                               dropped_too_far(80, 75, 100, 0.05, DropKind::relative),
                               dropped_too_far(85, 90, 100, 0.05, DropKind::absolute)},
                    std::array{false, true, false, true, false}));
  const auto outcome = [](std::int64_t right, std::int64_t n) {
    TaskOutcome task{"old", std::vector<std::uint8_t>(static_cast<std::size_t>(n), 0)};
    std::fill_n(task.correct.begin(), right, std::uint8_t{1});
    return task;
  };
  BalanceController control({.max_drop = 0.05, .boost = 1.2, .max_share = 0.5}, 0.3,
                            {outcome(90, 100)});
  double share = 0.3;
  for (const std::int64_t right : {90, 85, 84, 60, 60, 60, 95}) {
    const BalanceDecision found = control.evaluate({outcome(right, 100)});
    const double next = right < 85 ? std::min(0.5, share * 1.2) : share;
    worst.add(relative_error(found.share, next));
    worst.add(unequal(found.acted, next > share));
    share = next;
  }
  for (const DropKind kind : {DropKind::absolute, DropKind::relative}) {
    for (std::int64_t right = 90; right > 60;
         right -= 2) {  // the gate opens where the interval lies beyond
      BalanceController gated({.max_drop = 0.05, .drop = kind, .gate = Gate::paired}, 0.3,
                              {outcome(90, 100)});
      const double low = newcombe_paired_interval({right, 90 - right, 0, 10}).low /
                         (kind == DropKind::absolute ? 1.0 : 0.9);
      worst.add(unequal(gated.evaluate({outcome(right, 100)}).acted, low > 0.05));
    }
  }
  return worst.value();
}

// A model's answers, from its logits one text at a time.
double evaluation() {
  Model model = tiny_model(DType::f64);
  const Head& head = model.heads()[0];
  const std::vector<Sample> samples = texts(23, 3);
  const Evaluation found = evaluate(model, head, samples, {}, 40);
  const Vector p = probabilities(model, head, samples, {}, 40),
               z = logits_of(model, head, samples, {}, 40);
  double loss = 0, right = 0;
  Worst worst;
  for (std::size_t n = 0; n < samples.size(); ++n) {
    const TokenSpan text{samples[n].ids, samples[n].type_ids, 0};
    const Vector logits =
        model.logits(model.pool(pack(std::span(&text, 1))), head).value().to_vector();
    double total = 0;
    for (const double x : logits) total += std::exp(x);
    const auto label = static_cast<std::size_t>(samples[n].label);
    loss -= std::log(std::exp(logits[label]) / total) / 23;
    right += std::ranges::max_element(logits) - logits.begin() == samples[n].label;
    for (std::size_t k = 0; k < 3; ++k) {
      worst.add(std::abs(p[3 * n + k] - std::exp(logits[k]) / total));
      worst.add(std::abs(z[3 * n + k] - logits[k]));
    }
  }
  worst.add(relative_error(found.loss, loss));
  worst.add(relative_error(found.accuracy, right / 23));
  const Interval wilson = reference::wilson(static_cast<std::int64_t>(right), 23);
  worst.add(relative_error(found.ci95.low, wilson.low));
  worst.add(relative_error(found.ci95.high, wilson.high));
  return worst.value();
}

double search() {
  const std::vector<PointOutcome> points{
      {0.9, 0.94, false}, {0.8, 0.99, false}, {0.85, 0.96, false},        {0.85, 0.97, false},
      {0.99, 0.5, true},  {0.7, 0.90, false}, {0.84, 0.95 - 1e-13, false}};
  Worst worst;
  worst.add(unequal(ranked(points, 0.95), std::vector<std::size_t>{3, 2, 6, 1, 0, 5, 4}));
  worst.add(unequal(pareto_front(points),
                    std::vector<bool>{true, true, false, true, false, false, false}));
  std::vector<std::array<std::int64_t, 2>> rungs;
  for (const Rung& rung : halving_plan(20, 3, 100)) rungs.push_back({rung.points, rung.divisor});
  worst.add(unequal(rungs, {{20, 9}, {6, 3}, {2, 1}}));
  return worst.value();
}

}  // namespace

std::vector<Case> metric_cases() {
  Family family("metrics");
  const std::string continual = "train/continual.h: ";
  family.row("continual learning", "ACC, BWT, FWT, forgetting, retention",
             "Lopez-Paz & Ranzato 2017; Chaudhry et al. 2018", "sums written out, with gaps",
             continual + "average_accuracy, " + continual + "backward_transfer, " + continual +
                 "forward_transfer, " + continual + "forgetting, " + continual + "retention, " +
                 continual + "worst_retention, " + continual + "worst_accuracy, " + continual +
                 "summarize",
             1e-14, sequences);
  family.row("drift", "||theta - theta_old|| / ||theta_old||", "definition", "loops in double",
             "train/drift.h: measure_tensor_drift", 1e-13, drift);
  family.row("balance controller",
             "share <- min(max_share, boost share) when a task dropped by more than max_drop",
             "definition", "both sides of every limit",
             "train/controller.h: dropped_too_far, train/controller.h: BalanceController", 1e-15,
             controller);
  family.row(
      "evaluation", "mean of -log p(label); share of argmax = label", "definition",
      "one text at a time",
      "train/evaluate.h: evaluate, train/evaluate.h: probabilities, train/evaluate.h: logits_of",
      1e-12, evaluation);
  family.row("search", "order by gain among those that retain; Pareto front; halving",
             "Jamieson & Talwalkar 2016", "by hand",
             "train/search_rule.h: ranked, train/search_rule.h: pareto_front, train/search_rule.h: "
             "halving_plan, "
             "train/search_rule.h: satisfies",
             0, search, "exact");
  return family.take();
}

}  // namespace holdfast::audit
