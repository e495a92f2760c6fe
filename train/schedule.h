// Learning rates over layers and over time. Tested by tests/train/schedule_test.cpp.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace holdfast {

enum class Spacing { geometric, linear, head };
std::string_view name_of(Spacing spacing);
/// Throws std::invalid_argument naming the known ones.
Spacing parse_spacing(std::string_view name);

/// Rates of layer l = 0 (embeddings), 1..L (encoder), L+1 (pooler and heads), L + 2 numbers:
///   geometric  bottom (top / bottom)^(l / (L+1)),   linear  bottom + (top - bottom) l / (L+1)
///   head       bottom for l <= L, top for l = L+1
/// Throws std::invalid_argument unless bottom and top are finite and positive and layers >= 0.
std::vector<double> layer_rates(double bottom, double top, std::int64_t layers,
                                Spacing spacing = Spacing::geometric);

enum class ScheduleKind { cosine, linear, constant };
std::string_view name_of(ScheduleKind kind);
/// Throws std::invalid_argument naming the known ones.
ScheduleKind parse_schedule_kind(std::string_view name);

/// What every rate is multiplied with at a step. After w = ceil(warmup * total) steps of linear
/// warm-up from 0:
///   cosine  r + (1 - r) (1 + cos(pi (s - w) / (total - w))) / 2,   linear  r + (1 - r) (total - s)
///   / (total - w)
/// r = minimum_ratio, of each group's own maximum. As transformers'
/// get_cosine_with_min_lr_schedule_with_warmup with warmup_steps = w.
/// A run of one step has no warm-up: in transformers it would be all warm-up, at rate 0, and learn
/// nothing.
class Schedule {
 public:
  /// warmup: fraction of all steps, in [0, 1]. minimum_ratio in [0, 1]. Throws
  /// std::invalid_argument otherwise, or for total < 1.
  Schedule(ScheduleKind kind, std::int64_t total, double warmup, double minimum_ratio);
  /// The factor for update number `step` = 0, 1, ... total - 1 (0 in the first step of a warm-up,
  /// as in transformers).
  double factor(std::int64_t step) const;
  std::int64_t warmup_steps() const { return warmup_steps_; }

 private:
  ScheduleKind kind_;
  std::int64_t total_, warmup_steps_;
  double minimum_ratio_;
};

}  // namespace holdfast
