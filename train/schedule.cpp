#include "train/schedule.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <stdexcept>
#include <string>

#include "base/elementary.h"
#include "train/names.h"

namespace holdfast {
namespace {

constexpr std::array kSpacings = {std::pair{Spacing::geometric, "geometric"},
                                  std::pair{Spacing::linear, "linear"},
                                  std::pair{Spacing::head, "head"}};
constexpr std::array kSchedules = {std::pair{ScheduleKind::cosine, "cosine"},
                                   std::pair{ScheduleKind::linear, "linear"},
                                   std::pair{ScheduleKind::constant, "constant"}};

// Steps of warm-up, rounded up, but not by the rounding of `fraction` itself (0.07 * 100 is above
// 7).
std::int64_t steps_of(double fraction, std::int64_t total) {
  return static_cast<std::int64_t>(std::ceil(fraction * static_cast<double>(total) - 1e-9));
}

}  // namespace

std::string_view name_of(Spacing spacing) { return name_in(kSpacings, spacing); }
Spacing parse_spacing(std::string_view name) { return parse_in(kSpacings, "spacing", name); }
std::string_view name_of(ScheduleKind kind) { return name_in(kSchedules, kind); }
ScheduleKind parse_schedule_kind(std::string_view name) {
  return parse_in(kSchedules, "schedule", name);
}

std::vector<double> layer_rates(double bottom, double top, std::int64_t layers, Spacing spacing) {
  if (!(bottom > 0) || !(top > 0) || !std::isfinite(bottom) || !std::isfinite(top) || layers < 0) {
    throw std::invalid_argument("[layer rates] bottom " + std::to_string(bottom) + ", top " +
                                std::to_string(top) + ": both must be finite and above 0");
  }
  std::vector<double> rates;
  for (std::int64_t l = 0; l <= layers + 1; ++l) {
    const double height = static_cast<double>(l) / static_cast<double>(layers + 1);
    rates.push_back(spacing == Spacing::geometric
                        ? bottom * elementary::exp(height * elementary::log(top / bottom))
                    : spacing == Spacing::linear ? bottom + (top - bottom) * height
                                                 : bottom);
  }
  rates.back() = top;
  return rates;
}

Schedule::Schedule(ScheduleKind kind, std::int64_t total, double warmup, double minimum_ratio)
    : kind_(kind), total_(total), minimum_ratio_(minimum_ratio) {
  if (total < 1) throw std::invalid_argument("[schedule] needs at least one step");
  if (!(warmup >= 0 && warmup <= 1) || !(minimum_ratio >= 0 && minimum_ratio <= 1)) {
    throw std::invalid_argument("[schedule] warmup " + std::to_string(warmup) +
                                " and minimum_ratio " + std::to_string(minimum_ratio) +
                                " must be between 0 and 1");
  }
  warmup_steps_ = total == 1 ? 0 : steps_of(warmup, total);
}

double Schedule::factor(std::int64_t step) const {
  if (step < warmup_steps_) {
    return static_cast<double>(step) / static_cast<double>(warmup_steps_);
  }
  if (kind_ == ScheduleKind::constant) return 1;
  const double progress =
      std::min(1.0, static_cast<double>(step - warmup_steps_) /
                        static_cast<double>(std::max<std::int64_t>(1, total_ - warmup_steps_)));
  const double decay = kind_ == ScheduleKind::cosine
                           ? 0.5 * (1 + elementary::cos(std::numbers::pi * progress))
                           : 1 - progress;
  return decay * (1 - minimum_ratio_) + minimum_ratio_;
}

}  // namespace holdfast
