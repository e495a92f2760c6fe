// The audit: every operation, fused kernel, loss, penalty, schedule, optimizer, estimator and
// metric beside another way to compute it, in double precision. `holdfast audit` prints the table
// and tests/audit is the same table. Tested by tests/audit.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace holdfast {

/// gradients: backward passes against finite differences; formulas: everything else.
enum class AuditScope { gradients, formulas, all };
/// Throws std::invalid_argument naming the known ones.
AuditScope parse_audit_scope(std::string_view name);

/// A row: what was computed two ways, and how far the two are apart.
struct Check {
  std::string family{};    // "operations", "penalties", ...
  std::string name{};      // "softmax, value"
  std::string equation{};  // in plain text
  std::string source{};    // a paper or textbook; "definition" where there is nothing to cite
  std::string against{};   // the other way, and on what inputs
  std::string covers{};    // declarations: "autograd/ops.h: softmax"; several joined by ", "
  std::string unit{};      // of error and bound: "relative", "ulp", "absolute"
  double error = 0;       // the largest found; infinite when a value was not finite or a call threw
  double bound = 0;       // promised
  std::string missing{};  // what this machine lacks to measure it; empty: it was measured
  bool holds() const { return error <= bound; }
};

struct AuditOptions {
  AuditScope scope = AuditScope::all;
  bool exhaustive = false;  // functions of one float at all 2^32 inputs, instead of each 1009th
  /// Called before every row and once at the end, in the caller's thread; may throw to stop.
  std::function<void(std::size_t done, std::size_t total, const std::string& next)> progress{};
};

/// Measures every row of the scope, in a fixed order; a pure function of the options, on the
/// instruction sets of this machine, each in turn.
std::vector<Check> run_audit(const AuditOptions& options = {});

/// The table as a page of its own, in the style of report.html: equations and sources too.
std::string audit_html(const std::vector<Check>& checks, std::string_view machine);

}  // namespace holdfast
