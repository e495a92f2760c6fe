#include "train/herding.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "audit/reference/herding.h"
#include "base/parallel.h"
#include "tensor/random.h"
#include "tests/reference/expect_error.h"

namespace holdfast {
namespace {

std::vector<float> random_features(std::size_t n, std::size_t width, std::uint64_t seed) {
  const RandomStream stream(seed, "features");
  std::vector<float> out;
  for (std::size_t i = 0; i < n * width; ++i) {
    out.push_back(static_cast<float>(stream.normal(0, i) + (i % width == 0 ? 1.0 : 0.0)));
  }
  return out;
}

std::vector<std::int64_t> indices(const std::vector<Selected>& selected) {
  std::vector<std::int64_t> out;
  for (const Selected& s : selected) out.push_back(s.index);
  return out;
}

TEST(Herding, EqualsTheAlgorithmAsWritten) {
  constexpr std::size_t kTexts = 90, kWidth = 7;
  const std::vector<float> features = random_features(kTexts, kWidth, 3);
  std::vector<std::int32_t> labels;
  std::vector<std::int64_t> all, first, second;
  for (std::int64_t i = 0; i < static_cast<std::int64_t>(kTexts); ++i) {
    labels.push_back(i % 3 == 0 ? 4 : 1);
    (i % 3 == 0 ? second : first).push_back(i);
    all.push_back(i);
  }
  EXPECT_EQ(indices(select_herding(features, labels, 31, false)),
            naive_herding(features, kWidth, all, 31));
  std::vector<std::int64_t> expected = naive_herding(features, kWidth, first, 16);
  const std::vector<std::int64_t> of_second = naive_herding(features, kWidth, second, 15);
  expected.insert(expected.end(), of_second.begin(), of_second.end());
  EXPECT_EQ(indices(select_herding(features, labels, 31, true)), expected);
}

TEST(Herding, TheMeanOfThoseKeptComesNearTheMeanOfAll) {
  const std::vector<float> features = random_features(400, 5, 9);
  const std::vector<std::int32_t> labels(400, 0);
  const std::vector<Selected> kept = select_herding(features, labels, 40, true);
  EXPECT_LT(kept.back().score, 0.05);  // of 40 random ones about 1 / sqrt(40)
  EXPECT_GT(kept.front().score, kept.back().score);
}

TEST(Herding, TiesGoToTheLowerIndexAndRowsOfZerosAreAllowed) {
  const std::vector<float> features{0, 0, 1, 0, 1, 0, 2, 0};
  const std::vector<std::int32_t> labels(4, 0);
  EXPECT_EQ(indices(select_herding(features, labels, 4, true)),
            (std::vector<std::int64_t>{1, 0, 2, 3}));  // with 0 as far as with 2
}

TEST(Herding, TheSameForAnyNumberOfThreads) {
  const std::vector<float> features = random_features(2000, 16, 5);
  const std::vector<std::int32_t> labels(2000, 0);
  const int threads = thread_count();
  set_thread_count(1);
  const std::vector<Selected> one = select_herding(features, labels, 50, true);
  set_thread_count(3);
  const std::vector<Selected> three = select_herding(features, labels, 50, true);
  set_thread_count(threads);
  ASSERT_EQ(indices(one), indices(three));
  for (std::size_t i = 0; i < one.size(); ++i) EXPECT_EQ(one[i].score, three[i].score);
}

TEST(Herding, RefusesNonsense) {
  const std::vector<std::int32_t> labels{0, 0};
  expect_error<std::invalid_argument>("uneven", "3 features are not equal rows of 2 texts", [&] {
    select_herding(std::vector<float>{1, 2, 3}, labels, 1, true);
  });
  expect_error<std::invalid_argument>("broken", "text 1 are not finite", [&] {
    select_herding(std::vector<float>{1, std::numeric_limits<float>::quiet_NaN()}, labels, 1, true);
  });
  expect_error<std::invalid_argument>("many", "3 texts are to be kept of 2", [&] {
    select_herding(std::vector<float>{1, 2}, labels, 3, true);
  });
}

}  // namespace
}  // namespace holdfast
