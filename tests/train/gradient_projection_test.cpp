#include "train/gradient_projection.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "base/parallel.h"
#include "tests/reference/expect_error.h"
#include "tests/train/arena_fixture.h"

namespace holdfast {
namespace {

constexpr std::int64_t kCount = 3 * kPiece + 100;
const std::vector<ArenaSpan> kSpans{{16, kPiece + 5}, {2 * kPiece, kCount - 7}};

Tensor random_gradient(std::uint64_t seed, DType dtype) {
  return reference::random_tensor({kCount}, seed, -1, 1, dtype);
}

double dot(const Tensor& a, const Tensor& b) {
  const std::vector<double> x = a.to_vector(), y = b.to_vector();
  long double sum = 0;
  for (const auto& [begin, end] : kSpans) {
    for (std::int64_t i = begin; i < end; ++i) {
      const auto at = static_cast<std::size_t>(i);
      sum += static_cast<long double>(x[at]) * y[at];
    }
  }
  return static_cast<double>(sum);
}

// r, or -r, whichever has the wanted sign of g.r.
Tensor with_sign(const Tensor& g, const Tensor& r, double sign) {
  if (dot(g, r) * sign > 0) return r;
  std::vector<double> turned = r.to_vector();
  for (double& x : turned) x = -x;
  return Tensor::from(turned, r.shape()).to(r.dtype());
}

TEST(GradientProjection, TakesOutWhatWouldRaiseTheOldLoss) {
  for (const DType dtype : {DType::f32, DType::f64}) {
    const Tensor before = random_gradient(1, dtype), g = before.clone();
    const Tensor r = with_sign(g, random_gradient(2, dtype), -1);
    const double gg = dot(g, g), gr = dot(g, r), rr = dot(r, r);
    ASSERT_LT(gr, 0);
    const Projection projection = project(g, r, kSpans);
    EXPECT_TRUE(projection.acted);
    EXPECT_NEAR(projection.cosine, gr / std::sqrt(gg * rr), 1e-12);
    const double epsilon = dtype == DType::f32 ? 0x1p-23 : 0x1p-52;
    EXPECT_LE(std::abs(dot(g, r)), epsilon * std::sqrt(gg * rr));
    const std::vector<double> x = before.to_vector(), y = r.to_vector(), z = g.to_vector();
    for (std::size_t i = 0; i < x.size(); ++i) {
      const auto at = static_cast<std::int64_t>(i);
      const bool inside = (at >= 16 && at < kPiece + 5) || (at >= 2 * kPiece && at < kCount - 7);
      if (inside) {
        ASSERT_NEAR(z[i], x[i] - gr / rr * y[i], 2 * epsilon) << i;
      } else {
        ASSERT_EQ(z[i], x[i]) << i;
      }
    }
  }
}

TEST(GradientProjection, LeavesAnAgreeingGradientAlone) {
  const Tensor before = random_gradient(1, DType::f32), g = before.clone();
  const Projection projection = project(g, with_sign(g, random_gradient(2, DType::f32), 1), kSpans);
  EXPECT_FALSE(projection.acted);
  EXPECT_GT(projection.cosine, 0);
  EXPECT_TRUE(same_bits(g, before));
}

TEST(GradientProjection, ZeroAndNonFiniteGradientsAreLeftAlone) {
  const Tensor zero = Tensor::zeros({kCount}, DType::f32);
  const Tensor broken = Tensor::full({kCount}, DType::f32, std::numeric_limits<double>::infinity());
  for (const Tensor& r : {zero, broken}) {
    const Tensor before = random_gradient(1, DType::f32), g = before.clone();
    EXPECT_FALSE(project(g, r, kSpans).acted);
    EXPECT_TRUE(same_bits(g, before));
    EXPECT_FALSE(project(r.clone(), g, kSpans).acted);
  }
  EXPECT_EQ(project(zero, zero, kSpans).cosine, 0);
}

TEST(GradientProjection, SameBitsForAnyNumberOfThreads) {
  const Tensor start = random_gradient(1, DType::f32);
  const Tensor r = with_sign(start, random_gradient(2, DType::f32), -1);
  std::vector<Tensor> results;
  for (const int threads : {1, 2, 4}) {
    set_thread_count(threads);
    results.push_back(start.clone());
    project(results.back(), r, kSpans);
  }
  set_thread_count(1);
  EXPECT_TRUE(same_bits(results[0], results[1]));
  EXPECT_TRUE(same_bits(results[0], results[2]));
}

TEST(GradientProjection, RefusesGradientsOfDifferentModels) {
  expect_error<std::invalid_argument>("size", "is (4), that of the memory (5)", [] {
    project(Tensor::zeros({4}, DType::f32), Tensor::zeros({5}, DType::f32), {});
  });
}

}  // namespace
}  // namespace holdfast
