// holdfast audit: every formula beside another way to compute it.
#include "audit/audit.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/json.h"
#include "base/version.h"
#include "cli/command.h"
#include "cli/inputs.h"
#include "cli/progress.h"
#include "cli/table.h"
#include "tensor/blas.h"
#include "tensor/cpu.h"

namespace holdfast::cli {
namespace {

struct Options {
  std::string scope = "all", report;
  bool exhaustive = false;
};

std::string number(double x) { return x == 0 ? "0" : fmt::format("{:.2g}", x); }

// JSON has no infinity: null.
Json to_json(const Check& check) {
  return Json::object(
      {{"name", check.name},
       {"equation", check.equation},
       {"source", check.source},
       {"against", check.against},
       {"error", check.missing.empty() && std::isfinite(check.error) ? Json(check.error) : Json()},
       {"bound", check.bound},
       {"unit", check.unit},
       {"family", check.family},
       {"covers", check.covers},
       {"missing", check.missing},
       {"holds", check.holds()}});
}

void print_json(const std::vector<Check>& checks) {
  Json rows = Json::list();
  for (const Check& check : checks) rows.push_back(to_json(check));
  print(rows.dump() + '\n');
}

void print_tables(const std::vector<Check>& checks) {
  std::string out;
  for (std::size_t i = 0; i < checks.size();) {
    Table table({checks[i].family, "error", "bound", "of", ""});
    for (const std::string family = checks[i].family;
         i < checks.size() && checks[i].family == family; ++i) {
      const Check& check = checks[i];
      const bool measured = check.missing.empty();
      table.add({check.name, measured ? number(check.error) : "-", number(check.bound), check.unit,
                 !measured       ? "not measured"
                 : check.holds() ? "ok"
                                 : "WRONG"});
    }
    out += table.text() + '\n';
  }
  for (const Check& check : checks) {
    if (!check.missing.empty()) {
      out += fmt::format("not measured: {}: needs {}\n", check.name, check.missing);
    }
    if (!check.holds()) {
      out += fmt::format("WRONG: {}: {} [{}], against {}\n", check.name, check.equation,
                         check.covers, check.against);
    }
  }
  const auto wrong = std::ranges::count_if(checks, [](const Check& c) { return !c.holds(); });
  out += fmt::format("{} checks, {} beyond their bound\n", checks.size(), wrong);
  print(out);
}

int run(const Options& options, const Common& common) {
  const AuditScope scope = parse_audit_scope(options.scope);
  if (!options.report.empty()) check_output_file(options.report, {}, "--report");
  Progress progress(common.quiet);
  const auto show = [&](std::size_t done, std::size_t total, const std::string& next) {
    progress.update({.phase = "audit",
                     .detail = next,
                     .done = static_cast<std::int64_t>(done),
                     .total = static_cast<std::int64_t>(total)});
  };
  return working([&] {
    const std::vector<Check> checks =
        run_audit({.scope = scope, .exhaustive = options.exhaustive, .progress = show});
    progress.clear();
    common.json ? print_json(checks) : print_tables(checks);
    if (!options.report.empty()) {
      const std::string machine =
          fmt::format("holdfast {}, {}, {}", version(), cpu_name(), gemm_description());
      make_parent(options.report);
      write_file(options.report, audit_html(checks, machine));
    }
    return std::ranges::all_of(checks, &Check::holds) ? kDone : kFailed;
  });
}

}  // namespace

Command add_audit(CLI::App& app, Common& common) {
  auto options = std::make_shared<Options>();
  CLI::App* sub = add_subcommand(
      app, common, "audit",
      "Computes every operation, penalty, schedule, estimator and metric a second way;\n"
      "exit status 1 when an error exceeds its bound",
      "  holdfast audit\n  holdfast audit gradients\n  holdfast audit --report audit.html");
  sub->add_option("scope", options->scope, "gradients, formulas or all")->capture_default_str();
  sub->add_option("--report", options->report, "Page to write: equations and sources too");
  sub->add_flag("--exhaustive", options->exhaustive,
                "Functions of one float at all 2^32 inputs (hours)");
  return {sub, [options, &common] { return run(*options, common); }};
}

}  // namespace holdfast::cli
