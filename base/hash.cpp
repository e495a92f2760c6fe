#include "base/hash.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "base/parallel.h"

namespace holdfast {
namespace {

Digest canonical(XXH128_hash_t hash) {
  XXH128_canonical_t bytes;
  XXH128_canonicalFromHash(&bytes, hash);
  Digest digest;
  std::copy(std::begin(bytes.digest), std::end(bytes.digest), digest.begin());
  return digest;
}

}  // namespace

struct Hasher::State {
  XXH3_state_t xxh3;
};

Hasher::Hasher() : state_(std::make_unique<State>()) { XXH3_128bits_reset(&state_->xxh3); }
Hasher::Hasher(Hasher&&) noexcept = default;
Hasher& Hasher::operator=(Hasher&&) noexcept = default;
Hasher::~Hasher() = default;

void Hasher::update(std::span<const std::byte> bytes) {
  XXH3_128bits_update(&state_->xxh3, bytes.data(), bytes.size());
}

Digest Hasher::digest() const { return canonical(XXH3_128bits_digest(&state_->xxh3)); }

Digest hash128(std::string_view bytes) {
  return canonical(XXH3_128bits(bytes.data(), bytes.size()));
}

Digest hash128_in_pieces(std::span<const std::byte> bytes) {
  const std::int64_t size = std::ssize(bytes);
  std::vector<Digest> pieces(static_cast<std::size_t>((size + kHashPiece - 1) / kHashPiece));
  parallel_for(size, kHashPiece, [&](std::int64_t begin, std::int64_t end) {
    pieces[static_cast<std::size_t>(begin / kHashPiece)] =
        canonical(XXH3_128bits(bytes.data() + begin, static_cast<std::size_t>(end - begin)));
  });
  return hash128_of_pieces(pieces);
}

Digest hash128_of_pieces(std::span<const Digest> pieces) {
  return canonical(XXH3_128bits(pieces.data(), pieces.size_bytes()));
}

HashKeys hash_keys() {
  HashKeys keys{.start = XXH3_INIT_ACC, .secret = {}, .last = {}, .prime = XXH_PRIME32_1};
  const std::size_t last = sizeof(XXH3_kSecret) - XXH_STRIPE_LEN - XXH_SECRET_LASTACC_START;
  std::memcpy(keys.secret, XXH3_kSecret, sizeof keys.secret);
  std::memcpy(keys.last, XXH3_kSecret + last, sizeof keys.last);
  return keys;
}

// As XXH3_hashLong_128b_internal() of the library ends.
Digest hash128_of_lanes(const HashLanes& lanes, std::int64_t bytes) {
  alignas(64) std::uint64_t acc[8];
  std::ranges::copy(lanes, acc);
  const auto size = static_cast<std::uint64_t>(bytes);
  const auto* secret = XXH3_kSecret + XXH_SECRET_MERGEACCS_START;
  const auto* end = XXH3_kSecret + sizeof(XXH3_kSecret) - sizeof acc - XXH_SECRET_MERGEACCS_START;
  return canonical({XXH3_mergeAccs(acc, secret, size * XXH_PRIME64_1),
                    XXH3_mergeAccs(acc, end, ~(size * XXH_PRIME64_2))});
}

std::string hexadecimal(std::span<const std::uint8_t> bytes) {
  std::string out;
  for (const std::uint8_t byte : bytes) {
    out += "0123456789abcdef"[byte >> 4U];
    out += "0123456789abcdef"[byte & 0xFU];
  }
  return out;
}

std::string to_hex(const Digest& digest) { return hexadecimal(digest); }

}  // namespace holdfast
