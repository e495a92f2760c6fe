#include "base/hash.h"

#include <gtest/gtest.h>

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

}  // namespace
}  // namespace holdfast
