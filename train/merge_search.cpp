#include "train/merge_search.h"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

namespace holdfast {
namespace {

constexpr double kRounding = 1e-12;  // far below one text of any validation set

MergePoint measured(double weight, std::vector<double> accuracy, std::span<const MergeTask> tasks,
                    double retention) {
  if (accuracy.size() != tasks.size()) {
    throw std::invalid_argument(
        fmt::format("[merge search] {} accuracies for {} tasks", accuracy.size(), tasks.size()));
  }
  MergePoint point{.weight = weight, .accuracy = std::move(accuracy)};
  bool any_old = false;
  int fresh = 0;
  for (std::size_t j = 0; j < tasks.size(); ++j) {
    const double now = point.accuracy[j], before = tasks[j].before;
    if (!tasks[j].old) {
      point.gained += now;
      ++fresh;
      continue;
    }
    const double kept = before > 0 ? now / before : 1.0;
    point.retention = any_old ? std::min(point.retention, kept) : kept;
    any_old = true;
    point.allowed &= now >= retention * before - kRounding;
  }
  point.gained /= fresh;
  return point;
}

std::string reason(const MergeSearch& search, double retention) {
  const MergePoint& best = search.best();
  if (search.satisfied) {
    return fmt::format(
        "weight {:.4g}: the best new accuracy ({:.1f}%) of the weights that keep {:.4g}% of every "
        "old task (this one {:.1f}%)",
        best.weight, 100 * best.gained, 100 * retention, 100 * best.retention);
  }
  return fmt::format(
      "weight {:.4g}: no weight keeps {:.4g}% of every old task; this one keeps most ({:.1f}%)",
      best.weight, 100 * retention, 100 * best.retention);
}

}  // namespace

MergeSearch search_weight(const MergeEvaluation& evaluate, std::span<const MergeTask> tasks,
                          const MergeSearchOptions& options) {
  if (!(options.retention >= 0 && options.retention <= 1)) {
    throw std::invalid_argument(
        fmt::format("[merge search] retention is {}, it must be in [0, 1]", options.retention));
  }
  if (options.steps < 1) {
    throw std::invalid_argument(
        fmt::format("[merge search] steps is {}, it must be at least 1", options.steps));
  }
  if (std::none_of(tasks.begin(), tasks.end(), [](const MergeTask& task) { return !task.old; })) {
    throw std::invalid_argument("[merge search] no new task has a validation set to gain on");
  }
  MergeSearch search;
  for (int i = 0; i <= options.steps; ++i) {
    const double weight = static_cast<double>(i) / options.steps;
    search.curve.push_back(measured(weight, evaluate(weight), tasks, options.retention));
  }
  search.satisfied = std::any_of(search.curve.begin(), search.curve.end(),
                                 [](const MergePoint& point) { return point.allowed; });
  const auto worse = [&](const MergePoint& a, const MergePoint& b) {  // the first of equals wins
    if (!search.satisfied) return a.retention < b.retention;
    if (a.allowed != b.allowed) return b.allowed;
    return a.gained < b.gained;
  };
  const auto best = std::max_element(search.curve.begin(), search.curve.end(), worse);
  search.chosen = static_cast<std::size_t>(best - search.curve.begin());
  search.why = reason(search, options.retention);
  return search;
}

}  // namespace holdfast
