// Counter-based random numbers: Philox4x32-10 [Salmon, Moraes, Dror, Shaw 2011, "Parallel random
// numbers: as easy as 1, 2, 3"]. A number is a pure function of (seed, stream, step, index):
// nothing to save, nothing that depends on threads.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace holdfast {

using PhiloxCounter = std::array<std::uint32_t, 4>;
using PhiloxKey = std::array<std::uint32_t, 2>;

/// Ten rounds of Philox4x32 over a 128-bit counter and a 64-bit key.
constexpr PhiloxCounter philox(PhiloxCounter c, PhiloxKey k) {
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t a = std::uint64_t{0xD2511F53} * c[0];
    const std::uint64_t b = std::uint64_t{0xCD9E8D57} * c[2];
    c = {static_cast<std::uint32_t>(b >> 32) ^ c[1] ^ k[0], static_cast<std::uint32_t>(b),
         static_cast<std::uint32_t>(a >> 32) ^ c[3] ^ k[1], static_cast<std::uint32_t>(a)};
    k[0] += 0x9E3779B9;
    k[1] += 0xBB67AE85;
  }
  return c;
}

/// One named stream of random numbers of a run: key = hash of (seed, name).
class RandomStream {
 public:
  RandomStream(std::uint64_t seed, std::string_view name);

  const PhiloxKey& key() const { return key_; }
  /// 128 random bits for a 128-bit place.
  PhiloxCounter bits(std::uint64_t high, std::uint64_t low) const;
  /// Uniform in [0, 1), 53 bits.
  double uniform(std::uint64_t step, std::uint64_t index) const;
  /// Uniform in {0..n-1} by multiplication of 64 bits; bias below n/2^64. n > 0.
  std::uint64_t below(std::uint64_t n, std::uint64_t step, std::uint64_t index) const;
  /// Standard normal, Box-Muller.
  double normal(std::uint64_t step, std::uint64_t index) const;

 private:
  PhiloxKey key_;
};

/// Where a dropout mask comes from. Channels c of row (slot, token) are dropped when the 16-bit
/// number c%8 of Philox(counter = (c/8, token, slot, step), key) is below threshold = round(p *
/// 65536), number j being the low (j even) or high half of word j/2; kept values are multiplied by
/// 65536 / (65536 - threshold). `slot` is the sample's place in the global batch, `token` its place
/// in the text: a decision does not depend on how the batch is packed or cut.
struct DropoutKey {
  PhiloxKey key{};
  std::uint32_t step = 0;
  std::uint32_t threshold = 0;  // 0: no dropout

  bool active() const { return threshold > 0; }
  double scale() const { return 65536.0 / (65536.0 - threshold); }
};

}  // namespace holdfast
