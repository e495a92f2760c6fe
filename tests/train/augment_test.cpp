#include "train/augment.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>
#include <sstream>

#include "base/file.h"
#include "base/utf8.h"
#include "tests/reference/expect_error.h"
#include "tests/reference/temporary_folder.h"

namespace holdfast {
namespace {

constexpr char kText[] = "one two three four five six seven eight nine ten";
constexpr std::size_t kWords = 10;
constexpr int kTexts = 4000;

std::vector<std::string> words_of(const std::string& text) {
  std::istringstream in(text);
  std::vector<std::string> words;
  for (std::string word; in >> word;) words.push_back(word);
  return words;
}

Synonyms synonyms(const std::string& csv) {
  const TemporaryFolder folder;
  write_file(folder / "synonyms.csv", csv);
  return Synonyms::read(folder / "synonyms.csv");
}

// Coins of probability p thrown kTexts times in each of `happened.size()` places.
void expect_rate(const std::vector<double>& happened, double p, double low, double high) {
  double chi_square = 0;
  for (const double count : happened) {
    chi_square += (count - kTexts * p) * (count - kTexts * p) / (kTexts * p * (1 - p));
  }
  EXPECT_GT(chi_square, low);
  EXPECT_LT(chi_square, high);
}

TEST(Augment, OffIsTheIdentity) {
  const Augmenter off({}, {}, 7);
  EXPECT_FALSE(off.active());
  EXPECT_EQ(off(kText, 0, 1, 0), kText);
  EXPECT_FALSE(Augmenter({.replace = 0.5}, {}, 7).active());  // there are no synonyms
  const Augmenter on({.replace = 1, .remove = 0, .swap = 1e-12}, synonyms("zero,null\n"), 7);
  for (const char* text :
       {"", "  ", "?!", "\ta  b\n", "a,b;c", "\u5fc3 \u810fx\u75c5,", "\u00e9te\u0301"}) {
    EXPECT_EQ(on(text, 0, 1, 0), text);
  }
}

TEST(Augment, AFunctionOfSeedTaskIdAndEpoch) {
  const AugmentOptions all{.replace = 0, .remove = 0.2, .swap = 0.2, .insert = 0.2};
  const Augmenter first(all, {}, 7), again(all, {}, 7), other(all, {}, 8);
  std::set<std::string> different;
  for (std::int64_t id = 0; id < 20; ++id) {
    for (std::int64_t epoch = 0; epoch < 3; ++epoch) {
      EXPECT_EQ(first(kText, 1, id, epoch), again(kText, 1, id, epoch));
      different.insert(first(kText, 1, id, epoch));
      different.insert(first(kText, 2, id, epoch));
      different.insert(other(kText, 1, id, epoch));
    }
  }
  EXPECT_GT(different.size(), 150U);  // of 180
}

TEST(Augment, RemovesEveryWordAtItsRate) {
  const Augmenter augment({.remove = 0.3}, {}, 11);
  const std::vector<std::string> all = words_of(kText);
  std::vector<double> removed(kWords, 0);
  for (std::int64_t id = 0; id < kTexts; ++id) {
    const std::vector<std::string> left = words_of(augment(kText, 0, id, 0));
    for (std::size_t w = 0; w < kWords; ++w) {
      if (std::find(left.begin(), left.end(), all[w]) == left.end()) ++removed[w];
    }
  }
  expect_rate(removed, 0.3, 1.5, 29.6);  // 0.001 and 0.999 quantiles, 10 degrees of freedom
}

TEST(Augment, SwapsEveryPairAtItsRate) {
  const Augmenter augment({.swap = 0.25}, {}, 11);
  std::vector<double> swapped(3, 0);
  for (std::int64_t id = 0; id < kTexts; ++id) {
    swapped[0] += augment("a b", 0, id, 0) == "b a" ? 1 : 0;
    swapped[1] += augment("a, b", 1, id, 0) == "b, a" ? 1 : 0;
    swapped[2] += augment("a b", 0, id, 1) == "b a" ? 1 : 0;
  }
  expect_rate(swapped, 0.25, 0.02, 16.3);  // 3 degrees of freedom
}

TEST(Augment, SwappingMovesWordsAndLeavesWhatIsBetween) {
  const Augmenter augment({.swap = 1}, {}, 3);
  EXPECT_EQ(augment(" (a), b.  c!", 0, 0, 0), " (b), c.  a!");
}

TEST(Augment, InsertsBehindEveryWordAtItsRate) {
  const Augmenter augment({.insert = 0.2}, {}, 11);
  const std::vector<std::string> all = words_of(kText);
  std::vector<double> inserted(kWords, 0);
  std::map<std::string, double> which;
  for (std::int64_t id = 0; id < kTexts; ++id) {
    const std::vector<std::string> longer = words_of(augment(kText, 0, id, 0));
    std::size_t at = 0;
    for (std::size_t w = 0; w < kWords; ++w) {
      ASSERT_EQ(longer[at++], all[w]);
      const std::size_t rest = longer.size() - at;
      if (rest > 0 && (w + 1 == kWords || longer[at] != all[w + 1] ||
                       (rest > 1 && longer[at + 1] == all[w + 1]))) {
        ++inserted[w];
        ++which[longer[at++]];
      }
    }
    ASSERT_EQ(at, longer.size());
  }
  expect_rate(inserted, 0.2, 1.5, 29.6);
  EXPECT_EQ(which.size(), kWords);
  for (const auto& [word, count] : which) EXPECT_NEAR(count, 0.2 * kTexts, 120) << word;
}

TEST(Augment, ReplacesEveryWordAtItsRateByEachOfItsSynonyms) {
  const Augmenter augment({.replace = 0.4}, synonyms("two,II,deux\nnine,IX,neuf\n"), 11);
  std::vector<double> replaced(2, 0);
  std::map<std::string, double> which;
  for (std::int64_t id = 0; id < kTexts; ++id) {
    const std::vector<std::string> words = words_of(augment(kText, 0, id, 0));
    ASSERT_EQ(words.size(), kWords);
    for (std::size_t i = 0; i < 2; ++i) {
      const std::string& word = words[i == 0 ? 1 : 8];
      if (word != "two" && word != "nine") {
        ++replaced[i];
        ++which[word];
      }
    }
  }
  expect_rate(replaced, 0.4, 0.002, 13.8);  // 2 degrees of freedom
  ASSERT_EQ(which.size(), 4U);
  for (const auto& [word, count] : which) EXPECT_NEAR(count, 0.2 * kTexts, 120) << word;
}

TEST(Augment, TheLongestPhraseIsReplacedWhateverItsCase) {
  const Synonyms table = synonyms(
      "heart,pump\n\"heart attack\",infarction, myocardial infarction "
      "\n\u5fc3\u810f,\u5fc3\u623f\n");
  EXPECT_EQ(table.longest(), 2U);
  const Augmenter augment({.replace = 1}, table, 3);
  const std::string text = augment("A Heart attack, a heart.", 0, 0, 0);
  EXPECT_TRUE(text == "A infarction, a pump." || text == "A myocardial infarction, a pump.")
      << text;
  EXPECT_EQ(augment("\u7684\u5fc3\u810f\u75c5", 0, 0, 0), "\u7684\u5fc3\u623f\u75c5");
}

TEST(Augment, OneWordStaysAtLeast) {
  const Augmenter augment({.remove = 1}, {}, 5);
  std::set<std::string> left;
  for (std::int64_t id = 0; id < 200; ++id) left.insert(augment("a b c", 0, id, 0));
  EXPECT_EQ(left.size(), 3U);  // whichever
  for (const std::string& text : left) EXPECT_EQ(words_of(text).size(), 1U);
  EXPECT_EQ(augment("\u5fc3", 0, 0, 0), "\u5fc3");
}

TEST(Augment, IdeographsAreWordsAndNeedNoSpaces) {
  const std::string text = "\u5fc3\u810f\u75c5\u5f88\u4e25\u91cd";
  EXPECT_EQ(Augmenter({.swap = 1}, {}, 1)(text, 0, 0, 0), "\u810f\u75c5\u5f88\u4e25\u91cd\u5fc3");
  const std::string longer = Augmenter({.insert = 1}, {}, 1)(text, 0, 0, 0);
  EXPECT_EQ(longer.size(), 2 * text.size());
  EXPECT_EQ(longer.find(' '), std::string::npos);
  // Letters on both sides of an ideograph that goes are kept apart.
  std::set<std::string> left;
  for (std::int64_t id = 0; id < 100; ++id) {
    left.insert(Augmenter({.remove = 0.4}, {}, 1)("ab\u5fc3cd", 0, id, 0));
  }
  EXPECT_TRUE(left.contains("ab cd"));
  EXPECT_FALSE(left.contains("abcd"));
}

TEST(Augment, Utf8StaysValid) {
  const std::string text =
      "\u00c9t\u00e9 \U0001f600\u5fc3\u810f\u3002na\u0308ive\u200bx \u0e44\u0e17\u0e22 "
      "\u05d0\u05d1, \u300c\u75c5\u300d\u00a0end";
  const Augmenter augment({.replace = 0.5, .remove = 0.3, .swap = 0.3, .insert = 0.3},
                          synonyms("end,\u7d42\u308f\u308a,fin\n"), 13);
  std::set<std::string> different;
  for (std::int64_t id = 0; id < 300; ++id) {
    const std::string changed = augment(text, 0, id, 0);
    EXPECT_EQ(utf8::first_invalid(changed), std::string::npos);
    EXPECT_FALSE(changed.empty());
    different.insert(changed);
  }
  EXPECT_GT(different.size(), 250U);
}

TEST(Augment, RefusesNonsense) {
  expect_error<std::invalid_argument>("rate", "swap is 1.5",
                                      [] { Augmenter({.swap = 1.5}, {}, 1); });
  struct {
    const char *name, *csv, *error;
  } cases[] = {
      {"alone", "a,b\nheart\n", "synonyms.csv:2: a word and at least one synonym"},
      {"empty", "a,\n", "synonyms.csv:1: a field is empty"},
      {"blank", "a, ,c\n", "synonyms.csv:1: a field is empty"},
      {"no word", "...,dots\n", "synonyms.csv:1: the first field has no word in it"},
      {"twice", "a,b\nA,c\n", "synonyms.csv:2: \"a\" has a line already"},
  };
  for (const auto& c : cases) {
    expect_error<std::runtime_error>(c.name, c.error, [&] { synonyms(c.csv); });
  }
  expect_error<std::runtime_error>("kind", "synonyms are read from .csv or .tsv", [] {
    const TemporaryFolder folder;
    write_file(folder / "s.json", "{}");
    Synonyms::read(folder / "s.json");
  });
}

}  // namespace
}  // namespace holdfast
