#include "tokenizer/wordpiece.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

#include "tests/reference/wordpiece.h"
#include "tokenizer/trie.h"

namespace holdfast {
namespace {

std::vector<reference::Piece> tokenize(const WordPiece& wordpiece, std::string_view word) {
  std::vector<WordPiece::Piece> pieces;
  wordpiece.tokenize(word, pieces);
  std::vector<reference::Piece> out;
  for (const WordPiece::Piece& piece : pieces) {
    out.emplace_back(piece.id, piece.begin, piece.end);
  }
  return out;
}

WordPiece make(const std::vector<std::string>& tokens, int max_chars = 100) {
  return {tokens, std::vector<bool>(tokens.size()), 0, max_chars};
}

std::string random_word(std::mt19937& random, std::string_view letters, unsigned max_size) {
  std::string out;
  for (auto size = 1 + random() % max_size; size > 0; --size) {
    out += letters[random() % letters.size()];
  }
  return out;
}

TEST(WordPiece, EqualsTheNaiveSearchOnRandomVocabularies) {
  std::mt19937 random(1);
  for (int round = 0; round < 200; ++round) {
    std::vector<std::string> tokens = {"[UNK]"};
    std::map<std::string, std::int32_t> ids;
    for (auto i = random() % 60 + 1; i > 0; --i) {
      tokens.push_back((random() % 2 == 0 ? "##" : "") + random_word(random, "abc", 5));
      ids[tokens.back()] = static_cast<std::int32_t>(tokens.size() - 1);
    }
    const WordPiece wordpiece = make(tokens);
    for (int i = 0; i < 100; ++i) {
      const std::string word = random_word(random, "abc", 12);
      ASSERT_EQ(tokenize(wordpiece, word), reference::wordpiece(ids, word, 0)) << word;
    }
    for (const auto& [token, id] : ids) {
      EXPECT_EQ(wordpiece.id(token), id);
    }
  }
}

TEST(WordPiece, TakesTheLongestPieceEvenWhereThatFails) {
  const WordPiece wordpiece = make({"[UNK]", "ab", "abc", "##cd", "##d"});
  EXPECT_EQ(tokenize(wordpiece, "abd"), (std::vector<reference::Piece>{{1, 0, 2}, {4, 2, 3}}));
  EXPECT_EQ(tokenize(wordpiece, "abcd"), (std::vector<reference::Piece>{{2, 0, 3}, {4, 3, 4}}));
  EXPECT_EQ(tokenize(wordpiece, "abccd"), (std::vector<reference::Piece>{{2, 0, 3}, {3, 3, 5}}));
  EXPECT_EQ(tokenize(wordpiece, "abcc"), (std::vector<reference::Piece>{{0, 0, 4}}));
}

TEST(WordPiece, CountsCharactersNotBytes) {
  const WordPiece wordpiece = make({"[UNK]", "\u00E9", "##\u00E9"}, 3);
  EXPECT_EQ(tokenize(wordpiece, "\u00E9\u00E9\u00E9").size(), 3U);
  EXPECT_EQ(tokenize(wordpiece, "\u00E9\u00E9\u00E9\u00E9"),
            (std::vector<reference::Piece>{{0, 0, 8}}));
}

TEST(WordPiece, NeedsContinuationsToGoOn) {
  const WordPiece wordpiece = make({"[UNK]", "a", "b"});
  EXPECT_EQ(tokenize(wordpiece, "ab"), (std::vector<reference::Piece>{{0, 0, 2}}));
}

TEST(WordPiece, LastOfEqualTokensCountsAndOutsidersDoNot) {
  const WordPiece wordpiece({"[UNK]", "a", "a", "b", ""}, {false, false, false, true, false}, 0,
                            100);
  EXPECT_EQ(wordpiece.id("a"), 2);
  EXPECT_EQ(wordpiece.id("b"), -1);
  EXPECT_EQ(wordpiece.id(""), 4);
  EXPECT_EQ(wordpiece.id("ab"), -1);
  EXPECT_EQ(tokenize(wordpiece, "b"), (std::vector<reference::Piece>{{0, 0, 1}}));
}

TEST(Trie, HoldsAnyBytes) {
  std::vector<std::string> keys;
  for (int byte = 0; byte < 256; ++byte) keys.emplace_back(1, static_cast<char>(byte));
  for (int byte = 0; byte < 256; ++byte) keys.emplace_back(2, static_cast<char>(byte));
  Trie::Entries entries;
  for (const std::string& key : keys)
    entries.emplace_back(key, static_cast<std::int32_t>(entries.size()));
  const Trie trie(entries);
  for (const auto& [key, value] : entries) {
    EXPECT_EQ(trie.find(key), value);
  }
  EXPECT_EQ(trie.find("ab"), Trie::kNone);
  EXPECT_EQ(trie.longest("aaa", 0).value, 256 + 'a');
  EXPECT_EQ(trie.longest("aaa", 2).end, 3U);
  EXPECT_EQ(trie.find(std::string(3, '\xFF')), Trie::kNone);
}

// Keys that share their first eight bytes and more, and zeros at the end, which a sort key of eight
// bytes does not tell apart.
TEST(Trie, TellsLongKeysApart) {
  using namespace std::string_literals;
  const std::vector<std::string> keys = {"abcdefgh"s,   "abcdefghij"s, "abcdefgh\0"s,
                                         "abc"s,        "abc\0"s,      "abc\0\0"s,
                                         "abcdefghik"s, "abcdefghi"s,  "abcdefgh\0\0"s};
  Trie::Entries entries;
  for (const std::string& key : keys)
    entries.emplace_back(key, static_cast<std::int32_t>(entries.size()));
  const Trie trie(entries);
  for (const auto& [key, value] : entries) EXPECT_EQ(trie.find(key), value);
  EXPECT_EQ(trie.find("abcdefghx"), Trie::kNone);
  EXPECT_EQ(Trie({{"a", 1}, {"a", 0}}).find("a"), 0);  // the last one counts
}

TEST(Trie, EmptyFindsNothing) {
  const Trie trie;
  EXPECT_EQ(trie.find(""), Trie::kNone);
  EXPECT_EQ(trie.longest("abc", 0).value, Trie::kNone);
}

}  // namespace
}  // namespace holdfast
