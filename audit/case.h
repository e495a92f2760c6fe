// What the audit's table is made of: rows with the function that measures them, a family a file.
#pragma once

#include <functional>
#include <limits>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "audit/audit.h"
#include "audit/reference/instruction_sets.h"

namespace holdfast::audit {

struct Case {
  Check row;
  AuditScope scope = AuditScope::formulas;
  std::function<double()> measure;  // the error
};

/// Rows of one family.
class Family {
 public:
  explicit Family(std::string name) : name_(std::move(name)) {}
  /// What a row says; `row.family` is filled in here.
  void formula(Check row, std::function<double()> error) {
    add(std::move(row), AuditScope::formulas, std::move(error));
  }
  void gradient(Check row, std::function<double()> error) {
    add(std::move(row), AuditScope::gradients, std::move(error));
  }
  /// A formula's row, member by member.
  void row(std::string name, std::string equation, std::string source, std::string against,
           std::string covers, double bound, std::function<double()> error,
           std::string unit = "relative") {
    formula({.name = std::move(name),
             .equation = std::move(equation),
             .source = std::move(source),
             .against = std::move(against),
             .covers = std::move(covers),
             .unit = std::move(unit),
             .bound = bound},
            std::move(error));
  }
  std::vector<Case> take() { return std::move(cases_); }

 private:
  void add(Check row, AuditScope scope, std::function<double()> error) {
    row.family = name_;
    if (row.unit.empty()) row.unit = "relative";
    cases_.push_back({std::move(row), scope, std::move(error)});
  }
  std::string name_;
  std::vector<Case> cases_;
};

/// The largest of several errors; NaN counts as infinite.
class Worst {
 public:
  void add(double error);
  double value() const { return value_; }

 private:
  double value_ = 0;
};

/// |found - expected| / |expected|; |found| where 0 is expected. Equal infinities and NaNs are 0
/// apart.
double relative_error(double found, double expected);
/// max |found - expected| / max |expected|; infinite for different lengths.
double relative_error(std::span<const double> found, std::span<const double> expected);
/// 0 when they are equal, infinite otherwise: for what must be right to the last bit or item.
template <class T>
double unequal(const T& found, const T& expected) {
  return found == expected ? 0.0 : std::numeric_limits<double>::infinity();
}

/// The largest error over the instruction sets of this machine.
template <class Measure>
double on_every_isa(const Measure& measure) {
  const reference::KeepMachine keep;
  Worst worst;
  for (const Isa isa : reference::instruction_sets()) {
    set_isa(isa);
    worst.add(measure());
  }
  return worst.value();
}

std::vector<Case> elementary_cases(bool exhaustive);
std::vector<Case> operation_cases();
std::vector<Case> fused_cases();
std::vector<Case> model_cases();
std::vector<Case> loss_cases();
std::vector<Case> penalty_cases();
std::vector<Case> optimizer_cases();
std::vector<Case> schedule_cases();
std::vector<Case> estimator_cases();
std::vector<Case> selection_cases();
std::vector<Case> statistics_cases();
std::vector<Case> metric_cases();
std::vector<Case> merge_cases();
std::vector<Case> random_cases();

}  // namespace holdfast::audit
