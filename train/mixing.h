// Which samples make up each batch: new data and replayed old data. Tested by
// tests/train/mixing_test.cpp.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "tensor/random.h"

namespace holdfast {

/// The numbers 0 .. n-1 in an order that is a pure function of (seed, name, epoch): sorted by
/// Philox keys.
std::vector<std::int64_t> permutation(std::int64_t n, const RandomStream& stream,
                                      std::uint64_t epoch);

/// The numbers 0 .. size - 1 again and again, every time in a fresh order: a pure function of the
/// stream.
class Cycle {
 public:
  struct Place {
    std::int64_t index = 0, epoch = 0;  // epoch: how often all have been through before
  };
  Cycle(std::int64_t size, const RandomStream& stream) : size_(size), stream_(stream) {}
  /// The place at `position` = 0, 1, ... of the endless sequence; size must be above 0.
  Place at(std::int64_t position);
  std::int64_t size() const { return size_; }

 private:
  std::int64_t size_;
  RandomStream stream_;
  std::int64_t epoch_ = -1;  // of `order_`
  std::vector<std::int64_t> order_;
};

/// A place in the data: source 0 is the new task, source i > 0 the buffer of old task i - 1.
struct MixItem {
  std::int32_t source = 0;
  std::int64_t index = 0;  // within the source
  std::int64_t epoch =
      0;  // how often its pool (all new, or all old samples) had been through before
};

/// The old tasks' buffers taken together and again and again in fresh orders, so that each is drawn
/// in proportion to its size.
class BufferCycle {
 public:
  /// Throws std::invalid_argument for a negative size.
  BufferCycle(std::vector<std::int64_t> sizes, const RandomStream& stream);
  /// The place at `position` = 0, 1, ...; size must be above 0.
  MixItem at(std::int64_t position);
  std::int64_t size() const { return cycle_.size(); }

 private:
  std::vector<std::int64_t> ends_;  // running sums of the sizes
  Cycle cycle_;
};

/// Chooses every batch as a pure function of (seed, step, shares set so far). New samples come once
/// an epoch in a fresh order; old samples likewise from all buffers together, so that each old task
/// is drawn in proportion to its buffer. Of every batch exactly share * batch_size are old, the
/// fraction carried on: after s steps at one share floor(s * batch_size * share) old samples have
/// been drawn, counted in billionths and so without rounding.
class Mixer {
 public:
  /// Throws std::invalid_argument for no new samples, batch_size < 1, a share outside [0, 1), or a
  /// share above 0 without old samples.
  Mixer(std::int64_t new_count, std::vector<std::int64_t> old_counts, std::int64_t batch_size,
        double share, std::uint64_t seed);

  /// The share from step `step` on; steps must not go back. What is carried stays exact.
  void set_share(std::int64_t step, double share);

  /// The batch of step 0, 1, ...: first the new samples, then the old ones.
  std::vector<MixItem> batch(std::int64_t step);
  /// Old and new samples drawn before `step`.
  std::int64_t old_before(std::int64_t step) const;
  std::int64_t new_before(std::int64_t step) const;
  /// Fewest steps after which every new sample has been drawn `epochs` times, at the shares set so
  /// far.
  std::int64_t steps_for_epochs(double epochs) const;

  /// The whole state, for checkpoints: (first step, share), ascending.
  std::vector<std::pair<std::int64_t, double>> shares() const;

 private:
  struct Segment {
    std::int64_t first_step;
    std::int64_t share;  // billionths
  };

  Cycle new_;
  BufferCycle old_;
  std::int64_t batch_size_;
  std::vector<Segment> segments_;
};

}  // namespace holdfast
