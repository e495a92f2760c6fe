#include "train/penalty.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tensor/random.h"
#include "tests/reference/expect_error.h"

namespace holdfast {
namespace {

Tensor random_tensor(std::int64_t n, std::uint64_t seed) {
  const RandomStream stream(seed, "test");
  std::vector<double> values;
  for (std::int64_t i = 0; i < n; ++i)
    values.push_back(stream.normal(0, static_cast<std::uint64_t>(i)));
  return Tensor::from(values, {n});
}

ParameterArena arena_of(const Tensor& values) {
  ParameterArena arena;
  arena.declare("weight", values.shape(),
                {NamedSlice{.name = "weight", .shape = values.shape(), .task = {}}});
  arena.allocate(values.dtype());
  arena[0].value.copy_from(values);
  return arena;
}

// 32 importances: half zero, the others 1, 2, ... 16, with mean 8.5.
Tensor importance() {
  const Tensor f = Tensor::zeros({32}, DType::f64);
  for (std::int64_t i = 0; i < 16; ++i) f.data<double>()[2 * i] = static_cast<double>(i + 1);
  return f;
}

TEST(Ewc, NormalisationsDivideByMeanOfPositiveOrByMaximum) {
  const ParameterArena arena = arena_of(random_tensor(32, 1));
  for (const auto& [normalization, divisor] :
       {std::pair{Normalization::none, 1.0}, std::pair{Normalization::mean, 8.5},
        std::pair{Normalization::max, 16.0}}) {
    EwcPenalty penalty(0.3, arena);
    const ImportanceScale scale = penalty.add(importance(), normalization);
    EXPECT_DOUBLE_EQ(scale.mean_positive, 8.5);
    EXPECT_DOUBLE_EQ(scale.maximum, 16);
    EXPECT_DOUBLE_EQ(scale.positive_share, 0.5);
    EXPECT_DOUBLE_EQ(scale.divisor, divisor);
    for (std::int64_t i = 0; i < 32; ++i) {
      EXPECT_DOUBLE_EQ(penalty.importance().data<double>()[i],
                       importance().data<double>()[i] / divisor);
    }
  }
}

TEST(Ewc, SeveralOldTasksAddUpAfterNormalisation) {
  EwcPenalty penalty(0.3, arena_of(random_tensor(32, 1)));
  penalty.add(importance(), Normalization::mean);
  penalty.add(Tensor::full({32}, DType::f64, 1000), Normalization::mean);
  EXPECT_DOUBLE_EQ(penalty.importance().data<double>()[1], 1);
  EXPECT_DOUBLE_EQ(penalty.importance().data<double>()[2], 1 + 2 / 8.5);
}

TEST(Ewc, GradientEqualsFiniteDifferencesOfTheValue) {
  const Tensor old = random_tensor(32, 1), theta = random_tensor(32, 2);
  EwcPenalty penalty(0.7, arena_of(old));
  penalty.add(importance(), Normalization::mean);
  const Tensor gradient = Tensor::full({32}, DType::f64, 5);
  penalty.add_gradient(theta, gradient);
  for (std::int64_t i = 0; i < 32; ++i) {
    double& x = theta.data<double>()[i];
    const double at = x, h = 1e-3;  // quadratic: central differences are exact but for rounding
    x = at + h;
    const double above = penalty.value(theta);
    x = at - h;
    const double below = penalty.value(theta);
    x = at;
    EXPECT_NEAR(gradient.data<double>()[i] - 5, (above - below) / (2 * h), 1e-9) << i;
  }
}

TEST(Ewc, ValueIsZeroAtTheAnchorWhichIsACopy) {
  ParameterArena arena = arena_of(random_tensor(32, 1));
  EwcPenalty penalty(0.3, arena);
  penalty.add(importance(), Normalization::none);
  EXPECT_EQ(penalty.value(arena.values()), 0);
  arena[0].value.data<double>()[2] += 2;
  EXPECT_NEAR(penalty.value(arena.values()), 0.3 * 2 * 4, 1e-14);
}

TEST(Ewc, RefusesImportanceThatHoldsNothing) {
  EwcPenalty penalty(0.3, arena_of(random_tensor(32, 1)));
  expect_error<std::invalid_argument>("zero", "zero everywhere", [&] {
    penalty.add(Tensor::zeros({32}, DType::f64), Normalization::mean);
  });
  expect_error<std::invalid_argument>("size", "importance is f64 (31), the model f64 (32)", [&] {
    penalty.add(Tensor::full({31}, DType::f64, 1), Normalization::mean);
  });
  for (const double bad :
       {-1.0, std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()}) {
    const Tensor f = importance();
    f.data<double>()[3] = bad;
    expect_error<std::invalid_argument>("value", "negative or non-finite",
                                        [&] { penalty.add(f, Normalization::mean); });
  }
  expect_error<std::invalid_argument>("lambda", "lambda is -1",
                                      [] { EwcPenalty(-1, arena_of(random_tensor(32, 1))); });
  expect_error<std::invalid_argument>("name", "known: \"none\", \"mean\", \"max\"",
                                      [] { parse_normalization("sum"); });
}

}  // namespace
}  // namespace holdfast
