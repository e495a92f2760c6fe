#include "train/state_hash.h"

#include <algorithm>
#include <cmath>
#include <span>

#include "base/hash.h"
#include "tensor/hash.h"

namespace holdfast {
namespace {

// Of products, while a byte is hashed. A device's is a guess: no GPU was at hand to measure one.
constexpr double kFlopsPerByte = 16, kFlopsPerByteOnDevice = 1024;
constexpr double kShare = 0.005;  // of a step

}  // namespace

std::string hash_weights(const ParameterArena& arena) { return to_hex(hash128_of(arena.values())); }

StateHash hash_state(const ParameterArena& arena, const AdamW& optimizer) {
  Hasher hasher;
  for (const Tensor* moment : {&optimizer.first_moment(), &optimizer.second_moment()}) {
    const Digest digest = hash128_of(*moment);
    hasher.update(std::as_bytes(std::span(digest)));
  }
  hasher.update(std::as_bytes(std::span(optimizer.range_steps())));
  return {hash_weights(arena), to_hex(hasher.digest())};
}

std::int64_t hash_interval(const ParameterArena& arena, double tokens) {
  double flops = 0;
  for (const NamedSlice& slice : arena.slices()) {
    if (slice.layer > 0 && slice.shape.rank() == 2) {
      flops += tokens * static_cast<double>(slice.size) * (arena.trainable(slice) ? 6 : 2);
    }
  }
  const double bytes = 3 * static_cast<double>(arena.numel() * size_of(arena.dtype()));
  const double cost = arena.values().device().is_cuda() ? kFlopsPerByteOnDevice : kFlopsPerByte;
  return std::max<std::int64_t>(1, std::llround(std::ceil(cost * bytes / kShare / flops)));
}

}  // namespace holdfast
