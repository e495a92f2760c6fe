// Dropout decisions, many Philox counters at a time (tensor/random.h defines them one at a time).
// Include in kernel files only (tensor/kernels/dispatch.h).
#pragma once

#include "tensor/kernels/dropout.h"
#include "tensor/kernels/lanes.h"

namespace holdfast::kernels::HOLDFAST_ISA {
namespace {

/// Counters of one call of philox(): counter i is (channels[i], tokens[i], slots[i], step).
constexpr int kCounters = 32;
struct Counters {
  alignas(64) std::uint64_t channels[kCounters];  // c/8
  alignas(64) std::uint64_t tokens[kCounters];
  alignas(64) std::uint64_t slots[kCounters];
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

/// factors (rows, 8*octets) = keep_scale for what is kept, 0 for what is dropped: channels
/// 8*first_octet + [0, 8*octets) of rows at (slots[r], tokens[r]). Overwrites kFactorsSlack
/// elements behind; rows * octets^2 < 2^32.
template <class T>
inline void dropout_factors(const DropoutMask& mask, std::int64_t first_octet,
                            const std::int32_t* slots, const std::int32_t* tokens,
                            std::int64_t rows, std::int64_t octets, T* factors) {
  // Rounded up, so that place * inverse / 2^32 is place / octets.
  const auto per_row = static_cast<std::uint32_t>(octets);
  const std::uint64_t inverse = (std::uint64_t{1} << 32) / per_row + 1;
  const auto last = static_cast<std::uint32_t>(rows * octets) - 1;
  const auto keep_scale = static_cast<T>(mask.keep_scale);
  Counters counters;
  alignas(64) std::uint64_t words[2 * kCounters];
  typedef std::uint16_t Number __attribute__((may_alias));
  const Number* numbers = reinterpret_cast<const Number*>(words);
  for (std::uint32_t first = 0; first <= last; first += kCounters) {
    for (std::uint32_t i = 0; i < kCounters; ++i) {
      const std::uint32_t place = first + i < last ? first + i : last;
      const auto row = static_cast<std::uint32_t>(place * inverse >> 32);
      counters.channels[i] = static_cast<std::uint32_t>(first_octet) + (place - row * per_row);
      counters.tokens[i] = static_cast<std::uint32_t>(tokens[row]);
      counters.slots[i] = static_cast<std::uint32_t>(slots[row]);
    }
    philox(counters, mask, words);
    T* out = factors + 8 * static_cast<std::int64_t>(first);
    for (int i = 0; i < 8 * kCounters; ++i)
      out[i] = numbers[i] >= mask.threshold ? keep_scale : T{0};
  }
}

}  // namespace
}  // namespace holdfast::kernels::HOLDFAST_ISA
