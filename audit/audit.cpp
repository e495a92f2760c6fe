#include "audit/audit.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <exception>
#include <iterator>
#include <limits>

#include "audit/case.h"
#include "train/names.h"

namespace holdfast {
namespace {

constexpr std::array kScopes = {std::pair{AuditScope::gradients, "gradients"},
                                std::pair{AuditScope::formulas, "formulas"},
                                std::pair{AuditScope::all, "all"}};

std::vector<audit::Case> all_cases(bool exhaustive) {
  std::vector<audit::Case> cases = audit::elementary_cases(exhaustive);
  for (const auto family :
       {audit::random_cases, audit::operation_cases, audit::fused_cases, audit::model_cases,
        audit::loss_cases, audit::penalty_cases, audit::optimizer_cases, audit::schedule_cases,
        audit::estimator_cases, audit::selection_cases, audit::statistics_cases,
        audit::metric_cases, audit::merge_cases}) {
    std::vector<audit::Case> some = family();
    std::move(some.begin(), some.end(), std::back_inserter(cases));
  }
  return cases;
}

// What throws is wrong, and says so in its row.
Check measured(const audit::Case& one) {
  Check row = one.row;
  if (!row.missing.empty()) return row;
  try {
    audit::Worst worst;
    worst.add(one.measure());
    row.error = worst.value();
  } catch (const std::exception& error) {
    row.error = std::numeric_limits<double>::infinity();
    row.against += std::string(" (") + error.what() + ")";
  }
  return row;
}

}  // namespace

AuditScope parse_audit_scope(std::string_view name) { return parse_in(kScopes, "scope", name); }

std::vector<Check> run_audit(const AuditOptions& options) {
  std::vector<audit::Case> cases = all_cases(options.exhaustive);
  std::erase_if(cases, [&](const audit::Case& one) {
    return options.scope != AuditScope::all && one.scope != options.scope;
  });
  std::vector<Check> checks;
  for (const audit::Case& one : cases) {
    if (options.progress) options.progress(checks.size(), cases.size(), one.row.name);
    checks.push_back(measured(one));
  }
  if (options.progress) options.progress(checks.size(), cases.size(), "");
  return checks;
}

namespace audit {

void Worst::add(double error) {
  value_ = std::isnan(error) ? std::numeric_limits<double>::infinity() : std::max(value_, error);
}

double relative_error(double found, double expected) {
  if (found == expected || (std::isnan(found) && std::isnan(expected))) return 0;
  return std::abs(found - expected) / (expected == 0 ? 1 : std::abs(expected));
}

double relative_error(std::span<const double> found, std::span<const double> expected) {
  if (found.size() != expected.size()) return std::numeric_limits<double>::infinity();
  Worst difference;
  double size = 0;
  for (std::size_t i = 0; i < found.size(); ++i) {
    difference.add(std::abs(found[i] - expected[i]));
    size = std::max(size, std::abs(expected[i]));
  }
  return size > 0 ? difference.value() / size : difference.value();
}

}  // namespace audit
}  // namespace holdfast
