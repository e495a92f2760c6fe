#include "train/state_hash.h"

#include <algorithm>
#include <cmath>
#include <span>

#include "base/hash.h"

namespace holdfast {
namespace {

constexpr double kFlopsPerByte = 16;
constexpr double kShare = 0.005;  // of a step

// Of a copy where a GPU goes on with the tensor.
Digest digest_of(const Tensor& tensor) {
  const Tensor here = tensor.to(Device());
  return dispatch(here.dtype(), "state hash",
                  [&]<class T>() { return hash128_in_pieces(std::as_bytes(here.span<T>())); });
}

}  // namespace

std::string hash_weights(const ParameterArena& arena) { return to_hex(digest_of(arena.values())); }

StateHash hash_state(const ParameterArena& arena, const AdamW& optimizer) {
  Hasher hasher;
  for (const Tensor* moment : {&optimizer.first_moment(), &optimizer.second_moment()}) {
    const Digest digest = digest_of(*moment);
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
  return std::max<std::int64_t>(1, std::llround(std::ceil(kFlopsPerByte * bytes / kShare / flops)));
}

}  // namespace holdfast
