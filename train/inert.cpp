#include "train/inert.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>

namespace holdfast {
namespace {

constexpr double kInertShare = 1e-3;  // of the loss; a smaller part of it steers nothing

// The highest share that a term had of task loss plus term.
double highest_share(const RunResult& run, double StepRecord::*term) {
  double highest = 0;
  for (const StepRecord& record : run.ledger) {
    if (record.*term > 0) {
      highest = std::max(highest, record.*term / (record.loss + record.*term));
    }
  }
  return highest;
}

std::string small_term(const char* name, double share) {
  return share < kInertShare
             ? fmt::format("its {} was never more than {:.2g}% of the loss", name, 100 * share)
             : "";
}

template <class Predicate>
bool never(const RunResult& run, const Predicate& predicate) {
  return std::none_of(run.ledger.begin(), run.ledger.end(), predicate);
}

double merge_weight(const RunResult& run) {
  return run.merge ? run.merge->best().weight : run.recipe.merge->weight.value_or(0);
}

}  // namespace

std::string inert_reason(const std::string& measure, const RunResult& run) {
  if (measure == "ewc") {
    return small_term("penalty", run.max_penalty_share);
  }
  if (measure == "controller" && run.actions.empty()) {
    return "no old task dropped far enough for it to act";
  }
  if (measure == "protect" && never(run, [](const StepRecord& r) { return r.at_bound > 0; })) {
    return "no weight ever came to its bound";
  }
  if (measure == "l2") {
    return small_term("penalty", highest_share(run, &StepRecord::l2));
  }
  if (measure == "lwf" || measure == "der++") {
    return small_term("loss", highest_share(run, &StepRecord::distill));
  }
  if (measure == "a-gem" && never(run, [](const StepRecord& r) { return r.projected; })) {
    return "no step went against the memory, so no gradient was turned";
  }
  if (measure == "unfreeze" && !run.ledger.empty() && run.ledger.front().lowest_layer == 0) {
    return "all layers learnt from the first step on";
  }
  if (measure == "merge" && merge_weight(run) == 1) {
    return "the trained model alone was taken: its weight is 1";
  }
  if (measure == "best model" && changes_nothing(measure, run)) {
    return "the last model was the best";
  }
  return "";
}

bool changes_nothing(const std::string& measure, const RunResult& run) {
  return (measure == "controller" && run.actions.empty()) ||
         (measure == "best model" && run.best_step == 0 && !run.stopped_early);
}

}  // namespace holdfast
