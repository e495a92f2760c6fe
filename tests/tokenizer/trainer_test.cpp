#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>

#include "tests/reference/expect_error.h"
#include "tokenizer/tokenizer.h"

namespace holdfast {
namespace {

using Texts = std::vector<std::string>;

Texts train(const Texts& texts, std::int64_t size, const TrainerOptions& options = {}) {
  std::size_t at = 0;
  return train_vocabulary(
      [&](std::string& text) {
        if (at == texts.size()) {
          return false;
        }
        text = texts[at++];
        return true;
      },
      size, options);
}

// Words whose syllables are drawn with unequal chances, so that merges have something to find.
Texts random_texts(unsigned seed, int count) {
  const Texts syllables = {"ka", "to", "ri", "sen", "mo", "lu", "\u00E9t", "na", "\u4E2D", "x"};
  std::mt19937 random(seed);
  Texts out;
  for (int i = 0; i < count; ++i) {
    std::string text;
    for (auto words = 1 + random() % 12; words > 0; --words) {
      for (auto k = 1 + random() % 4; k > 0; --k) {
        text += syllables[random() % (1 + random() % syllables.size())];
      }
      text += random() % 6 == 0 ? ", " : " ";
    }
    out.push_back(text);
  }
  return out;
}

// Worked by hand: u+g 20, then u+n 16, h+ug 15, p+un 12, p+ug 5 and hug+s 5 (p has the smaller id),
// b+un 4.
TEST(Trainer, MergesTheMostFrequentPairFirst) {
  Texts texts;
  for (const auto& [word, count] : std::vector<std::pair<std::string, int>>{
           {"hug", 10}, {"pug", 5}, {"pun", 12}, {"bun", 4}, {"hugs", 5}}) {
    texts.insert(texts.end(), static_cast<std::size_t>(count), word);
  }
  const Texts wanted = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "b",    "g",   "h",
                        "n",     "p",     "s",     "u",     "##g",    "##n",  "##s", "##u",
                        "##ug",  "##un",  "hug",   "pun",   "pug",    "hugs", "bun"};
  EXPECT_EQ(train(texts, 100), wanted);
  EXPECT_EQ(train(texts, 18), Texts(wanted.begin(), wanted.begin() + 18));
  EXPECT_EQ(train(texts, 5), Texts(wanted.begin(), wanted.begin() + 16));
}

TEST(Trainer, LeavesRarePairsAlone) {
  const Texts texts = {"ab", "ab", "cd"};
  const Texts wanted = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a",
                        "b",     "c",     "d",     "##b",   "##d",    "ab"};
  EXPECT_EQ(train(texts, 100), wanted);
  TrainerOptions every_pair;
  every_pair.min_frequency = 1;
  EXPECT_EQ(train(texts, 100, every_pair).back(), "cd");
}

TEST(Trainer, CountsRepeatsOfOnePieceAsThePeerDoes) {
  EXPECT_EQ(train({"aaaa", "aaaa"}, 100), (Texts{"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a",
                                                 "##a", "##aa", "aaa", "aaaa"}));
}

TEST(Trainer, NormalisesAsTheTokenizerDoes) {
  const Texts tokens = train({"\u00C9t\u00C9 [MASK]", "\u00C9t\u00C9"}, 100);
  const std::set<std::string> found(tokens.begin(), tokens.end());
  EXPECT_TRUE(found.contains("ete"));
  EXPECT_TRUE(found.contains("["));
  TrainerOptions cased;
  cased.tokenizer.lowercase = false;
  const Texts cased_tokens = train({"\u00C9t\u00C9", "\u00C9t\u00C9"}, 100, cased);
  EXPECT_EQ(cased_tokens.back(), "\u00C9t\u00C9");
}

TEST(Trainer, EncodesEveryTrainingTextWithoutUnknownTokens) {
  for (unsigned seed = 0; seed < 20; ++seed) {
    const Texts texts = random_texts(seed, 40);
    const Texts tokens = train(texts, 60 + seed * 5);
    EXPECT_EQ(std::set<std::string>(tokens.begin(), tokens.end()).size(), tokens.size());
    EXPECT_LE(tokens.size(), 60 + seed * 5);
    const Tokenizer tokenizer = Tokenizer::from_vocab(tokens);
    for (const std::string& text : texts) {
      const Encoding encoding = tokenizer.encode(text);
      std::string joined;
      for (std::size_t i = 1; i + 1 < encoding.ids.size(); ++i) {
        ASSERT_NE(encoding.ids[i], tokenizer.unk_id()) << text;
        const std::string& token = tokenizer.token(encoding.ids[i]);
        joined += token.starts_with("##") ? token.substr(2) : token;
      }
      std::string words;
      for (const std::string& word : tokenizer.words(text)) {
        words += word;
      }
      EXPECT_EQ(joined, words);
    }
  }
}

TEST(Trainer, OrderOfTextsDoesNotMatter) {
  Texts texts = random_texts(99, 60);
  const Texts tokens = train(texts, 90);
  std::reverse(texts.begin(), texts.end());
  EXPECT_EQ(train(texts, 90), tokens);
  EXPECT_EQ(tokens.size(), 90U);
}

TEST(Trainer, RefusesWhatGivesNoVocabulary) {
  expect_error<std::invalid_argument>("small", "4 tokens", [] { train({"a"}, 4); });
  expect_error<std::invalid_argument>("no text", "no word", [] { train({}, 10); });
  expect_error<std::invalid_argument>("no word", "no word", [] { train({" \t", ""}, 10); });
  expect_error<std::invalid_argument>("bad text", "at byte 1", [] { train({"a\xFF"}, 10); });
}

}  // namespace
}  // namespace holdfast
