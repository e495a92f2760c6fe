// The long loop of XXH3-128 [xxHash specification, XXH3 for inputs of more than 240 bytes]. Its
// eight accumulators meet only at the end, so that one thread takes one of one piece's: in a stripe
// of 64 bytes x, with key words k,
//   acc[l] += x[l ^ 1] + low32(x[l] ^ k[l]) high32(x[l] ^ k[l]),
// and after each 16 stripes acc[l] = (acc[l] ^ acc[l] >> 47 ^ k[l]) * prime, all modulo 2^64.
#pragma once

#include "tensor/cuda/operations.h"
#include "tensor/cuda/team.h"

namespace holdfast::cuda {

struct HashLane {
  const std::uint64_t* words;  // of all pieces
  const std::uint32_t* halves;
  std::int64_t bytes;
  HashKeys keys;
  std::uint64_t* lanes;

  constexpr void operator()(std::int64_t i) const {
    constexpr int kStripes = 16;  // of a block
    const std::int64_t begin = i / 8 * kHashPiece, size = least(kHashPiece, bytes - begin);
    const int lane = static_cast<int>(i % 8);
    if (size <= kHashShort) return;
    const std::uint64_t* x = words + begin / 8;
    std::uint64_t acc = keys.start[lane];
    const std::int64_t blocks = (size - 1) / (64 * kStripes);
    for (std::int64_t block = 0; block < blocks; ++block, x += 8 * kStripes) {
      for (int s = 0; s < kStripes; ++s)
        acc = joined(acc, x[8 * s + lane], x[8 * s + (lane ^ 1)], keys.secret[s + lane]);
      acc = (acc ^ acc >> 47 ^ keys.secret[kStripes + lane]) * keys.prime;
    }
    const int rest = static_cast<int>((size - 1) % (64 * kStripes) / 64);
    for (int s = 0; s < rest; ++s)
      acc = joined(acc, x[8 * s + lane], x[8 * s + (lane ^ 1)], keys.secret[s + lane]);
    const std::int64_t last = (begin + size - 64) / 4;  // whole elements, not whole words
    lanes[i] = joined(acc, word(last + 2 * lane), word(last + 2 * (lane ^ 1)), keys.last[lane]);
  }

 private:
  constexpr std::uint64_t word(std::int64_t half) const {
    return halves[half] | static_cast<std::uint64_t>(halves[half + 1]) << 32;
  }
  static constexpr std::uint64_t joined(std::uint64_t acc, std::uint64_t own, std::uint64_t other,
                                        std::uint64_t key) {
    const std::uint64_t mixed = own ^ key;
    return acc + other + (mixed & 0xffffffff) * (mixed >> 32);
  }
};

template <class Launcher>
constexpr Hash hash{
    [](const void* data, std::int64_t bytes, const HashKeys& keys, std::uint64_t* lanes) {
      for_each<Launcher>(HashLane{static_cast<const std::uint64_t*>(data),
                                  static_cast<const std::uint32_t*>(data), bytes, keys, lanes},
                         8 * pieces(bytes, kHashPiece));
    }};

}  // namespace holdfast::cuda
