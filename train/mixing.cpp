#include "train/mixing.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <stdexcept>
#include <string>

namespace holdfast {
namespace {

constexpr std::int64_t kBillion = 1'000'000'000;
__extension__ using Wide = __int128;

std::int64_t in_billionths(double share) {
  if (!(share >= 0 && share < 1)) {
    throw std::invalid_argument("[mixer] the share of old data is " + std::to_string(share) +
                                ", it must be at least 0 and below 1");
  }
  return std::llround(share * static_cast<double>(kBillion));
}

std::vector<std::int64_t> running_sums(std::vector<std::int64_t> counts) {
  if (std::any_of(counts.begin(), counts.end(), [](std::int64_t n) { return n < 0; })) {
    throw std::invalid_argument("[mixer] a buffer's size is negative");
  }
  std::partial_sum(counts.begin(), counts.end(), counts.begin());
  return counts;
}

}  // namespace

std::vector<std::int64_t> permutation(std::int64_t n, const RandomStream& stream,
                                      std::uint64_t epoch) {
  std::vector<std::pair<std::uint64_t, std::int64_t>> keyed(static_cast<std::size_t>(n));
  for (std::size_t i = 0; i < keyed.size(); ++i) {
    const PhiloxCounter bits = stream.bits(epoch, i);
    keyed[i] = {std::uint64_t{bits[1]} << 32 | bits[0], static_cast<std::int64_t>(i)};
  }
  std::sort(keyed.begin(), keyed.end());
  std::vector<std::int64_t> order(keyed.size());
  std::transform(keyed.begin(), keyed.end(), order.begin(), [](const auto& k) { return k.second; });
  return order;
}

Cycle::Place Cycle::at(std::int64_t position) {
  const std::int64_t wanted = position / size_;
  if (wanted != epoch_) {
    order_ = permutation(size_, stream_, static_cast<std::uint64_t>(wanted));
    epoch_ = wanted;
  }
  return {order_[static_cast<std::size_t>(position % size_)], wanted};
}

BufferCycle::BufferCycle(std::vector<std::int64_t> sizes, const RandomStream& stream)
    : ends_(running_sums(std::move(sizes))), cycle_(ends_.empty() ? 0 : ends_.back(), stream) {}

MixItem BufferCycle::at(std::int64_t position) {
  const Cycle::Place place = cycle_.at(position);
  const auto end = std::upper_bound(ends_.begin(), ends_.end(), place.index);
  const std::int64_t before = end == ends_.begin() ? 0 : *(end - 1);
  return {static_cast<std::int32_t>(end - ends_.begin()) + 1, place.index - before, place.epoch};
}

Mixer::Mixer(std::int64_t new_count, std::vector<std::int64_t> old_counts, std::int64_t batch_size,
             double share, std::uint64_t seed)
    : new_(new_count, RandomStream(seed, "mixing.new")),
      old_(std::move(old_counts), RandomStream(seed, "mixing.old")),
      batch_size_(batch_size) {
  if (new_count < 1) throw std::invalid_argument("[mixer] there are no new samples to train on");
  if (batch_size < 1) throw std::invalid_argument("[mixer] batch_size must be at least 1");
  set_share(0, share);
}

void Mixer::set_share(std::int64_t step, double share) {
  const std::int64_t exact = in_billionths(share);
  if (exact > 0 && old_.size() == 0) {
    throw std::invalid_argument(
        "[mixer] a share of old data is asked for, but no old samples were kept");
  }
  const std::int64_t earliest = segments_.empty() ? 0 : segments_.back().first_step;
  if (step < earliest) {
    throw std::invalid_argument("[mixer] share set for step " + std::to_string(step) +
                                ", after it was set for step " + std::to_string(earliest));
  }
  if (!segments_.empty() && segments_.back().first_step == step) segments_.pop_back();
  segments_.push_back({step, exact});
}

std::int64_t Mixer::old_before(std::int64_t step) const {
  Wide billionths = 0;
  for (std::size_t i = 0; i < segments_.size() && segments_[i].first_step < step; ++i) {
    const std::int64_t end =
        i + 1 < segments_.size() ? std::min(step, segments_[i + 1].first_step) : step;
    billionths += Wide{end - segments_[i].first_step} * batch_size_ * segments_[i].share;
  }
  return static_cast<std::int64_t>(billionths / kBillion);
}

std::int64_t Mixer::new_before(std::int64_t step) const {
  return step * batch_size_ - old_before(step);
}

std::vector<MixItem> Mixer::batch(std::int64_t step) {
  std::vector<MixItem> items;
  items.reserve(static_cast<std::size_t>(batch_size_));
  for (std::int64_t i = new_before(step); i < new_before(step + 1); ++i) {
    const Cycle::Place place = new_.at(i);
    items.push_back({0, place.index, place.epoch});
  }
  for (std::int64_t i = old_before(step); i < old_before(step + 1); ++i)
    items.push_back(old_.at(i));
  return items;
}

std::int64_t Mixer::steps_for_epochs(double epochs) const {
  const std::int64_t wanted =
      static_cast<std::int64_t>(std::ceil(epochs * static_cast<double>(new_.size()) - 1e-9));
  std::int64_t high = 1;
  while (new_before(high) < wanted) high *= 2;
  std::int64_t low = 0;  // new_before never falls: bisect for the first step that has drawn enough
  while (low < high) {
    const std::int64_t middle = low + (high - low) / 2;
    if (new_before(middle) >= wanted) {
      high = middle;
    } else {
      low = middle + 1;
    }
  }
  return low;
}

std::vector<std::pair<std::int64_t, double>> Mixer::shares() const {
  std::vector<std::pair<std::int64_t, double>> result;
  for (const Segment& segment : segments_) {
    result.emplace_back(segment.first_step,
                        static_cast<double>(segment.share) / static_cast<double>(kBillion));
  }
  return result;
}

}  // namespace holdfast
