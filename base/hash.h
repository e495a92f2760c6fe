// XXH3-128: fast checksums that find damage and tell contents apart; no protection against forgery.
// Tested by tests/base/hash_test.cpp.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/hash_keys.h"

namespace holdfast {

using Digest = std::array<std::uint8_t, 16>;  // canonical (big-endian) XXH3-128

/// Two lower-case digits a byte.
std::string hexadecimal(std::span<const std::uint8_t> bytes);
/// 32 lower-case hexadecimal digits, as `xxhsum -H128` prints them.
std::string to_hex(const Digest& digest);

Digest hash128(std::string_view bytes);
/// Of the digests of its pieces of 1 MiB, which are taken in parallel: the same for any number of
/// threads.
Digest hash128_in_pieces(std::span<const std::byte> bytes);

/// For a device, which takes pieces of more than kHashShort bytes as tensor/cuda/hash.h says.
HashKeys hash_keys();
/// The accumulators of such a piece, and its digest.
using HashLanes = std::array<std::uint64_t, 8>;
Digest hash128_of_lanes(const HashLanes& lanes, std::int64_t bytes);
/// hash128_in_pieces() of the pieces' digests.
Digest hash128_of_pieces(std::span<const Digest> pieces);

/// The digest of bytes that come in pieces; the pieces' bounds do not matter.
class Hasher {
 public:
  Hasher();
  Hasher(Hasher&&) noexcept;
  Hasher& operator=(Hasher&&) noexcept;
  ~Hasher();
  void update(std::span<const std::byte> bytes);
  void update(std::string_view bytes) { update(std::as_bytes(std::span(bytes))); }
  /// Of all bytes so far; more may follow.
  Digest digest() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace holdfast
