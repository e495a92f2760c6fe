#include <fmt/format.h>

#include <algorithm>

#include "audit/audit.h"
#include "audit/reference/instruction_sets.h"
#include "train/report_parts.h"

namespace holdfast {
namespace {

std::string number(double x) { return x == 0 ? "0" : fmt::format("{:.2g}", x); }

std::string verdict(const Check& check) {
  return !check.missing.empty() ? "not measured" : check.holds() ? "ok" : "WRONG";
}

std::string table_of(const std::vector<Check>& checks, const std::string& family) {
  std::vector<std::vector<std::string>> rows{
      {"what", "", "error", "bound", "of", "equation", "source", "against", "declared in"}};
  std::vector<std::size_t> wrong;
  for (const Check& check : checks) {
    if (check.family != family) continue;
    if (!check.holds()) wrong.push_back(rows.size());
    rows.push_back({check.name, verdict(check), check.missing.empty() ? number(check.error) : "-",
                    number(check.bound), check.unit, check.equation, check.source, check.against,
                    check.covers});
  }
  return report::table(rows, wrong);
}

}  // namespace

std::string audit_html(const std::vector<Check>& checks, std::string_view machine) {
  const auto wrong = std::ranges::count_if(checks, [](const Check& c) { return !c.holds(); });
  std::vector<std::string> families;
  for (const Check& check : checks) {
    if (std::ranges::find(families, check.family) == families.end()) {
      families.push_back(check.family);
    }
  }
  std::string body = "<div class=\"cards\">\n";
  body += report::card("Checks", std::to_string(checks.size()),
                       fmt::format("in {} families", families.size()));
  body += report::card("Beyond their bound", std::to_string(wrong),
                       wrong == 0 ? "every promise holds" : "see the rows in bold",
                       wrong == 0 ? "good" : "bad");
  body += "</div>\n";
  for (const std::string& family : families) {
    body += fmt::format("<h2>{}</h2>\n", family) + table_of(checks, family);
  }
  std::string sets;
  for (const Isa isa : reference::instruction_sets())
    sets += (sets.empty() ? "" : ", ") + std::string(name_of(isa));
  return report::page(
      "Audit",
      fmt::format("What holdfast computes, beside another way to compute it. {}. Kernels: {}.",
                  machine, sets),
      body, "",
      "Errors are the largest found. Bounds are what is promised. Every row is measured by "
      "`holdfast audit` and is a test.");
}

}  // namespace holdfast
