#include "cli/profile.h"

#include <fmt/format.h>

#include <algorithm>

#include "cli/table.h"

namespace holdfast::cli {
namespace {

double ms(std::int64_t nanoseconds) { return static_cast<double>(nanoseconds) / 1e6; }
double seconds(std::int64_t nanoseconds) { return static_cast<double>(nanoseconds) / 1e9; }

/// `part` of `whole`, which a coarse clock may find to be nothing.
double ratio(std::int64_t part, std::int64_t whole) {
  return static_cast<double>(part) / static_cast<double>(std::max<std::int64_t>(whole, 1));
}

/// Adds what `row` takes of one step.
void add_row(Table& table, const std::string& title, const Profile::Row& row,
             const Profile::Summary& summary) {
  const auto steps = static_cast<double>(summary.steps), calls = static_cast<double>(row.calls);
  table.add(
      {title, fmt::format("{:.3f}", ms(row.nanoseconds) / steps),
       fmt::format("{:.1f}", 100 * ratio(row.nanoseconds, summary.nanoseconds)),
       row.calls > 0 ? fmt::format("{:.4g}", calls / steps) : "",
       row.calls > 0 ? fmt::format("{:.3f}", ms(row.nanoseconds) / calls) : "",
       row.operations > 0 ? fmt::format("{:.1f}", ratio(row.operations, row.nanoseconds)) : ""});
}

/// The sum over the rows of a phase, or over all of them; it has no calls.
Profile::Row sum_of(const Profile::Summary& summary, const std::string* phase) {
  Profile::Row sum;
  for (const Profile::Row& row : summary.rows) {
    if (phase && row.phase != *phase) continue;
    sum.nanoseconds += row.nanoseconds;
    sum.operations += row.operations;
  }
  return sum;
}

std::string averaged(const Profile::Summary& summary) {
  if (summary.steps == 1) return "of one step; the first ones of a run also map memory\n";
  return fmt::format("mean of {} steps of {:.3f} to {:.3f} ms; the first, {:.3f} ms, is left out\n",
                     grouped(summary.steps), ms(summary.shortest), ms(summary.longest),
                     ms(summary.first));
}

}  // namespace

std::string profile_text(const Profile::Summary& summary) {
  Table table({"a step's time", "ms", "share %", "calls", "ms a call", "GFLOP/s"});
  const std::string* phase = nullptr;
  for (const Profile::Row& row : summary.rows) {
    if (!phase || *phase != row.phase) {
      phase = &row.phase;
      add_row(table, *phase, sum_of(summary, phase), summary);
    }
    add_row(table, "  " + row.name, row, summary);
  }
  add_row(table, "step", sum_of(summary, nullptr), summary);
  return table.text() + averaged(summary);
}

Json profile_json(const Profile::Summary& summary) {
  const auto steps = static_cast<double>(summary.steps);
  Json operations = Json::list();
  for (const Profile::Row& row : summary.rows) {
    Json one = Json::object({{"phase", row.phase},
                             {"name", row.name},
                             {"seconds", seconds(row.nanoseconds) / steps},
                             {"share", ratio(row.nanoseconds, summary.nanoseconds)},
                             {"calls", static_cast<double>(row.calls) / steps}});
    if (row.operations > 0) one.add("gflops", ratio(row.operations, row.nanoseconds));
    operations.push_back(std::move(one));
  }
  return Json::object({{"steps", summary.steps},
                       {"seconds", seconds(summary.nanoseconds) / steps},
                       {"shortest", seconds(summary.shortest)},
                       {"longest", seconds(summary.longest)},
                       {"first", seconds(summary.first)},
                       {"operations", std::move(operations)}});
}

}  // namespace holdfast::cli
