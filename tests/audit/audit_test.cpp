// The audit's table as a test, and that it is whole: every declared operation and formula has a
// row.
#include "audit/audit.h"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <limits>
#include <map>
#include <regex>
#include <set>
#include <sstream>

#include "audit/case.h"
#include "audit/reference/twins.h"
#include "audit/reference/ulps.h"
#include "audit/value_cases.h"
#include "tensor/blas.h"
#include "tests/reference/expect_error.h"

namespace holdfast {
namespace {

namespace fs = std::filesystem;

const std::vector<Check>& table() {
  static const std::vector<Check> checks = run_audit();
  return checks;
}

TEST(Audit, EveryCheckHolds) {
  for (const Check& check : table()) {
    EXPECT_TRUE(check.holds()) << check.family << ", " << check.name << ": error " << check.error
                               << ", bound " << check.bound << " against " << check.against;
  }
}

TEST(Audit, EveryRowSaysWhatItIs) {
  std::set<std::string> names;
  for (const Check& check : table()) {
    EXPECT_TRUE(names.insert(check.family + "/" + check.name).second) << check.name << " twice";
    for (const std::string* text : {&check.name, &check.equation, &check.source, &check.against,
                                    &check.covers, &check.unit}) {
      EXPECT_FALSE(text->empty()) << check.name;
    }
    EXPECT_TRUE(check.bound >= 0) << check.name;
  }
}

TEST(Audit, GradientsAndFormulasTogetherAreAll) {
  std::size_t rows = 0;
  for (const AuditScope scope : {AuditScope::gradients, AuditScope::formulas}) {
    std::size_t last = 0;
    struct Stop {};
    AuditOptions options{.scope = scope};
    options.progress = [&](std::size_t, std::size_t total, const std::string&) {
      last = total;
      throw Stop();
    };
    EXPECT_THROW(run_audit(options), Stop);
    rows += last;
  }
  EXPECT_EQ(rows, table().size());
  expect_error<std::invalid_argument>("scope", "known: \"gradients\"",
                                      [] { parse_audit_scope("everything"); });
}

// What may not be hidden: NaN, infinity, another length, and a call that throws.
TEST(Audit, ErrorsThatAreNoNumbersAreBeyondEveryBound) {
  constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
  audit::Worst worst;
  worst.add(kNan);
  worst.add(0);
  EXPECT_TRUE(std::isinf(worst.value()));
  EXPECT_FALSE((Check{.error = kNan, .bound = 1}).holds());
  EXPECT_TRUE(std::isinf(audit::relative_error(std::vector<double>{1}, std::vector<double>{1, 2})));
  EXPECT_TRUE(
      std::isinf(audit::relative_error(std::vector<double>{kNan, 1}, std::vector<double>{2, 1})));
  EXPECT_EQ(audit::relative_error(3, 2), 0.5);
  EXPECT_EQ(audit::relative_error(3, 0), 3);
  EXPECT_EQ(audit::relative_error(std::vector<double>{3, 8}, std::vector<double>{2, 8}), 0.125);
}

TEST(Audit, ValuesThatAreNoNumbersAreBeyondEveryBound) {
  for (const std::size_t place : {0, 1, 2}) {
    const ValueCase one{"sum",
                        {Tensor::zeros({3}, DType::f64)},
                        [place](const std::vector<Var>& x) {
                          const Tensor y = x[0].value().clone();
                          y.data<double>()[place] = std::numeric_limits<double>::quiet_NaN();
                          return Var(y);
                        },
                        [](const std::vector<reference::Array>& x) { return x[0]; }};
    EXPECT_TRUE(std::isinf(value_error(one, DType::f64))) << place;
    const Tensor numbers = one.inputs[0], y = one.function({Var(numbers)}).value();
    EXPECT_TRUE(std::isinf(difference(y, numbers)));
    EXPECT_TRUE(std::isinf(difference(numbers, y)));
  }
}

TEST(Audit, DistancesInUnitsOfTheLastPlace) {
  EXPECT_EQ(reference::ulps(1.0f, 1.0), 0);
  EXPECT_EQ(reference::ulps(std::nextafter(1.0f, 2.0f), 1.0), 1);
  EXPECT_EQ(reference::ulps(3e-45f, 0.0), 2);  // the least number is 2^-149
  EXPECT_EQ(reference::ulps(5e-324, 0.0L), 1);
  EXPECT_TRUE(std::isinf(reference::ulps(-0.0f, 0.0)));
  EXPECT_TRUE(std::isinf(reference::ulps(1.0f, std::nan(""))));
  EXPECT_EQ(reference::ulps(std::nanf(""), std::nan("")), 0);
}

// What this machine cannot measure is neither right nor wrong.
TEST(Audit, SaysWhatItCouldNotMeasure) {
  for (const Check& check : table()) {
    EXPECT_EQ(check.missing, check.name == "linear in bf16" ? missing_for_bf16() : "")
        << check.name;
  }
}

// "header: name", as rows say what they cover.
std::set<std::string> covered() {
  std::set<std::string> out;
  for (const Check& check : table()) {
    std::istringstream parts(check.covers);
    for (std::string part; std::getline(parts, part, ',');) {
      out.insert(part.substr(part.find_first_not_of(' ')));
    }
  }
  return out;
}

// Functions and classes declared at the left edge of a header, without those of nested scopes.
std::set<std::string> declared(const std::string& header) {
  std::ifstream in(fs::path(HOLDFAST_SOURCE) / header);
  EXPECT_TRUE(in.good()) << header;
  const std::regex function(R"(^(?:inline |constexpr )*[A-Za-z_][\w:<>,\*& ]*[ &\*]([a-z_]\w*)\()"),
      type(R"(^(?:class|struct) (\w+)(?: :.*)? \{)");
  std::set<std::string> names;
  for (std::string line; std::getline(in, line);) {
    std::smatch match;
    if (std::regex_search(line, match, function) || std::regex_search(line, match, type)) {
      names.insert(match[1]);
    }
  }
  return names;
}

TEST(Audit, EveryOperationHasARow) {
  const std::set<std::string> rows = covered();
  // The packing is a description, Bf16Products covers what linear() does within it; Tf32Products
  // are a GPU's (tests/cuda), and the audit computes on the CPU.
  const std::set<std::string> no_formula{"Packing", "Tf32Products"};
  for (const char* header : {"autograd/ops.h", "autograd/fused.h"}) {
    const std::set<std::string> names = declared(header);
    EXPECT_GT(names.size(), 5U) << header;
    for (const std::string& name : names) {
      if (no_formula.contains(name)) continue;
      EXPECT_TRUE(rows.contains(std::string(header) + ": " + name))
          << header << " declares " << name << ", which no row of the audit covers";
    }
  }
}

// Headers of train/ that hold formulas, with what in them is none: names, records, files.
const std::map<std::string, std::set<std::string>>& formula_headers() {
  static const std::map<std::string, std::set<std::string>> headers{
      {"continual.h", {"ContinualSummary", "SeedSummary"}},
      {"controller.h",
       {"name_of", "parse_drop_kind", "parse_gate", "ControllerOptions", "TaskOutcome",
        "BalanceDecision"}},
      {"distill.h", {}},
      {"drift.h", {"TensorDrift"}},
      {"evaluate.h", {"Evaluation", "to_json"}},
      {"fisher.h", {"ImportanceOptions"}},
      {"gradient_projection.h", {"Projection"}},
      {"herding.h", {}},
      {"importance.h",
       {"name_of", "parse_importance_kind", "parse_normalization", "ImportanceScale",
        "ImportanceCard", "Importance", "weights_digest"}},
      {"marginal_relevance.h", {"MarginalChoice"}},
      {"merge.h",
       {"name_of", "parse_merge_method", "needs_base", "uses_density", "MergeOptions",
        "check_merge_options", "MergeInput", "MergeReport", "slices_to_merge"}},
      {"mixing.h", {"MixItem"}},
      {"mixout.h", {}},
      {"objective.h", {"TaskLoss", "DrawnTexts", "SamplePool", "DistillSource", "Distillation"}},
      {"optimizer.h", {"UpdateRange", "AdamWOptions", "Pull", "UpdateSums"}},
      {"path_importance.h", {}},
      {"penalty.h",
       {"name_of", "parse_coupling", "parse_l2_target", "L2Penalty"}},  // L2 acts in AdamW
      {"per_sample.h", {}},
      {"protect.h",
       {"name_of", "parse_protect_mode", "parse_protect_unit", "parse_protect_bound",
        "ProtectOptions"}},
      {"schedule.h", {"name_of", "parse_spacing", "parse_schedule_kind"}},
      {"search_rule.h", {"PointOutcome", "Rung"}},
      {"selection.h",
       {"Selected", "TfidfSelection", "parse_selection_method", "SelectionOptions",
        "SelectionSources", "select_texts", "ClassShare"}},
      {"statistics.h",
       {"Interval", "PairedCounts", "Estimate", "ClassRates", "ClassificationReport"}},
      {"step.h", {"StepRecord", "Measures"}},
      {"tfidf.h", {"WordTable", "WordRows", "WordCounter", "TermWeight", "SparseRows"}},
      {"unfreeze.h", {}}};
  return headers;
}

TEST(Audit, EveryFormulaOfTrainHasARow) {
  const std::set<std::string> rows = covered();
  for (const auto& [header, no_formula] : formula_headers()) {
    const std::string path = "train/" + header;
    const std::set<std::string> names = declared(path);
    EXPECT_FALSE(names.empty()) << path;
    for (const std::string& name : names) {
      if (no_formula.contains(name)) continue;
      EXPECT_TRUE(rows.contains(path + ": " + name))
          << path << " declares " << name << ": give it a row in audit/, or list it as no formula";
    }
    for (const std::string& name : no_formula) {
      EXPECT_TRUE(names.contains(name)) << path << " no longer declares " << name;
    }
  }
}

// A header that cites a paper has a formula in it.
TEST(Audit, EveryHeaderThatCitesAPaperIsAmongThem) {
  const std::regex citation(R"(\[[A-Z][^\]]*(19|20)\d\d)");
  const std::set<std::string> elsewhere{"augment.h", "heads.h"};  // changed texts; which head
  for (const auto& entry : fs::directory_iterator(fs::path(HOLDFAST_SOURCE) / "train")) {
    const std::string name = entry.path().filename().string();
    if (entry.path().extension() != ".h" || elsewhere.contains(name)) continue;
    std::ifstream in(entry.path());
    const std::string text{std::istreambuf_iterator<char>(in), {}};
    if (std::regex_search(text, citation)) {
      EXPECT_TRUE(formula_headers().contains(name)) << name << " cites a paper but is not audited";
    }
  }
}

TEST(Audit, ThePageShowsEveryRow) {
  std::vector<Check> checks = table();
  checks.front().error = 7;
  checks.front().bound = 1;
  checks.front().equation = "<script>";
  const std::string page = audit_html(checks, "this machine");
  EXPECT_NE(page.find("&lt;script&gt;"), std::string::npos);
  EXPECT_EQ(page.find("<script"), std::string::npos);
  EXPECT_NE(page.find("WRONG"), std::string::npos);
  EXPECT_EQ(page.find("The resolved recipe"), std::string::npos);
  std::size_t shown = 0;
  for (std::size_t at = page.find("</td></tr>"); at != std::string::npos;
       at = page.find("</td></tr>", at + 1)) {
    ++shown;
  }
  EXPECT_EQ(shown, checks.size());
}

}  // namespace
}  // namespace holdfast
