#include "train/per_sample.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "base/parallel.h"
#include "tensor/random.h"
#include "tests/reference/expect_error.h"

namespace holdfast {
namespace {

Tensor random_tensor(const Shape& shape, DType dtype, std::uint64_t seed) {
  const RandomStream stream(seed, "test");
  std::vector<double> values;
  for (std::int64_t i = 0; i < shape.numel(); ++i) {
    values.push_back(stream.normal(0, static_cast<std::uint64_t>(i)));
  }
  return Tensor::from(values, shape).to(dtype);
}

Packing packing_of(const std::vector<std::int32_t>& offsets) {
  return {Tensor::from(offsets, {static_cast<std::int64_t>(offsets.size())}), {}, {}};
}

// Two parameters: a matrix and a vector.
ParameterArena arena_of(const Shape& matrix, std::int64_t vector, DType dtype) {
  ParameterArena arena;
  arena.declare("first", {3}, {NamedSlice{.name = "first", .shape = {3}, .task = {}}});
  arena.declare("matrix", matrix, {NamedSlice{.name = "matrix", .shape = matrix, .task = {}}});
  arena.declare("vector", {vector}, {NamedSlice{.name = "vector", .shape = {vector}, .task = {}}});
  arena.allocate(dtype);
  return arena;
}

// The sums of a parameter.
std::vector<double> sums_of(PerSampleSums& sums, const Parameter& parameter) {
  const auto all = sums.sums().span<double>();
  const auto begin = all.begin() + parameter.value.storage_offset();
  return {begin, begin + parameter.value.numel()};
}

void expect_near(const std::vector<double>& a, const std::vector<double>& b, double relative) {
  ASSERT_EQ(a.size(), b.size());
  double largest = 0;
  for (const double x : b) largest = std::max(largest, std::abs(x));
  for (std::size_t i = 0; i < a.size(); ++i) ASSERT_NEAR(a[i], b[i], relative * largest) << i;
}

double magnitude(double gradient, SumOf what) {
  return what == SumOf::squares ? gradient * gradient : std::abs(gradient);
}

// sum over samples of f(sum over the sample's rows of delta_to x_ti), (O, I); x empty: a column of
// ones.
std::vector<double> naive_sums(const Tensor& x, const Tensor& delta,
                               const std::vector<std::int32_t>& offsets, SumOf what) {
  const auto O = static_cast<std::size_t>(delta.size(1));
  const std::size_t I = x.defined() ? static_cast<std::size_t>(x.size(1)) : 1;
  const std::vector<double> d = delta.to_vector();
  const std::vector<double> values =
      x.defined() ? x.to_vector()
                  : std::vector<double>(static_cast<std::size_t>(delta.size(0)), 1.0);
  std::vector<double> sums(O * I, 0);
  for (std::size_t n = 0; n + 1 < offsets.size(); ++n) {
    for (std::size_t o = 0; o < O; ++o) {
      for (std::size_t i = 0; i < I; ++i) {
        double gradient = 0;
        for (auto t = static_cast<std::size_t>(offsets[n]);
             t < static_cast<std::size_t>(offsets[n + 1]); ++t) {
          gradient += d[t * O + o] * values[t * I + i];
        }
        sums[o * I + i] += magnitude(gradient, what);
      }
    }
  }
  return sums;
}

const std::vector<std::int32_t> kOffsets{0, 1, 6, 6 + 20, 26 + 3, 29 + 8};  // 5 texts, 37 tokens

class PerSample : public testing::TestWithParam<SumOf> {};

INSTANTIATE_TEST_SUITE_P(Sums, PerSample, testing::Values(SumOf::squares, SumOf::absolutes),
                         [](const auto& what) {
                           return what.param == SumOf::squares ? "Squares" : "Absolutes";
                         });

TEST_P(PerSample, LinearOverTokens) {
  for (const DType dtype : {DType::f32, DType::f64}) {
    ParameterArena arena =
        arena_of({130, 300}, 130, dtype);  // several tiles, none of them full at the edges
    PerSampleSums sums(arena, GetParam());
    const Tensor x = random_tensor({37, 300}, dtype, 1), delta = random_tensor({37, 130}, dtype, 2);
    for (int pass = 0; pass < 2; ++pass) {  // passes add up
      sums.begin(packing_of(kOffsets));
      sums.linear(arena[1], &arena[2], x, delta);
    }
    const double bound = dtype == DType::f64 ? 1e-14 : 1e-5;
    std::vector<double> weight = naive_sums(x, delta, kOffsets, GetParam()),
                        bias = naive_sums({}, delta, kOffsets, GetParam());
    for (double& f : weight) f *= 2;
    for (double& f : bias) f *= 2;
    expect_near(sums_of(sums, arena[1]), weight, bound);
    expect_near(sums_of(sums, arena[2]), bias, bound);
    expect_near(sums_of(sums, arena[0]), {0, 0, 0}, 0);
  }
}

TEST_P(PerSample, LinearOverTextsOrSomeOfThem) {
  for (const std::int64_t rows : {5, 3}) {
    ParameterArena arena = arena_of({70, 20}, 70, DType::f64);
    PerSampleSums sums(arena, GetParam());
    const Tensor x = random_tensor({rows, 20}, DType::f64, 1),
                 delta = random_tensor({rows, 70}, DType::f64, 2);
    sums.begin(packing_of(kOffsets));
    sums.linear(arena[1], nullptr, x, delta);
    std::vector<std::int32_t> offsets;
    for (std::int32_t n = 0; n <= rows; ++n) offsets.push_back(n);
    expect_near(sums_of(sums, arena[1]), naive_sums(x, delta, offsets, GetParam()), 1e-14);
    EXPECT_EQ(sums_of(sums, arena[2]), std::vector<double>(70, 0.0));
  }
}

TEST_P(PerSample, Norm) {
  ParameterArena arena = arena_of({1, 70}, 70, DType::f64);
  PerSampleSums sums(arena, GetParam());
  const Tensor xhat = random_tensor({37, 70}, DType::f64, 1),
               delta = random_tensor({37, 70}, DType::f64, 2);
  sums.begin(packing_of(kOffsets));
  sums.norm(arena[1], arena[2], xhat, delta);
  const Tensor product = Tensor::empty({37, 70}, DType::f64);
  for (std::int64_t i = 0; i < product.numel(); ++i) {
    product.data<double>()[i] = xhat.data<double>()[i] * delta.data<double>()[i];
  }
  expect_near(sums_of(sums, arena[1]), naive_sums({}, product, kOffsets, GetParam()), 1e-14);
  expect_near(sums_of(sums, arena[2]), naive_sums({}, delta, kOffsets, GetParam()), 1e-14);
}

// A norm that is used twice in a pass: its two gradients of a sample are added first.
TEST_P(PerSample, NormUsedTwice) {
  ParameterArena arena = arena_of({1, 70}, 70, DType::f64);
  PerSampleSums sums(arena, GetParam());
  const Tensor ones = Tensor::full({37, 70}, DType::f64, 1),
               first = random_tensor({37, 70}, DType::f64, 1),
               second = random_tensor({37, 70}, DType::f64, 2);
  const Tensor both = first.clone();
  for (std::int64_t i = 0; i < both.numel(); ++i) {
    both.data<double>()[i] += second.data<double>()[i];
  }
  for (int pass = 0; pass < 2; ++pass) {
    sums.begin(packing_of(kOffsets));
    sums.norm(arena[1], arena[2], ones, first);
    sums.norm(arena[1], arena[2], ones, second);
  }
  std::vector<double> expected = naive_sums({}, both, kOffsets, GetParam());
  for (double& f : expected) f *= 2;
  expect_near(sums_of(sums, arena[1]), expected, 1e-14);
  expect_near(sums_of(sums, arena[2]), expected, 1e-14);
}

// Repeated tokens: rows of one id of one text are added first, those of different texts are not.
TEST_P(PerSample, EmbeddingAddsEqualIdsOfATextFirst) {
  ParameterArena arena = arena_of({4, 70}, 1, DType::f64);
  PerSampleSums sums(arena, GetParam());
  std::vector<std::int32_t> ids;
  for (std::int32_t t = 0; t < 37; ++t) ids.push_back(t % 3);  // row 3 is never looked up
  const Tensor delta = random_tensor({37, 70}, DType::f64, 2);
  sums.begin(packing_of(kOffsets));
  sums.embedding(arena[1], Tensor::from(ids, {37}), delta);
  std::vector<double> expected(4 * 70, 0);
  for (std::size_t n = 0; n + 1 < kOffsets.size(); ++n) {
    std::map<std::size_t, double> gradient;
    for (auto t = static_cast<std::size_t>(kOffsets[n]);
         t < static_cast<std::size_t>(kOffsets[n + 1]); ++t) {
      for (std::size_t c = 0; c < 70; ++c) {
        gradient[static_cast<std::size_t>(ids[t]) * 70 + c] += delta.data<double>()[t * 70 + c];
      }
    }
    for (const auto& [place, g] : gradient) expected[place] += magnitude(g, GetParam());
  }
  expect_near(sums_of(sums, arena[1]), expected, 1e-14);
}

TEST_P(PerSample, SameBitsForAnyNumberOfThreads) {
  std::vector<std::vector<double>> results;
  for (const int threads : {1, 2, 4}) {
    set_thread_count(threads);
    ParameterArena arena = arena_of({130, 300}, 130, DType::f32);
    PerSampleSums sums(arena, GetParam());
    sums.begin(packing_of(kOffsets));
    sums.linear(arena[1], &arena[2], random_tensor({37, 300}, DType::f32, 1),
                random_tensor({37, 130}, DType::f32, 2));
    results.push_back(sums.sums().to_vector());
  }
  set_thread_count(1);
  EXPECT_EQ(results[0], results[1]);
  EXPECT_EQ(results[0], results[2]);
}

TEST(PerSampleSums, RefusesWhatHasNoPerSampleMeaning) {
  ParameterArena arena = arena_of({4, 4}, 4, DType::f64), other = arena_of({4, 4}, 4, DType::f64);
  PerSampleSums sums(arena, SumOf::squares);
  const Tensor x = random_tensor({37, 4}, DType::f64, 1);
  expect_error<std::logic_error>("order", "begin() was not called",
                                 [&] { sums.linear(arena[1], nullptr, x, x); });
  sums.begin(packing_of(kOffsets));
  sums.linear(arena[1], nullptr, x, x);
  expect_error<std::invalid_argument>("twice", "matrix is used twice in one pass",
                                      [&] { sums.linear(arena[1], nullptr, x, x); });
  expect_error<std::invalid_argument>("dense", "matrix is used by an operation that only knows",
                                      [&] { sums.dense(arena[1], arena[1].value); });
  expect_error<std::invalid_argument>("arena", "matrix is not in the arena",
                                      [&] { sums.linear(other[1], nullptr, x, x); });
  sums.norm(arena[2], arena[0], x, x);
  const Tensor few = random_tensor({3, 4}, DType::f64, 1);
  expect_error<std::invalid_argument>("samples", "vector is used for 5 and for 3 samples",
                                      [&] { sums.norm(arena[2], arena[0], few, few); });
  sums.begin(packing_of(kOffsets));
  const Tensor rows = random_tensor({9, 4}, DType::f64, 1);
  expect_error<std::invalid_argument>("rows", "has 9 rows, the batch 5 texts of 37 tokens",
                                      [&] { sums.linear(arena[1], nullptr, rows, rows); });
}

}  // namespace
}  // namespace holdfast
