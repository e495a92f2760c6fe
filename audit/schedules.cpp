// Learning rates over layers and over time, beside closed forms written another way.
#include <algorithm>
#include <cmath>
#include <numbers>

#include "audit/case.h"
#include "train/schedule.h"
#include "train/unfreeze.h"

namespace holdfast::audit {
namespace {

double rates(Spacing spacing) {
  Worst worst;
  for (const std::int64_t layers : {0, 1, 6, 12}) {
    const double bottom = 1e-5, top = 3e-4;
    std::vector<double> expected;
    for (std::int64_t l = 0; l <= layers + 1; ++l) {
      const double height = static_cast<double>(l) / static_cast<double>(layers + 1);
      expected.push_back(spacing == Spacing::geometric
                             ? std::exp((1 - height) * std::log(bottom) + height * std::log(top))
                         : spacing == Spacing::linear ? (1 - height) * bottom + height * top
                         : l == layers + 1            ? top
                                                      : bottom);
    }
    const std::vector<double> found = layer_rates(bottom, top, layers, spacing);
    if (found.size() != expected.size()) return std::numeric_limits<double>::infinity();
    for (std::size_t l = 0; l < found.size(); ++l) worst.add(relative_error(found[l], expected[l]));
  }
  return worst.value();
}

// cos^2 of half the angle in place of (1 + cos) / 2; every step, warm-up and end included.
double schedule(ScheduleKind kind) {
  Worst worst;
  for (const auto& [total, warmup, minimum] :
       {std::tuple<std::int64_t, double, double>{50, 0.06, 0.0},
        {50, 0.05, 0.2},
        {7, 0.0, 0.1},
        {100, 0.07, 0.1},
        {10, 1.0, 0.5},
        {1, 0.5, 0.3}}) {
    const Schedule found(kind, total, warmup, minimum);
    std::int64_t w = 0;  // the fewest steps that are no fewer than the share, in thousandths
    while (1000 * w < std::llround(1000 * warmup) * total) ++w;
    if (total == 1) w = 0;
    worst.add(unequal(found.warmup_steps(), w));
    for (std::int64_t s = 0; s < total; ++s) {
      const double left = static_cast<double>(total - s) / static_cast<double>(total - w);
      const double half = std::sin(0.5 * std::numbers::pi * left);
      const double expected = s < w ? static_cast<double>(s) / static_cast<double>(w)
                              : kind == ScheduleKind::cosine ? minimum + (1 - minimum) * half * half
                              : kind == ScheduleKind::linear ? minimum + (1 - minimum) * left
                                                             : 1;
      worst.add(std::abs(found.factor(s) - expected));
    }
  }
  return worst.value();
}

double thawing() {
  Worst worst;
  for (const std::int64_t layers : {1, 6}) {
    for (std::int64_t step = 0; step < 60; ++step) {
      const std::int64_t stage = step / 7;
      const auto expected = static_cast<int>(stage > layers ? 0 : layers + 1 - stage);
      worst.add(unequal(lowest_trained_layer(step, layers, 7), expected));
    }
  }
  return worst.value();
}

}  // namespace

std::vector<Case> schedule_cases() {
  Family family("schedules");
  for (const auto& [spacing, equation] :
       {std::pair{Spacing::geometric, "bottom (top/bottom)^(l/(L+1))"},
        {Spacing::linear, "bottom + (top - bottom) l/(L+1)"},
        {Spacing::head, "bottom for l <= L, top for the head"}}) {
    family.formula({.name = "layer rates, " + std::string(name_of(spacing)),
                    .equation = equation,
                    .source = "Howard & Ruder 2018, sec. 3.2",
                    .against = "closed form in logarithms, 0 to 12 layers",
                    .covers = "train/schedule.h: layer_rates",
                    .bound = 1e-14},
                   [spacing] { return rates(spacing); });
  }
  for (const auto& [kind, equation] :
       {std::pair{ScheduleKind::cosine, "s/w; then r + (1-r)(1 + cos(pi (s-w)/(total-w)))/2"},
        {ScheduleKind::linear, "s/w; then r + (1-r)(total-s)/(total-w)"},
        {ScheduleKind::constant, "s/w; then 1"}}) {
    family.formula({.name = "schedule, " + std::string(name_of(kind)),
                    .equation = equation,
                    .source = "Loshchilov & Hutter 2017; transformers",
                    .against = "sin^2 of the half angle, every step of six runs",
                    .covers = "train/schedule.h: Schedule",
                    .unit = "absolute",
                    .bound = 1e-14},
                   [kind] { return schedule(kind); });
  }
  family.formula({.name = "gradual unfreezing",
                  .equation = "max(0, L + 1 - floor(step / steps a stage))",
                  .source = "Howard & Ruder 2018, sec. 3.3",
                  .against = "every step of two models",
                  .covers = "train/unfreeze.h: lowest_trained_layer",
                  .unit = "exact",
                  .bound = 0},
                 thawing);
  return family.take();
}

}  // namespace holdfast::audit
