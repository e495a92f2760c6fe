#include "tokenizer/tokenizer.h"

#include <gtest/gtest.h>

#include <random>

#include "base/utf8.h"
#include "tests/reference/expect_error.h"

namespace holdfast {
namespace {

using Words = std::vector<std::string>;
using Offsets = std::vector<std::pair<std::int64_t, std::int64_t>>;

const Words kTokens = {"[PAD]", "[UNK]", "[CLS]",     "[SEP]", "[MASK]", "play",
                       "##ing", "##ed",  "caf\u00E9", "cafe",  "."};

TEST(Tokenizer, KnowsItsTokens) {
  const Tokenizer tokenizer = Tokenizer::from_vocab(kTokens);
  EXPECT_EQ(tokenizer.size(), 11);
  EXPECT_EQ(tokenizer.token(5), "play");
  EXPECT_EQ(tokenizer.id("##ing"), 6);
  EXPECT_EQ(tokenizer.id("ing"), -1);
  EXPECT_EQ(tokenizer.pad_id(), 0);
  EXPECT_EQ(tokenizer.unk_id(), 1);
  EXPECT_EQ(tokenizer.cls_id(), 2);
  EXPECT_EQ(tokenizer.sep_id(), 3);
  EXPECT_EQ(tokenizer.mask_id(), 4);
}

TEST(Tokenizer, EncodesWithOffsetsOfTheOriginalText) {
  const Tokenizer tokenizer = Tokenizer::from_vocab(kTokens);
  const Encoding encoding = tokenizer.encode(" PLAYING\u00AD caf\u0065\u0301. [MASK]zz");
  EXPECT_EQ(encoding.ids, (std::vector<std::int32_t>{2, 5, 6, 9, 10, 4, 1, 3}));
  EXPECT_EQ(encoding.type_ids, std::vector<std::int32_t>(8, 0));
  EXPECT_EQ(encoding.offsets,
            (Offsets{{0, 0}, {1, 5}, {5, 8}, {11, 15}, {17, 18}, {19, 25}, {25, 27}, {0, 0}}));
}

TEST(Tokenizer, EncodesPairs) {
  const Tokenizer tokenizer = Tokenizer::from_vocab(kTokens);
  const Encoding encoding = tokenizer.encode("played", "cafe.", 0);
  EXPECT_EQ(encoding.ids, (std::vector<std::int32_t>{2, 5, 7, 3, 9, 10, 3}));
  EXPECT_EQ(encoding.type_ids, (std::vector<std::int32_t>{0, 0, 0, 0, 1, 1, 1}));
  EXPECT_EQ(encoding.offsets, (Offsets{{0, 0}, {0, 4}, {4, 6}, {0, 0}, {0, 4}, {4, 5}, {0, 0}}));
}

TEST(Tokenizer, CutTextsAreAPrefixOfTheWholeOnes) {
  const Tokenizer tokenizer = Tokenizer::from_vocab(kTokens);
  const std::string text = "played playing [MASK] unknown cafe. [SEP]. playing";
  const Encoding whole = tokenizer.encode(text);
  for (std::int64_t length = 2; length <= 20; ++length) {
    const Encoding cut = tokenizer.encode(text, length);
    const auto size = std::min(whole.ids.size(), static_cast<std::size_t>(length));
    ASSERT_EQ(cut.ids.size(), size);
    EXPECT_TRUE(std::equal(cut.ids.begin(), cut.ids.end() - 1, whole.ids.begin()));
    EXPECT_TRUE(std::equal(cut.offsets.begin(), cut.offsets.end() - 1, whole.offsets.begin()));
    EXPECT_EQ(cut.ids.back(), tokenizer.sep_id());
  }
}

TEST(Tokenizer, WordsAreNormalisedAndKeepPunctuation) {
  const Tokenizer tokenizer = Tokenizer::from_vocab(kTokens);
  EXPECT_EQ(tokenizer.words("D\u00E9j\u00E0-vu, \u4E2D\u6587\t[MASK]"),
            (Words{"deja", "-", "vu", ",", "\u4E2D", "\u6587", "[", "mask", "]"}));
  EXPECT_TRUE(tokenizer.words(" \n ").empty());
  EXPECT_EQ(Tokenizer::from_vocab(kTokens, {.lowercase = false}).words("D\u00E9j\u00E0"),
            (Words{"D\u00E9j\u00E0"}));
}

// Offsets lie in order inside the text, on borders of characters.
TEST(Tokenizer, OffsetsOfRandomTextsAreInOrder) {
  const Tokenizer tokenizer = Tokenizer::from_vocab(kTokens);
  std::mt19937 random(3);
  for (int round = 0; round < 3000; ++round) {
    std::string text;
    for (auto n = random() % 20; n > 0; --n) {
      const auto high = random() % 3 == 0 ? 0x10FFFFUL : random() % 2 == 0 ? 0x7FUL : 0x36FUL;
      const auto c = static_cast<char32_t>(random() % (high + 1));
      utf8::append(text, c >= 0xD800 && c < 0xE000 ? U'\u0301' : c);
    }
    const Encoding encoding = tokenizer.encode(text);
    ASSERT_EQ(encoding.offsets.size(), encoding.ids.size());
    std::int64_t last = 0;
    for (std::size_t i = 1; i + 1 < encoding.ids.size(); ++i) {
      const auto [begin, end] = encoding.offsets[i];
      ASSERT_LE(last, begin);
      ASSERT_LT(begin, end);
      ASSERT_LE(end, static_cast<std::int64_t>(text.size()));
      const std::string_view part = std::string_view(text).substr(
          static_cast<std::size_t>(begin), static_cast<std::size_t>(end - begin));
      ASSERT_EQ(utf8::first_invalid(part), std::string_view::npos);
      last = begin;
    }
  }
}

TEST(Tokenizer, RefusesBadArguments) {
  const Tokenizer tokenizer = Tokenizer::from_vocab(kTokens);
  expect_error<std::invalid_argument>("not UTF-8", "at byte 2",
                                      [&] { tokenizer.encode("ab\xC3"); });
  expect_error<std::invalid_argument>("pair not UTF-8", "at byte 0",
                                      [&] { tokenizer.encode("", "\xC0\x80", 0); });
  expect_error<std::invalid_argument>("words not UTF-8", "at byte 0",
                                      [&] { tokenizer.words("\xED\xA0\x80"); });
  expect_error<std::invalid_argument>("short", "max_length is 1",
                                      [&] { tokenizer.encode("a", 1); });
  expect_error<std::invalid_argument>("short pair", "max_length is 2",
                                      [&] { tokenizer.encode("a", "b", 2); });
  expect_error<std::invalid_argument>("negative", "max_length is -1",
                                      [&] { tokenizer.encode("a", -1); });
  expect_error<std::invalid_argument>("negative id", "no token -1", [&] { tokenizer.token(-1); });
  expect_error<std::invalid_argument>("large id", "no token 11", [&] { tokenizer.token(11); });
  expect_error<std::runtime_error>("no [CLS]", "[CLS]", [] {
    Tokenizer::from_vocab({"[PAD]", "[UNK]", "[SEP]"});
  });
}

}  // namespace
}  // namespace holdfast
