#include "train/tfidf.h"

#include <gtest/gtest.h>

#include <map>

#include "base/parallel.h"
#include "tests/reference/golden_json.h"

namespace holdfast {
namespace {

WordRows rows_of(const Json& texts, WordTable& words) {
  WordRows rows;
  for (const Json& text : texts.array()) {
    std::vector<std::int32_t> numbers;
    for (const Json& word : text.array()) numbers.push_back(words.id(word.as_string()));
    rows.add(numbers);
  }
  return rows;
}

TEST(WordTable, NumbersWordsInOrderOfFirstAppearance) {
  WordTable table;
  for (std::int32_t round = 0; round < 2; ++round) {
    for (std::int32_t i = 0; i < 50'000; ++i) {
      EXPECT_EQ(table.id("w" + std::to_string(i * 7)), i);
    }
  }
  EXPECT_EQ(table.id(""), 50'000);  // whatever it is that is counted
  EXPECT_EQ(table.id("w"), 50'001);
  EXPECT_EQ(table.id(""), 50'000);
  EXPECT_EQ(table.size(), 50'002);
}

TEST(Tfidf, RowsEqualScikitLearns) {
  const Json golden = golden_json("recipe_tfidf.json");
  WordTable words;
  const WordRows old_texts = rows_of(golden.at("old"), words);
  const WordRows new_texts = rows_of(golden.at("new"), words);
  const Tfidf tfidf(old_texts, new_texts);
  EXPECT_EQ(tfidf.terms(), words.size());
  SparseRows rows;
  for (const WordRows* texts : {&old_texts, &new_texts}) {
    for (std::int64_t d = 0; d < texts->size(); ++d) tfidf.append_row((*texts)[d], rows);
  }
  const Json::Array& expected = golden.at("rows").array();
  ASSERT_EQ(rows.size(), static_cast<std::int64_t>(expected.size()));
  for (std::size_t d = 0; d < expected.size(); ++d) {
    std::map<std::int32_t, double> weights;
    for (const TermWeight& t : rows[static_cast<std::int64_t>(d)]) weights[t.term] = t.weight;
    ASSERT_EQ(weights.size(), expected[d].items().size());
    for (const auto& [word, weight] : expected[d].items()) {
      EXPECT_NEAR(weights[words.id(word)], weight.as_double(), 1e-12) << d << " " << word;
    }
  }
}

TEST(Tfidf, ScoresEqualScikitLearns) {
  const Json golden = golden_json("recipe_tfidf.json");
  WordTable words;
  const WordRows old_texts = rows_of(golden.at("old"), words);
  const WordRows new_texts = rows_of(golden.at("new"), words);
  const std::vector<double> scores = Tfidf(old_texts, new_texts).scores(old_texts, new_texts);
  const std::vector<double> expected = numbers(golden.at("scores"));
  ASSERT_EQ(scores.size(), expected.size());
  for (std::size_t d = 0; d < scores.size(); ++d) EXPECT_NEAR(scores[d], expected[d], 1e-12) << d;
}

TEST(Tfidf, RowsOfWordsAreSortedAcrossBlocks) {
  WordRows rows;
  for (std::int32_t d = 0; d < 10'000; ++d) {
    if (d % 3 == 0) {
      rows.add({});
    } else {
      rows.add(std::vector<std::int32_t>{d, 1, d});
    }
  }
  ASSERT_EQ(rows.size(), 10'000);
  for (const std::int32_t d : {0, 1, 4094, 4095, 4096, 4097, 8192, 9998, 9999}) {
    const std::span<const std::int32_t> row = rows[d];
    const std::vector<std::int32_t> expected =
        d % 3 == 0 ? std::vector<std::int32_t>{} : std::vector<std::int32_t>{1, d, d};
    EXPECT_EQ(std::vector(row.begin(), row.end()), expected) << d;
  }
}

TEST(Tfidf, CountingIsThatOfTheTokenizersWordsForAnyNumberOfThreads) {
  const Tokenizer tokenizer = Tokenizer::from_vocab({"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"});
  std::vector<std::string> texts;
  for (int i = 0; i < 5000; ++i) {
    texts.push_back("Text number " + std::to_string(i % 71) + ", \u5fc3\u810f x" +
                    std::to_string(i * i % 977));
  }
  const int threads = thread_count();
  for (const int workers : {1, 3}) {
    set_thread_count(workers);
    WordTable table, expected;
    WordCounter counter(tokenizer, table);
    for (const std::string& text : texts) counter.add(text, "a pair");
    const WordRows rows = counter.take();
    ASSERT_EQ(rows.size(), 5000);
    for (std::size_t d = 0; d < texts.size(); ++d) {
      std::vector<std::int32_t> numbers;
      for (const std::string& word : tokenizer.words(texts[d] + " a pair")) {
        numbers.push_back(expected.id(word));
      }
      std::sort(numbers.begin(), numbers.end());
      const std::span<const std::int32_t> row = rows[static_cast<std::int64_t>(d)];
      ASSERT_EQ(std::vector(row.begin(), row.end()), numbers) << d;
    }
  }
  set_thread_count(threads);
}

}  // namespace
}  // namespace holdfast
