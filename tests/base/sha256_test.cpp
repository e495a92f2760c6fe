#include "base/sha256.h"

#include <gtest/gtest.h>

#include "base/file.h"
#include "tests/reference/temporary_folder.h"

namespace holdfast {
namespace {

TEST(Sha256, MatchesTheStandard) {
  // NIST, FIPS 180-4 examples.
  EXPECT_EQ(sha256(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha256("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(sha256("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
}

TEST(Sha256, AFileIsReadPieceByPiece) {
  const TemporaryFolder folder;
  for (const std::size_t size : {std::size_t{0}, std::size_t{3}, (std::size_t{2} << 20) + 5}) {
    std::string text;
    for (std::size_t i = 0; i < size; ++i) {
      text += static_cast<char>(i * 31 + i / 1000);
    }
    write_file(folder / "file", text);
    EXPECT_EQ(sha256_file(folder / "file"), sha256(text)) << size;
  }
  EXPECT_THROW(sha256_file(folder / "nothing"), std::runtime_error);
  EXPECT_THROW(sha256_file("/dev/zero"), std::runtime_error);
}

}  // namespace
}  // namespace holdfast
