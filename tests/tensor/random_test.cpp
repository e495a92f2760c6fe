// Philox against the authors' known answers, and the distributions made from it.
#include "tensor/random.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>

namespace holdfast {
namespace {

// Random123 1.14, tests/kat_vectors, lines "philox4x32 10".
TEST(Philox, EqualsTheKnownAnswers) {
  EXPECT_EQ(philox({0, 0, 0, 0}, {0, 0}),
            (PhiloxCounter{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  constexpr std::uint32_t kOnes = 0xffffffff;
  EXPECT_EQ(philox({kOnes, kOnes, kOnes, kOnes}, {kOnes, kOnes}),
            (PhiloxCounter{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
            (PhiloxCounter{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(RandomStream, IsAFunctionOfSeedNameAndPlace) {
  const RandomStream stream(1, "dropout");
  EXPECT_EQ(stream.bits(2, 3), RandomStream(1, "dropout").bits(2, 3));
  std::set<PhiloxCounter> different{stream.bits(2, 3),
                                    stream.bits(3, 2),
                                    stream.bits(2, 4),
                                    stream.bits(std::uint64_t{1} << 40, 3),
                                    stream.bits(2, std::uint64_t{1} << 40),
                                    RandomStream(2, "dropout").bits(2, 3),
                                    RandomStream(std::uint64_t{1} << 40, "dropout").bits(2, 3),
                                    RandomStream(1, "shuffle").bits(2, 3),
                                    RandomStream(1, "").bits(2, 3)};
  EXPECT_EQ(different.size(), 9u);
}

constexpr int kDraws = 200'000;

TEST(RandomStream, UniformIsUniform) {
  const RandomStream stream(5, "uniform");
  std::vector<int> bins(64);
  double sum = 0.0, squares = 0.0;
  for (int i = 0; i < kDraws; ++i) {
    const double u = stream.uniform(7, static_cast<std::uint64_t>(i));
    ASSERT_GE(u, 0.0);
    ASSERT_LT(u, 1.0);
    ++bins[static_cast<std::size_t>(u * 64.0)];
    sum += u, squares += u * u;
  }
  EXPECT_NEAR(sum / kDraws, 0.5, 0.003);
  EXPECT_NEAR(squares / kDraws, 1.0 / 3.0, 0.003);
  double chi_squared = 0.0;
  for (const int count : bins) chi_squared += std::pow(count - kDraws / 64.0, 2) / (kDraws / 64.0);
  EXPECT_LT(chi_squared, 120.0);  // 63 degrees of freedom: 5 deviations above the mean
  EXPECT_GT(chi_squared, 20.0);
}

TEST(RandomStream, BelowReachesEveryNumberEquallyOften) {
  const RandomStream stream(6, "below");
  std::vector<int> counts(7);
  for (int i = 0; i < kDraws; ++i) ++counts[stream.below(7, 0, static_cast<std::uint64_t>(i))];
  for (const int count : counts) EXPECT_NEAR(count, kDraws / 7.0, 5.0 * std::sqrt(kDraws / 7.0));
  EXPECT_EQ(stream.below(1, 0, 0), 0u);
  const std::uint64_t huge = ~std::uint64_t{0};
  std::uint64_t largest = 0;
  for (std::uint64_t i = 0; i < 1000; ++i) largest = std::max(largest, stream.below(huge, 1, i));
  EXPECT_GT(largest, huge / 100 * 98);
}

TEST(RandomStream, NormalIsNormal) {
  const RandomStream stream(7, "normal");
  double sum = 0.0, squares = 0.0, fourth = 0.0;
  for (int i = 0; i < kDraws; ++i) {
    const double z = stream.normal(0, static_cast<std::uint64_t>(i));
    ASSERT_TRUE(std::isfinite(z));
    sum += z, squares += z * z, fourth += z * z * z * z;
  }
  EXPECT_NEAR(sum / kDraws, 0.0, 0.012);
  EXPECT_NEAR(squares / kDraws, 1.0, 0.016);
  EXPECT_NEAR(fourth / kDraws, 3.0, 0.11);
}

TEST(DropoutKey, ScaleKeepsTheMean) {
  EXPECT_FALSE(DropoutKey{}.active());
  EXPECT_EQ(DropoutKey{}.scale(), 1.0);
  DropoutKey key;
  key.threshold = 6554;  // p = 0.1
  EXPECT_TRUE(key.active());
  EXPECT_NEAR(key.scale(), 1.0 / 0.9, 1e-5);
}

}  // namespace
}  // namespace holdfast
