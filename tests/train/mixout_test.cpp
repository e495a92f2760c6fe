#include "train/mixout.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/parallel.h"
#include "tests/reference/expect_error.h"
#include "tests/train/arena_fixture.h"

namespace holdfast {
namespace {

bool is_matrix(const NamedSlice& slice) {
  return slice.task.empty() && slice.layer > 0 && slice.decay;
}

TEST(Mixout, IsTheFormulaWithOneDecisionForEachInputNeuron) {
  const double p = 0.25;
  const ParameterArena arena = small_arena(1, DType::f64, 200);  // matrices of several pieces
  const Tensor old = small_arena(2, DType::f64, 200).values();
  const Tensor theta = arena.values().clone();
  const Tensor gradient = reference::random_tensor(theta.shape(), 3);
  const std::vector<double> W = theta.to_vector(), W0 = old.to_vector(), dW = gradient.to_vector();
  Mixout mixout(arena, old, p, 7);
  mixout.mix(theta, 12);
  const std::vector<double> mixed = theta.to_vector();
  mixout.unmix(theta, gradient);
  EXPECT_TRUE(same_bits(theta, arena.values()));
  const std::vector<double> unmixed = gradient.to_vector();
  std::vector<double> decisions;
  for (const NamedSlice& slice : arena.slices()) {
    const auto first = static_cast<std::size_t>(slice.offset);
    const auto size = static_cast<std::size_t>(slice.size);
    for (std::size_t i = first; !is_matrix(slice) && i < first + size; ++i) {
      EXPECT_EQ(mixed[i], W[i]);
      EXPECT_EQ(unmixed[i], dW[i]);
    }
    for (std::size_t column = 0; is_matrix(slice) && column < 200; ++column) {
      const double M = mixed[first + column] == W0[first + column] ? 0 : 1;
      decisions.push_back(M);
      for (std::size_t i = first + column; i < first + size; i += 200) {
        ASSERT_NEAR(mixed[i], ((1 - M) * W0[i] + M * W[i] - p * W0[i]) / (1 - p), 4e-15);
        ASSERT_NEAR(unmixed[i], dW[i] * M / (1 - p), 1e-15);
      }
    }
  }
  ASSERT_EQ(decisions.size(), 400U);
  const double old_ones = static_cast<double>(std::count(decisions.begin(), decisions.end(), 0.0));
  EXPECT_NEAR(old_ones / 400, p, 4 * std::sqrt(p * (1 - p) / 400));
  EXPECT_FALSE(std::equal(decisions.begin(), decisions.begin() + 200, decisions.begin() + 200));
}

// The gradient that unmix() makes is that of f(W'(W)), f a sum of sines, by finite differences.
TEST(Mixout, GradientIsThatOfTheUnmixedWeights) {
  const ParameterArena arena = small_arena(1, DType::f64);
  const Tensor old = small_arena(2, DType::f64).values();
  const auto f_of = [&](const Tensor& W, Tensor* gradient) {
    Mixout mixout(arena, old, 0.4, 7);
    const Tensor theta = W.clone();
    mixout.mix(theta, 3);
    double f = 0;
    const Tensor dW = Tensor::zeros(W.shape(), DType::f64);
    for (std::int64_t i = 0; i < theta.numel(); ++i) {
      f += std::sin(theta.data<double>()[i]);
      dW.data<double>()[i] = std::cos(theta.data<double>()[i]);
    }
    mixout.unmix(theta, dW);
    if (gradient != nullptr) *gradient = dW;
    return f;
  };
  Tensor gradient;
  f_of(arena.values(), &gradient);
  for (std::int64_t i = 0; i < arena.numel(); ++i) {
    const double h = 1e-6;
    const Tensor above = arena.values().clone(), below = arena.values().clone();
    above.data<double>()[i] += h;
    below.data<double>()[i] -= h;
    const double slope = (f_of(above, nullptr) - f_of(below, nullptr)) / (2 * h);
    EXPECT_NEAR(gradient.data<double>()[i], slope, 1e-8) << i;
  }
}

TEST(Mixout, WeightsAreTheOldOnesOnAverage) {
  const ParameterArena arena = small_arena(1, DType::f64);
  const Tensor old = small_arena(2, DType::f64).values();
  Mixout mixout(arena, old, 0.3, 7);
  const Tensor ignored = Tensor::zeros(old.shape(), DType::f64);
  const int steps = 20000;
  std::vector<double> mean(static_cast<std::size_t>(old.numel()), 0);
  for (std::uint32_t step = 0; step < steps; ++step) {
    const Tensor theta = arena.values();
    mixout.mix(theta, step);
    for (std::size_t i = 0; i < mean.size(); ++i) mean[i] += theta.data<double>()[i] / steps;
    mixout.unmix(theta, ignored);
  }
  for (std::size_t i = 0; i < mean.size(); ++i) {
    const double W = arena.values().data<double>()[i], W0 = old.data<double>()[i];
    const double spread = std::abs(W - W0) * std::sqrt(0.3 / 0.7 / steps);
    EXPECT_NEAR(mean[i], W, 5 * spread + 1e-12) << i;
  }
}

TEST(Mixout, ChangesNoBitWithoutDriftOrProbability) {
  const ParameterArena arena = small_arena(1, DType::f32);
  const Tensor other = small_arena(2, DType::f32).values();
  const Tensor theta = arena.values().clone();
  theta.data<float>()[arena.find("encoder.layer.0.dense.weight")->offset] = -0.0F;
  const Tensor start = theta.clone();
  const Tensor gradient = reference::random_tensor(theta.shape(), 3, -1, 1, DType::f32);
  const Tensor before = gradient.clone();
  Mixout off(arena, other, 0, 7);
  off.mix(theta, 0);
  EXPECT_TRUE(same_bits(theta, start));
  off.unmix(theta, gradient);
  EXPECT_TRUE(same_bits(theta, start));
  EXPECT_TRUE(same_bits(gradient, before));
  Mixout at_start(arena, start.clone(), 0.5, 7);
  at_start.mix(theta, 0);
  EXPECT_EQ(theta.to_vector(), start.to_vector());
}

TEST(Mixout, DrawsByStepAndSeedForAnyNumberOfThreads) {
  const ParameterArena arena = small_arena(1, DType::f32, 300);
  const Tensor old = small_arena(2, DType::f32, 300).values();
  const auto mixed = [&](std::uint64_t seed, std::uint32_t step, int threads) {
    set_thread_count(threads);
    Mixout mixout(arena, old, 0.5, seed);
    const Tensor theta = arena.values().clone();
    mixout.mix(theta, step);
    set_thread_count(1);
    return theta;
  };
  const Tensor one = mixed(7, 4, 1);
  EXPECT_TRUE(same_bits(one, mixed(7, 4, 2)));
  EXPECT_TRUE(same_bits(one, mixed(7, 4, 5)));
  EXPECT_FALSE(same_bits(one, mixed(7, 5, 1)));
  EXPECT_FALSE(same_bits(one, mixed(8, 4, 1)));
}

TEST(Mixout, RefusesNonsense) {
  const ParameterArena arena = small_arena(1, DType::f32);
  const Tensor old = arena.values().clone();
  for (const double p : {-0.1, 1.0, std::nan("")}) {
    expect_error<std::invalid_argument>("p", "must be in [0, 1)",
                                        [&] { Mixout(arena, old, p, 7); });
  }
  expect_error<std::invalid_argument>("size", "the old weights are (3)", [&] {
    Mixout(arena, Tensor::zeros({3}, DType::f32), 0.5, 7);
  });
  Mixout mixout(arena, old, 0.5, 7);
  const Tensor theta = arena.values().clone(), gradient = theta.clone();
  expect_error<std::logic_error>("unmix", "not mixed", [&] { mixout.unmix(theta, gradient); });
  mixout.mix(theta, 0);
  expect_error<std::logic_error>("mix", "mixed already", [&] { mixout.mix(theta, 1); });
}

}  // namespace
}  // namespace holdfast
