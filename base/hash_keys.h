// What XXH3-128 of pieces depends on, for those who compute its long loop elsewhere. Plain numbers.
#pragma once

#include <cstdint>

namespace holdfast {

inline constexpr std::int64_t kHashPiece = 1 << 20;  // bytes
inline constexpr std::int64_t kHashShort = 240;      // up to here XXH3 is another function

/// What eight accumulators begin with, the key words of stripes and of the last one, the
/// multiplier.
struct HashKeys {
  std::uint64_t start[8], secret[24], last[8], prime;
};

}  // namespace holdfast
