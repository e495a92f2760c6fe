#include "train/importance.h"

#include <gtest/gtest.h>

#include <limits>

#include "base/parallel.h"
#include "tensor/random.h"
#include "tests/reference/expect_error.h"
#include "train/penalty.h"

namespace holdfast {
namespace {

// Three tensors, two of them one parameter; a gap after each parameter.
ParameterArena arena_of_three(DType dtype = DType::f64) {
  ParameterArena arena;
  arena.declare("qk", {2, 3},
                {NamedSlice{.name = "query", .shape = {1, 3}, .task = {}},
                 NamedSlice{.name = "key", .shape = {1, 3}, .task = {}}});
  arena.declare("unseen", {5}, {NamedSlice{.name = "unseen", .shape = {5}, .task = {}}});
  arena.allocate(dtype);
  return arena;
}

// query 0 2 4 (mean of the positive 3), key 10 10 40 (mean 20), unseen 0.
Tensor importance_of_three() {
  const Tensor f = Tensor::zeros({32}, DType::f64);
  const double values[] = {0, 2, 4, 10, 10, 40};
  std::copy(std::begin(values), std::end(values), f.data<double>());
  return f;
}

TEST(Importance, NamesGoBothWays) {
  for (const char* name : {"true", "empirical", "sampled", "sketch", "mas", "si"}) {
    EXPECT_EQ(name_of(parse_importance_kind(name)), name);
  }
  for (const char* name : {"none", "mean", "max", "tensor"}) {
    EXPECT_EQ(name_of(parse_normalization(name)), name);
  }
  expect_error<std::invalid_argument>("kind",
                                      "unknown kind of importance \"exact\"; known: \"true\"",
                                      [] { parse_importance_kind("exact"); });
}

TEST(Importance, NormalisedByTensorHasMeanOneInEachThatMatters) {
  const ParameterArena arena = arena_of_three();
  const Tensor sum = Tensor::zeros({32}, DType::f64);
  const ImportanceScale scale =
      add_normalised(importance_of_three(), arena.slices(), Normalization::tensor, 1, sum);
  EXPECT_EQ(scale.divisor, 0);
  EXPECT_DOUBLE_EQ(scale.mean_positive, 66.0 / 5);
  EXPECT_DOUBLE_EQ(scale.positive_share, 5.0 / 11);
  const std::vector<double> expected{0, 2.0 / 3, 4.0 / 3, 0.5, 0.5, 2};
  for (std::size_t i = 0; i < 32; ++i) {
    EXPECT_DOUBLE_EQ(sum.data<double>()[i], i < 6 ? expected[i] : 0) << i;
  }
}

// Online EWC over three tasks: the newest counts 1, the one before 0.5, the oldest 0.25, each
// normalised by itself.
TEST(Importance, DecayedTasksAddUpAfterNormalisation) {
  const ParameterArena arena = arena_of_three();
  EwcPenalty penalty(0.3, arena);
  const Tensor flat = Tensor::zeros({32}, DType::f64);
  flat.slice(0, 0, 6).fill(1000);
  penalty.add(importance_of_three(), Normalization::max, 0.25);
  penalty.add(flat, Normalization::mean, 0.5);
  penalty.add(importance_of_three(), Normalization::none, 1);
  const std::vector<double> raw{0, 2, 4, 10, 10, 40};
  for (std::size_t i = 0; i < 6; ++i) {
    EXPECT_DOUBLE_EQ(penalty.importance().data<double>()[i], raw[i] / 40 * 0.25 + 0.5 + raw[i]);
  }
  const Tensor before = penalty.importance().clone();
  penalty.add(importance_of_three(), Normalization::tensor, 0);  // forgotten altogether
  EXPECT_EQ(penalty.importance().to_vector(), before.to_vector());
}

TEST(Importance, RefusesFactorsThatMeanNothing) {
  EwcPenalty penalty(0.3, arena_of_three());
  for (const double factor :
       {-0.5, std::numeric_limits<double>::infinity(), std::numeric_limits<double>::quiet_NaN()}) {
    expect_error<std::invalid_argument>("factor", "a task's factor is", [&] {
      penalty.add(importance_of_three(), Normalization::mean, factor);
    });
  }
}

TEST(Importance, SameBitsForAnyNumberOfThreads) {
  ParameterArena arena;
  for (const char* name : {"a", "b"}) {
    arena.declare(name, {50'000}, {NamedSlice{.name = name, .shape = {50'000}, .task = {}}});
  }
  arena.allocate(DType::f32);
  const RandomStream stream(1, "test");
  const Tensor f = Tensor::zeros({arena.numel()}, DType::f32);
  for (std::int64_t i = 0; i < arena.numel(); ++i) {
    f.data<float>()[i] = static_cast<float>(stream.uniform(0, static_cast<std::uint64_t>(i)));
  }
  std::vector<std::vector<double>> results;
  for (const int threads : {1, 2, 4}) {
    set_thread_count(threads);
    const Tensor sum = Tensor::full({arena.numel()}, DType::f32, 0.1);
    add_normalised(f, arena.slices(), Normalization::tensor, 0.7, sum);
    results.push_back(sum.to_vector());
  }
  set_thread_count(1);
  EXPECT_EQ(results[0], results[1]);
  EXPECT_EQ(results[0], results[2]);
}

}  // namespace
}  // namespace holdfast
