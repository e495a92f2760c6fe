// Dropout decisions, many Philox counters at a time (tensor/random.h defines them one at a time).
// Include in kernel files only (tensor/kernels/dispatch.h).
#pragma once

#include "tensor/kernels/dropout.h"
#include "tensor/kernels/lanes.h"

namespace holdfast::kernels::HOLDFAST_ISA {
namespace {

/// Counters of one call of philox(): counter i is (channels[i], tokens[i], slots[i], step). Whole
/// vectors are written, so there is room behind.
constexpr int kCounters = 32;
struct Counters {
  static constexpr int kRoom = kCounters + kLanes<std::uint64_t>;
  alignas(64) std::uint64_t channels[kRoom];  // c/8
  alignas(64) std::uint64_t tokens[kRoom];
  alignas(64) std::uint64_t slots[kRoom];
};

/// numbers[8*i + j] = the 16-bit number j of counter i. Words live in the low halves of 64-bit
/// lanes, where a product of two words stays in place; the high halves are never read.
inline void philox(const Counters& counters, const DropoutMask& mask, std::uint64_t* numbers) {
  using V = Lanes<std::uint64_t>;
  constexpr int W = kLanes<std::uint64_t>, kVectors = kVectorRegisters / 8;
  alignas(64) std::uint64_t low[kCounters], high[kCounters];
  for (int first = 0; first < kCounters; first += W * kVectors) {
    V x0[kVectors], x1[kVectors], x2[kVectors], x3[kVectors];
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) {
      x0[v] = load(counters.channels + first + v * W);
      x1[v] = load(counters.tokens + first + v * W);
      x2[v] = load(counters.slots + first + v * W);
      x3[v] = spread(std::uint64_t{mask.step});
    }
    std::uint32_t k0 = mask.key[0], k1 = mask.key[1];
    for (int round = 0; round < 10; ++round) {
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) {
        const V a = multiply_words(x0[v], spread(std::uint64_t{0xD2511F53}));
        const V b = multiply_words(x2[v], spread(std::uint64_t{0xCD9E8D57}));
        x0[v] = (b >> 32) ^ x1[v] ^ spread(std::uint64_t{k0});
        x1[v] = b;
        x2[v] = (a >> 32) ^ x3[v] ^ spread(std::uint64_t{k1});
        x3[v] = a;
      }
      k0 += 0x9E3779B9;
      k1 += 0xBB67AE85;
    }
    for (int v = 0; v < kVectors; ++v) {
      store(low + first + v * W, (x0[v] & 0xffffffff) | x1[v] << 32);
      store(high + first + v * W, (x2[v] & 0xffffffff) | x3[v] << 32);
    }
  }
  for (int i = 0; i < kCounters; ++i) {
    numbers[2 * i] = low[i];
    numbers[2 * i + 1] = high[i];
  }
}

/// Elements that dropout_factors may write beyond its tile.
constexpr std::int64_t kFactorsSlack = 8 * kCounters;

/// Counters [i, i + count) = (octet, octet + 1, ...) of one row.
inline void fill(Counters& counters, int i, int count, std::uint64_t octet, std::uint64_t token,
                 std::uint64_t slot) {
  using V = Lanes<std::uint64_t>;
  constexpr int W = kLanes<std::uint64_t>;
  V steps{};
  for (int j = 0; j < W; ++j) steps[j] = static_cast<std::uint64_t>(j);
  for (const int end = i + count; i < end; i += W, octet += W) {
    store(counters.channels + i, steps + spread(octet));
    store(counters.tokens + i, spread(token));
    store(counters.slots + i, spread(slot));
  }
}

/// factors (rows, 8*octets) = keep_scale for what is kept, 0 for what is dropped: channels
/// 8*first_octet + [0, 8*octets) of rows at (slots[r], tokens[r]). Overwrites kFactorsSlack
/// elements behind.
template <class T>
inline void dropout_factors(const DropoutMask& mask, std::int64_t first_octet,
                            const std::int32_t* slots, const std::int32_t* tokens,
                            std::int64_t rows, std::int64_t octets, T* factors) {
  const auto keep_scale = static_cast<T>(mask.keep_scale);
  Counters counters;
  alignas(64) std::uint64_t words[2 * kCounters];
  typedef std::uint16_t Number __attribute__((may_alias));
  const Number* numbers = reinterpret_cast<const Number*>(words);
  std::int64_t row = 0, octet = 0;
  for (std::int64_t first = 0; first < rows * octets; first += kCounters) {
    for (int i = 0; i < kCounters;) {
      const std::int64_t left = octets - octet, room = kCounters - i;
      const int count = static_cast<int>(left < room ? left : room);
      fill(counters, i, count, static_cast<std::uint64_t>(first_octet + octet),
           static_cast<std::uint32_t>(tokens[row]), static_cast<std::uint32_t>(slots[row]));
      i += count;
      octet += count;
      if (octet < octets) continue;
      octet = 0;
      if (row + 1 < rows) ++row;  // counters behind the last row are not used
    }
    philox(counters, mask, words);
    T* out = factors + 8 * first;
    for (int i = 0; i < 8 * kCounters; ++i)
      out[i] = numbers[i] >= mask.threshold ? keep_scale : T{0};
  }
}

}  // namespace
}  // namespace holdfast::kernels::HOLDFAST_ISA
