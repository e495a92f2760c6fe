#include "train/selection.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include "tests/reference/expect_error.h"
#include "tests/reference/golden_json.h"

namespace holdfast {
namespace {

struct Corpus {
  WordTable words;
  std::vector<Document> old_documents, new_documents;
  std::vector<std::int32_t> labels;
};

std::vector<Document> documents(const Json& texts, WordTable& words) {
  std::vector<Document> result;
  for (const Json& text : texts.array()) {
    result.emplace_back();
    for (const Json& word : text.array()) result.back().push_back(words.id(word.as_string()));
  }
  return result;
}

Corpus corpus(const Json& golden) {
  Corpus result;
  result.old_documents = documents(golden.at("old"), result.words);
  result.new_documents = documents(golden.at("new"), result.words);
  for (const double y : numbers(golden.at("labels"))) {
    result.labels.push_back(static_cast<std::int32_t>(y));
  }
  return result;
}

std::vector<std::int64_t> indices(const std::vector<Selected>& selected) {
  std::vector<std::int64_t> result;
  for (const Selected& s : selected) result.push_back(s.index);
  return result;
}

TEST(Selection, TfidfRowsEqualScikitLearns) {
  const Json golden = golden_json("recipe_tfidf.json");
  Corpus texts = corpus(golden);
  const std::vector<TfidfRow> rows = tfidf_rows(texts.old_documents, texts.new_documents);
  const Json::Array& expected = golden.at("rows").array();
  ASSERT_EQ(rows.size(), expected.size());
  for (std::size_t d = 0; d < rows.size(); ++d) {
    std::map<std::int32_t, double> weights;
    for (const TermWeight& t : rows[d]) weights[t.term] = t.weight;
    ASSERT_EQ(weights.size(), expected[d].items().size());
    for (const auto& [word, weight] : expected[d].items()) {
      EXPECT_NEAR(weights[texts.words.id(word)], weight.as_double(), 1e-9) << d << " " << word;
    }
  }
}

TEST(Selection, ChoosesWhatAnExhaustiveSearchChooses) {
  const Json golden = golden_json("recipe_tfidf.json");
  const Corpus texts = corpus(golden);
  const std::vector<double> scores = numbers(golden.at("scores"));
  for (const Json& expected : golden.at("selections").array()) {
    const std::vector<Selected> selected =
        select_tfidf(texts.old_documents, texts.labels, texts.new_documents,
                     {.count = expected.at("count").as_int64(),
                      .quota_by_class = expected.at("quota_by_class").as_bool(),
                      .diversity = expected.at("diversity").as_double()});
    std::vector<std::int64_t> chosen;
    for (const double i : numbers(expected.at("chosen")))
      chosen.push_back(static_cast<std::int64_t>(i));
    EXPECT_EQ(indices(selected), chosen) << "count " << chosen.size();
    for (const Selected& s : selected) {
      EXPECT_NEAR(s.score, scores[static_cast<std::size_t>(s.index)], 1e-9);
      EXPECT_FALSE(s.reason.empty());
    }
  }
}

TEST(Selection, TiesGoToTheLowerIndexAndEmptyTextsAreAllowed) {
  const std::vector<Document> old_documents{{}, {1, 2}, {1, 2}, {3}}, new_documents{{1, 2}, {}};
  const std::vector<std::int32_t> labels{0, 0, 0, 0};
  EXPECT_EQ(indices(select_tfidf(old_documents, labels, new_documents,
                                 {.count = 2, .quota_by_class = false, .diversity = 0})),
            (std::vector<std::int64_t>{1, 2}));
  EXPECT_EQ(indices(select_tfidf(old_documents, labels, new_documents,
                                 {.count = 2, .quota_by_class = false, .diversity = 0.9})),
            (std::vector<std::int64_t>{1, 0}));  // a repetition is worth less than nothing at all
}

TEST(Selection, QuotaIsEvenAsFarAsClassesLast) {
  const std::vector<std::int64_t> sizes{10, 2, 0, 5};
  EXPECT_EQ(class_quota(sizes, 9), (std::vector<std::int64_t>{4, 2, 0, 3}));
  EXPECT_EQ(class_quota(sizes, 17), sizes);
  EXPECT_EQ(class_quota(sizes, 0), (std::vector<std::int64_t>{0, 0, 0, 0}));
  EXPECT_EQ(class_quota(sizes, 2), (std::vector<std::int64_t>{1, 1, 0, 0}));
}

TEST(Selection, RandomSubsetsAreEquallyLikely) {
  std::map<std::vector<std::int64_t>, int> seen;
  for (std::uint64_t seed = 0; seed < 6000; ++seed) ++seen[indices(select_random(4, 2, seed))];
  ASSERT_EQ(seen.size(), 6U);
  for (const auto& [subset, count] : seen) {
    EXPECT_TRUE(std::is_sorted(subset.begin(), subset.end()));
    EXPECT_NEAR(count, 1000, 130);  // 4.5 standard deviations
  }
}

TEST(Selection, BalancedDrawsTheQuotaOfEveryClass) {
  std::vector<std::int32_t> labels(20, 0);
  std::fill(labels.begin() + 14, labels.end(), 7);
  const std::vector<Selected> selected = select_balanced(labels, 10, 3);
  std::set<std::int64_t> distinct;
  std::map<std::int32_t, int> counts;
  for (const Selected& s : selected) {
    distinct.insert(s.index);
    ++counts[labels[static_cast<std::size_t>(s.index)]];
  }
  EXPECT_EQ(distinct.size(), 10U);
  EXPECT_EQ(counts[0], 5);
  EXPECT_EQ(counts[7], 5);
  EXPECT_NE(indices(selected), indices(select_balanced(labels, 10, 4)));
}

TEST(Selection, RefusesNonsense) {
  const std::vector<Document> texts{{1}, {2}};
  const std::vector<std::int32_t> labels{0, 1};
  expect_error<std::invalid_argument>("count", "3 texts are to be kept of 2",
                                      [&] { select_tfidf(texts, labels, texts, {.count = 3}); });
  expect_error<std::invalid_argument>("negative", "-1 texts", [&] { select_random(2, -1, 1); });
  expect_error<std::invalid_argument>("diversity", "diversity is 1.5", [&] {
    select_tfidf(texts, labels, texts, {.count = 1, .quota_by_class = true, .diversity = 1.5});
  });
  expect_error<std::invalid_argument>("labels", "2 texts have 1 labels", [&] {
    select_tfidf(texts, std::span(labels).first(1), texts, {.count = 1});
  });
}

}  // namespace
}  // namespace holdfast
