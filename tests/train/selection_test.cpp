#include "train/selection.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>
#include <string_view>

#include "base/parallel.h"
#include "tensor/random.h"
#include "tests/reference/expect_error.h"
#include "tests/reference/golden_json.h"

namespace holdfast {
namespace {

using Document = std::vector<std::int32_t>;

WordRows rows_of(const std::vector<Document>& documents) {
  WordRows rows;
  for (const Document& document : documents) rows.add(document);
  return rows;
}

struct Corpus {
  WordTable words;
  WordRows old_texts, new_texts;
  std::vector<std::int32_t> labels;
};

WordRows documents(const Json& texts, WordTable& words) {
  std::vector<Document> result;
  for (const Json& text : texts.array()) {
    result.emplace_back();
    for (const Json& word : text.array()) result.back().push_back(words.id(word.as_string()));
  }
  return rows_of(result);
}

Corpus corpus(const Json& golden) {
  Corpus result;
  result.old_texts = documents(golden.at("old"), result.words);
  result.new_texts = documents(golden.at("new"), result.words);
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

TEST(Selection, ChoosesWhatAnExhaustiveSearchChooses) {
  const Json golden = golden_json("recipe_tfidf.json");
  const Corpus texts = corpus(golden);
  const std::vector<double> scores = numbers(golden.at("scores"));
  for (const Json& expected : golden.at("selections").array()) {
    const std::vector<Selected> selected = select_tfidf(
        texts.old_texts, texts.labels, texts.new_texts, expected.at("count").as_int64(),
        {.quota_by_class = expected.at("quota_by_class").as_bool(),
         .diversity = expected.at("diversity").as_double()});
    std::vector<std::int64_t> chosen;
    for (const double i : numbers(expected.at("chosen")))
      chosen.push_back(static_cast<std::int64_t>(i));
    EXPECT_EQ(indices(selected), chosen) << "count " << chosen.size();
    for (const Selected& s : selected) {
      EXPECT_NEAR(s.score, scores[static_cast<std::size_t>(s.index)], 1e-12);
      EXPECT_FALSE(s.reason.empty());
    }
  }
}

TEST(Selection, TiesGoToTheLowerIndexAndEmptyTextsAreAllowed) {
  const WordRows old_texts = rows_of({{}, {1, 2}, {1, 2}, {3}}), new_texts = rows_of({{1, 2}, {}});
  const std::vector<std::int32_t> labels{0, 0, 0, 0};
  EXPECT_EQ(indices(select_tfidf(old_texts, labels, new_texts, 2,
                                 {.quota_by_class = false, .diversity = 0})),
            (std::vector<std::int64_t>{1, 2}));
  EXPECT_EQ(indices(select_tfidf(old_texts, labels, new_texts, 2,
                                 {.quota_by_class = false, .diversity = 0.9})),
            (std::vector<std::int64_t>{1, 0}));  // a repetition is worth less than nothing at all
}

TEST(Selection, TheSameForAnyNumberOfThreads) {
  const RandomStream stream(5, "texts");
  WordRows old_texts, new_texts;
  std::vector<std::int32_t> labels;
  for (std::uint64_t d = 0; d < 17'100; ++d) {  // more than a chunk of candidates
    Document document;
    for (std::uint64_t w = 0; w < 6; ++w) {
      document.push_back(static_cast<std::int32_t>(stream.below(300, d, w)));
    }
    (d < 17'000 ? old_texts : new_texts).add(document);
    if (d < 17'000) labels.push_back(static_cast<std::int32_t>(stream.below(3, d, 9)));
  }
  const int threads = thread_count();
  for (const bool by_class : {false, true}) {
    std::vector<std::vector<Selected>> results;
    for (const int workers : {1, 3}) {
      set_thread_count(workers);
      results.push_back(select_tfidf(old_texts, labels, new_texts, Budget(4300),
                                     {.quota_by_class = by_class, .diversity = 0.5}));
    }
    ASSERT_EQ(indices(results[0]), indices(results[1])) << by_class;
    for (std::size_t i = 0; i < results[0].size(); ++i) {
      EXPECT_EQ(results[0][i].score, results[1][i].score);
      EXPECT_EQ(results[0][i].reason, results[1][i].reason);
    }
  }
  set_thread_count(threads);
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

TEST(Selection, EveryTextHasTheSameChanceInAReservoir) {
  constexpr int kTexts = 12, kSlots = 5, kSeeds = 6000;
  std::vector<double> kept(kTexts, 0);
  for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
    const std::vector<Selected> selected = select_reservoir(kTexts, kSlots, seed);
    ASSERT_EQ(selected.size(), std::size_t{kSlots});
    for (const Selected& s : selected) ++kept[static_cast<std::size_t>(s.index)];
  }
  // Texts of one reservoir are drawn without replacement: Var = M/N (1 - M/N), of which N - 1 are
  // free.
  const double expected = kSeeds * double{kSlots} / kTexts;
  double chi_square = 0;
  for (const double count : kept) chi_square += (count - expected) * (count - expected);
  chi_square /= expected * (1 - double{kSlots} / kTexts) * kTexts / (kTexts - 1);
  EXPECT_LT(chi_square, 31.3);  // 0.999 quantile, 11 degrees of freedom
  EXPECT_GT(chi_square, 1.6);   // 0.001 quantile: counts that vary too little are no sample either
}

TEST(Selection, AReservoirOfAllTextsKeepsThem) {
  EXPECT_EQ(indices(select_reservoir(3, 3, 1)), (std::vector<std::int64_t>{0, 1, 2}));
  EXPECT_TRUE(select_reservoir(3, 0, 1).empty());
  EXPECT_TRUE(select_reservoir(0, 0, 1).empty());
}

std::int64_t bytes_of(const std::vector<Selected>& selected,
                      const std::vector<std::int64_t>& text_bytes) {
  std::int64_t sum = 0;
  for (const Selected& s : selected) sum += text_bytes[static_cast<std::size_t>(s.index)];
  return sum;
}

TEST(Selection, ABudgetOfBytesIsFilledAsFarAsTextsFit) {
  const Json golden = golden_json("recipe_tfidf.json");
  const Corpus texts = corpus(golden);
  std::vector<std::int64_t> sizes;
  for (std::int64_t i = 0; i < texts.old_texts.size(); ++i) sizes.push_back(10 + i % 7);
  std::vector<float> features;
  for (std::size_t i = 0; i < 2 * sizes.size(); ++i) features.push_back(static_cast<float>(i % 5));
  SelectionSources sources;
  sources.words = [&] { return std::pair(texts.old_texts, texts.new_texts); };
  sources.features = [&] { return features; };
  for (const char* method : {"tfidf", "random", "balanced", "herding", "reservoir"}) {
    for (const std::int64_t bytes : {std::int64_t{100}, std::int64_t{301}}) {
      const std::vector<Selected> kept =
          select_texts(texts.labels, {bytes, sizes},
                       {.method = parse_selection_method(method), .seed = 3}, sources);
      const std::int64_t used = bytes_of(kept, sizes);
      EXPECT_LE(used, bytes) << method;
      // Each of three classes may leave less than its smallest text; a reservoir has fixed slots.
      EXPECT_GT(used, std::string_view(method) == "reservoir" ? bytes / 2 : bytes - 3 * 16)
          << method;
    }
    EXPECT_EQ(select_texts(texts.labels, {1 << 20, sizes},
                           {.method = parse_selection_method(method), .seed = 3}, sources)
                  .size(),
              sizes.size())
        << method;
    EXPECT_TRUE(select_texts(texts.labels, {5, sizes},
                             {.method = parse_selection_method(method), .seed = 3}, sources)
                    .empty())
        << method;
  }
}

TEST(Selection, ATextThatDoesNotFitIsPassedOver) {
  const WordRows old_texts = rows_of({{1, 2}, {1, 2, 3}, {1, 9, 9}}), new_texts = rows_of({{1, 2}});
  const std::vector<std::int32_t> labels{0, 0, 0};
  EXPECT_EQ(indices(select_tfidf(old_texts, labels, new_texts, {10, {8, 7, 2}},
                                 {.quota_by_class = false, .diversity = 0})),
            (std::vector<std::int64_t>{0, 2}));
}

TEST(Selection, RefusesNonsense) {
  const WordRows texts = rows_of({{1}, {2}});
  const std::vector<std::int32_t> labels{0, 1};
  expect_error<std::invalid_argument>("count", "3 texts are to be kept of 2",
                                      [&] { select_tfidf(texts, labels, texts, 3, {}); });
  expect_error<std::invalid_argument>("negative", "-1 texts", [&] { select_random(2, -1, 1); });
  expect_error<std::invalid_argument>("diversity", "diversity is 1.5", [&] {
    select_tfidf(texts, labels, texts, 1, {.diversity = 1.5});
  });
  expect_error<std::invalid_argument>("labels", "2 texts have 1 labels", [&] {
    select_tfidf(texts, std::span(labels).first(1), texts, 1, {});
  });
}

TEST(Selection, RefusesWhatAMethodLacks) {
  const std::vector<std::int32_t> labels{0, 1};
  expect_error<std::invalid_argument>("words", "tfidf needs", [&] {
    select_texts(labels, 1, {.method = SelectionMethod::tfidf}, {});
  });
  expect_error<std::invalid_argument>("features", "herding needs", [&] {
    select_texts(labels, 1, {.method = SelectionMethod::herding}, {});
  });
  expect_error<std::invalid_argument>("sizes", "2 texts have 1 sizes", [&] {
    select_random(2, {5, {5}}, 1);
  });
  expect_error<std::invalid_argument>("name", "unknown selection method \"best\"",
                                      [] { parse_selection_method("best"); });
}

}  // namespace
}  // namespace holdfast
