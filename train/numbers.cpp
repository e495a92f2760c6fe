#include "train/numbers.h"

#include <fmt/format.h>

#include <cmath>

namespace holdfast {
namespace {

constexpr const char* kNothing = "-";

template <class Format>
std::string with_interval(const SeedSummary& summary, const Format& format) {
  if (summary.n == 0) return kNothing;
  const std::string mean = format(summary.mean);
  return summary.ci95 ? fmt::format("{} [{}, {}]", mean, format(summary.ci95->low),
                                    format(summary.ci95->high))
                      : mean;
}

}  // namespace

std::string percent(double share) {
  return fmt::format("{:.1f}", std::round(1000 * share) / 10 + 0.0);  // + 0.0: no "-0.0"
}

std::string points(double difference) {
  const std::string text = percent(difference);
  return text.starts_with('-') || text == "0.0" ? text : '+' + text;
}

std::string percent(const SeedSummary& shares) {
  return with_interval(shares, [](double share) { return percent(share); });
}

std::string points(const SeedSummary& differences) {
  return with_interval(differences, [](double difference) { return points(difference); });
}

std::string drop_text(const TaskResult& task) {
  if (!task.before || !task.after) return kNothing;
  const std::string drop = percent(task.before->accuracy - task.after->accuracy);
  if (!task.paired) return drop;
  return fmt::format("{} [{}, {}]", drop, percent(task.paired->drop_ci95.low),
                     percent(task.paired->drop_ci95.high));
}

}  // namespace holdfast
