#include "base/hash.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>
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
  constexpr std::int64_t kBytes = 1 << 20;
  const std::int64_t size = std::ssize(bytes);
  std::vector<Digest> pieces(static_cast<std::size_t>((size + kBytes - 1) / kBytes));
  parallel_for(size, kBytes, [&](std::int64_t begin, std::int64_t end) {
    pieces[static_cast<std::size_t>(begin / kBytes)] =
        canonical(XXH3_128bits(bytes.data() + begin, static_cast<std::size_t>(end - begin)));
  });
  return canonical(XXH3_128bits(pieces.data(), pieces.size() * sizeof(Digest)));
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
