#include "base/hash.h"

#include <gtest/gtest.h>

#include "base/parallel.h"

namespace holdfast {
namespace {

TEST(Hash, MatchesTheReference) {
  // From python-xxhash 4.1.0 (xxHash 0.8.4), xxh3_128.
  EXPECT_EQ(to_hex(hash128("")), "99aa06d3014798d86001c324468d497f");
  EXPECT_EQ(to_hex(hash128("a")), "a96faf705af16834e6c632b61e964e1f");
  EXPECT_EQ(to_hex(hash128("holdfast")), "d725ef720e130d9fdf1a3c122ca59e45");
  EXPECT_EQ(to_hex(hash128(std::string(1000, 'x'))), "50a1af5a5f2dcf01c0a4877b962cba82");
}

TEST(Hash, PiecesDoNotMatter) {
  std::string text;
  for (int i = 0; i < 5000; ++i) {
    text += static_cast<char>(i * 31);
  }
  for (const std::size_t piece : {1U, 7U, 255U, 256U, 5000U}) {
    Hasher hasher;
    EXPECT_EQ(hasher.digest(), hash128(""));
    for (std::size_t at = 0; at < text.size(); at += piece) {
      hasher.update(std::string_view(text).substr(at, piece));
    }
    EXPECT_EQ(hasher.digest(), hash128(text)) << piece;
  }
}

TEST(Hash, PiecesInParallelAreTheSameForAnyThreads) {
  std::string text((std::size_t{5} << 20) + 3, 'x');
  for (std::size_t i = 0; i < text.size(); i += 7) {
    text[i] = static_cast<char>(i);
  }
  const auto bytes = std::as_bytes(std::span(text));
  const Digest one = hash128_in_pieces(bytes);
  std::string digests;  // by its definition
  for (std::size_t at = 0; at < text.size(); at += std::size_t{1} << 20) {
    const Digest piece = hash128(std::string_view(text).substr(at, std::size_t{1} << 20));
    digests.append(piece.begin(), piece.end());
  }
  EXPECT_EQ(one, hash128(digests));
  const int before = thread_count();
  for (const int threads : {2, 3, 4}) {
    set_thread_count(threads);
    EXPECT_EQ(hash128_in_pieces(bytes), one) << threads;
  }
  set_thread_count(before);
  text.back() = 'y';
  EXPECT_NE(hash128_in_pieces(bytes), one);
  EXPECT_EQ(hash128_in_pieces({}), hash128(""));
}

}  // namespace
}  // namespace holdfast
