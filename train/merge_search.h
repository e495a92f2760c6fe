// The search of a merge weight on the validation sets of the old tasks and the new one. Tested by
// tests/train/merge_search_test.cpp.
#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <string>
#include <vector>

namespace holdfast {

/// A task with a validation set. `before`: an old task's accuracy before training.
struct MergeTask {
  std::string name;
  bool old = false;
  double before = 0;
};

struct MergePoint {
  double weight = 0;
  std::vector<double> accuracy;  // of each task, in their order
  double gained = 0;             // mean accuracy of the new tasks
  double retention = 1;          // worst old task's accuracy / before; 1 without old tasks
  bool allowed = true;           // every old task keeps enough
};

struct MergeSearch {
  std::vector<MergePoint> curve;  // every weight that was tried, ascending
  std::size_t chosen = 0;         // index into curve
  bool satisfied = true;          // false: no weight keeps enough, the best retention was taken
  std::string why;                // the choice in one line
  const MergePoint& best() const { return curve[chosen]; }
};

struct MergeSearchOptions {
  double retention = 0.95;  // share of its accuracy before that every old task must keep
  int steps = 20;           // weights 0, 1/steps, ..., 1
};

/// Accuracies on the validation sets, in the order of the tasks, of the merge of this weight.
using MergeEvaluation = std::function<std::vector<double>(double weight)>;

/// Tries a grid of weights between the start model (0) and the trained one (1), as accuracy is a
/// step function that a line search may not trust to be smooth. Takes the one of the best accuracy
/// on the new tasks among those with A_j >= retention A_j,before for every old task j (equality
/// allows; rounding below 1e-12 is forgiven); of equals the smaller weight, which changes the start
/// model less. When no weight keeps enough, takes the one of the best worst retention.
/// Throws std::invalid_argument when no task is new, for a retention outside [0, 1], steps below 1,
/// and when `evaluate` answers for another number of tasks.
MergeSearch search_weight(const MergeEvaluation& evaluate, std::span<const MergeTask> tasks,
                          const MergeSearchOptions& options = {});

}  // namespace holdfast
