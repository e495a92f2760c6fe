#include "train/optimizer.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "audit/reference/instruction_sets.h"
#include "audit/reference/random_tensor.h"
#include "base/parallel.h"
#include "tensor/random.h"
#include "tests/reference/expect_error.h"
#include "tests/reference/golden_json.h"
#include "tests/train/arena_fixture.h"

namespace holdfast {
namespace {

Tensor random_tensor(std::int64_t n, DType dtype, std::uint64_t seed, double scale = 1) {
  const RandomStream stream(seed, "test");
  std::vector<double> values;
  for (std::int64_t i = 0; i < n; ++i) {
    values.push_back(scale * stream.normal(0, static_cast<std::uint64_t>(i)));
  }
  return Tensor::from(values, {n}).to(dtype);
}

// An arena of one parameter of n elements with these values.
ParameterArena arena_of(const Tensor& values) {
  ParameterArena arena;
  const std::int64_t n = values.numel();
  arena.declare("weight", {n}, {NamedSlice{.name = "weight", .shape = {n}, .task = {}}});
  arena.allocate(values.dtype());
  arena[0].value.copy_from(values);
  return arena;
}

TEST(AdamW, EqualsTorchInDouble) {
  const Json golden = golden_json("recipe_adamw.json");
  const Tensor theta = Tensor::from(numbers(golden.at("start")), {15});
  AdamW optimizer(15, DType::f64,
                  {{.begin = 0, .end = 12, .learning_rate = 1e-2, .weight_decay = 0.1},
                   {.begin = 12, .end = 15, .learning_rate = 3e-2, .weight_decay = 0.0}},
                  {.beta1 = 0.8, .beta2 = 0.95, .epsilon = 1e-6});
  for (const Json& step : golden.at("steps").array()) {
    const Tensor gradient = Tensor::from(numbers(step.at("gradient")), {15});
    const double norm = gradient_norm(gradient);
    EXPECT_NEAR(norm, step.at("norm").as_double(), 1e-12 * norm);
    optimizer.step(theta, gradient, 1.0, clip_factor(norm, 1.5));
    const std::vector<double> expected = numbers(step.at("theta"));
    for (std::size_t i = 0; i < 15; ++i) {
      EXPECT_NEAR(theta.data<double>()[i], expected[i], 1e-12) << optimizer.steps() << " " << i;
    }
  }
  EXPECT_EQ(optimizer.steps(), 12);
}

// One step of every part of the formula, written out for one element.
TEST(AdamW, PenaltiesEnterAfterClipping) {
  const Tensor old = Tensor::from(std::vector<double>{0.5}, {1});
  EwcPenalty ewc(0.3, arena_of(old));
  ASSERT_EQ(ewc.importance().numel(), 16);  // the arena pads parameters to 16 elements
  const Tensor fisher = Tensor::zeros({16}, DType::f64);
  fisher.data<double>()[0] = 4;
  ewc.add(fisher, Normalization::none);
  const Tensor theta = Tensor::zeros({16}, DType::f64), gradient = Tensor::zeros({16}, DType::f64);
  theta.data<double>()[0] = 0.7;
  gradient.data<double>()[0] = 10;
  AdamW optimizer(16, DType::f64,
                  {{.begin = 0, .end = 1, .learning_rate = 0.1, .weight_decay = 0.01}});
  const UpdateSums sums = optimizer.step(
      theta, gradient, 0.5, 0.05, {.ewc = &ewc, .l2 = {.weight = 2, .toward = L2Target::zero}});
  const double d = 0.7 - 0.5, rate = 0.05;
  const double g = 0.05 * 10 + 2 * 0.3 * 4 * d + 2 * 2 * 0.7;
  const double m = 0.1 * g, v = 0.001 * g * g;
  EXPECT_NEAR(sums.ewc, 0.3 * 4 * d * d, 1e-15);
  EXPECT_NEAR(sums.l2, 2 * 0.7 * 0.7, 1e-15);
  EXPECT_NEAR(optimizer.first_moment().data<double>()[0], m, 1e-15);
  EXPECT_NEAR(optimizer.second_moment().data<double>()[0], v, 1e-15);
  EXPECT_NEAR(theta.data<double>()[0],
              0.7 * (1 - rate * 0.01) - rate * (m / 0.1) / (std::sqrt(v / 0.001) + 1e-8), 1e-15);
}

TEST(AdamW, LambdaZeroIsPlainTrainingBitForBit) {
  for (const DType dtype : {DType::f32, DType::f64}) {
    const std::int64_t n = 40000;
    const Tensor start = random_tensor(n, dtype, 1);
    EwcPenalty ewc(0.0, arena_of(start));
    Tensor fisher = Tensor::full({n}, dtype, 1);
    ewc.add(fisher, Normalization::mean);
    const Tensor plain = start.clone(), held = start.clone();
    const std::vector<UpdateRange> ranges{{.begin = 0, .end = n, .learning_rate = 1e-2}};
    AdamW one(n, dtype, ranges), other(n, dtype, ranges);
    for (std::uint64_t step = 0; step < 3; ++step) {
      const Tensor gradient = random_tensor(n, dtype, 10 + step);
      one.step(plain, gradient, 1, 0.5);
      const UpdateSums sums = other.step(held, gradient, 1, 0.5, {.ewc = &ewc, .l2 = {}});
      EXPECT_EQ(sums.ewc, 0);
    }
    EXPECT_TRUE(same_bits(plain, held));
    EXPECT_FALSE(same_bits(plain, start));
  }
}

TEST(AdamW, SameBitsForAnyNumberOfThreads) {
  const std::int64_t n = 100000;
  const Tensor start = random_tensor(n, DType::f32, 1);
  EwcPenalty ewc(0.3, arena_of(random_tensor(n, DType::f32, 2)));
  ewc.add(Tensor::full({n}, DType::f32, 2.5), Normalization::none);
  std::vector<Tensor> thetas;
  std::vector<double> norms, penalties;
  for (const int threads : {1, 2, 4}) {
    set_thread_count(threads);
    thetas.push_back(start.clone());
    AdamW optimizer(n, DType::f32, {{.begin = 0, .end = n, .learning_rate = 1e-2}});
    for (std::uint64_t step = 0; step < 3; ++step) {
      const Tensor gradient = random_tensor(n, DType::f32, 10 + step);
      norms.push_back(gradient_norm(gradient));
      penalties.push_back(
          optimizer.step(thetas.back(), gradient, 1, 0.5, {.ewc = &ewc, .l2 = {}}).ewc);
    }
  }
  set_thread_count(1);
  for (std::size_t run = 1; run < 3; ++run) {
    EXPECT_TRUE(same_bits(thetas[0], thetas[run]));
    for (std::size_t step = 0; step < 3; ++step) {
      EXPECT_EQ(norms[step], norms[3 * run + step]);
      EXPECT_EQ(penalties[step], penalties[3 * run + step]);
    }
  }
}

TEST(AdamW, RangesHaveTheirOwnRatesAndTheRestIsFrozen) {
  const Tensor theta = Tensor::full({40}, DType::f32, 1);
  AdamW optimizer(40, DType::f32,
                  {{.begin = 3, .end = 10, .learning_rate = 0.1},
                   {.begin = 20, .end = 30, .learning_rate = 0.2}});
  optimizer.step(theta, Tensor::full({40}, DType::f32, 5), 0.5, 1);
  for (std::int64_t i = 0; i < 40; ++i) {
    const double moved = i >= 3 && i < 10 ? 0.05 : i >= 20 && i < 30 ? 0.10 : 0.0;
    EXPECT_NEAR(theta.data<float>()[i], 1 - moved, 1e-6) << i;
  }
}

TEST(AdamW, RestoredContinuesBitForBit) {
  const std::int64_t n = 1000;
  const std::vector<UpdateRange> ranges{{.begin = 0, .end = n, .learning_rate = 1e-2}};
  const Tensor whole = random_tensor(n, DType::f32, 4), resumed = whole.clone();
  AdamW first(n, DType::f32, ranges), before(n, DType::f32, ranges), after(n, DType::f32, ranges);
  for (std::uint64_t step = 0; step < 4; ++step) {
    const Tensor gradient = random_tensor(n, DType::f32, 20 + step);
    first.step(whole, gradient, 1, 1);
    if (step == 2)
      after.restore(before.range_steps(), before.first_moment(), before.second_moment());
    (step < 2 ? before : after).step(resumed, gradient, 1, 1);
  }
  EXPECT_TRUE(same_bits(whole, resumed));
}

TEST(UpdateRanges, FollowLayersDecayAndHeads) {
  ParameterArena arena;
  const auto slice = [](const char* name, std::int64_t n, int layer, bool decay,
                        const char* task = "") {
    return NamedSlice{.name = name, .shape = {n}, .layer = layer, .decay = decay, .task = task};
  };
  arena.declare("words", {16}, {slice("words", 16, 0, true)});
  arena.declare("positions", {16}, {slice("positions", 16, 0, true)});
  arena.declare("norm", {16}, {slice("norm", 16, 0, false)});
  arena.declare("qkv", {12},
                {slice("q", 4, 1, true), slice("k", 4, 1, true), slice("v", 4, 1, true)});
  arena.declare("old", {16}, {slice("old", 16, 2, true, "news")});
  arena.declare("new", {16}, {slice("new", 16, 2, true, "medical")});
  arena.allocate(DType::f32);
  const std::vector<double> rates{1, 2, 3};
  const std::vector<UpdateRange> ranges =
      update_ranges(arena, rates, 0.5, head_spans(arena, "medical"));
  ASSERT_EQ(ranges.size(), 5U);
  EXPECT_EQ(ranges[0].end, 32);  // two tables joined
  EXPECT_EQ(ranges[1].weight_decay, 0);
  EXPECT_EQ(ranges[2].end - ranges[2].begin, 12);  // without the gap behind it
  EXPECT_EQ(ranges[2].learning_rate, 2);
  EXPECT_TRUE(ranges[3].anchored);
  EXPECT_FALSE(ranges[4].anchored);
  EXPECT_EQ(update_ranges(arena, std::vector<double>{7}, 0.5, head_spans(arena, "medical"))[4]
                .learning_rate,
            7);
  expect_error<std::invalid_argument>(
      "rates", "old is in layer 2, but there are 2 learning rates",
      [&] { update_ranges(arena, std::span(rates).first(2), 0.5, head_spans(arena, "medical")); });
}

TEST(AdamW, L2TowardTheOldWeightsLeavesTheNewHeadAlone) {
  const Tensor old = random_tensor(32, DType::f64, 1), theta = random_tensor(32, DType::f64, 2);
  const Tensor before = theta.clone();
  AdamW optimizer(
      32, DType::f64,
      {{.begin = 0, .end = 16, .learning_rate = 0.1},
       {.begin = 16, .end = 32, .learning_rate = 0.1, .weight_decay = 0, .anchored = false}});
  const UpdateSums sums = optimizer.step(
      theta, Tensor::zeros({32}, DType::f64), 1, 1,
      {.ewc = nullptr, .l2 = {.weight = 0.7, .toward = L2Target::old}, .anchor = &old});
  double expected = 0;
  for (std::size_t i = 0; i < 16; ++i) {
    const double d = before.data<double>()[i] - old.data<double>()[i];
    expected += 0.7 * d * d;
    EXPECT_NEAR(theta.data<double>()[i], before.data<double>()[i] - std::copysign(0.1, d), 1e-6);
  }
  EXPECT_NEAR(sums.l2, expected, 1e-12);
  for (std::size_t i = 16; i < 32; ++i)
    EXPECT_EQ(theta.data<double>()[i], before.data<double>()[i]);
}

TEST(GradientNorm, IsThatOfTheNaiveSumAndNotFiniteWhereAnElementIsNot) {
  for (const std::int64_t n : {1, 15, 16, 17, 40000}) {
    const Tensor g = random_tensor(n, DType::f32, 3);
    long double sum = 0;
    for (const float x : g.span<float>()) sum += static_cast<long double>(x) * x;
    EXPECT_NEAR(gradient_norm(g), static_cast<double>(std::sqrt(sum)),
                1e-12 * std::sqrt(static_cast<double>(n)));
    g.data<float>()[n / 2] = std::numeric_limits<float>::quiet_NaN();
    EXPECT_TRUE(std::isnan(gradient_norm(g)));
  }
  EXPECT_EQ(gradient_norm(Tensor::full({4}, DType::f32, 1e30)),
            2 * static_cast<double>(1e30F));  // no overflow
  EXPECT_EQ(clip_factor(5, 0), 1);
  EXPECT_EQ(clip_factor(0.5, 1), 1);
  EXPECT_DOUBLE_EQ(clip_factor(4, 1), 1 / (4 + 1e-6));
}

TEST(AdamW, RefusesNonsense) {
  const std::vector<UpdateRange> whole{{.begin = 0, .end = 8, .learning_rate = 0.1}};
  expect_error<std::invalid_argument>("beta", "betas",
                                      [&] { AdamW(8, DType::f32, whole, {.beta1 = 1.0}); });
  expect_error<std::invalid_argument>("beyond", "[0, 8)", [&] { AdamW(4, DType::f32, whole); });
  expect_error<std::invalid_argument>("overlap", "out of order", [&] {
    AdamW(8, DType::f32, {whole[0], {.begin = 7, .end = 8, .learning_rate = 0.1}});
  });
  AdamW optimizer(8, DType::f32, whole);
  const Tensor theta = Tensor::zeros({8}, DType::f32);
  expect_error<std::invalid_argument>("size", "must have the arena's shape (8)", [&] {
    optimizer.step(theta, Tensor::zeros({7}, DType::f32), 1, 1);
  });
  expect_error<std::invalid_argument>("anchor", "old weights needs them as anchor", [&] {
    optimizer.step(theta, theta, 1, 1,
                   {.ewc = nullptr, .l2 = {.weight = 1, .toward = L2Target::old}});
  });
  const std::vector<std::int64_t> two{1, 1}, negative{-1};
  for (const auto& steps : {two, negative}) {
    expect_error<std::invalid_argument>("steps", "at least 0, for each of 1 ranges", [&] {
      optimizer.restore(steps, optimizer.first_moment(), optimizer.second_moment());
    });
  }
  EXPECT_EQ(optimizer.steps(), 0);
}

std::vector<std::pair<Isa, DType>> everywhere() {
  std::vector<std::pair<Isa, DType>> out;
  for (const Isa isa : reference::instruction_sets()) {
    for (const DType dtype : {DType::f32, DType::f64}) out.emplace_back(isa, dtype);
  }
  return out;
}

// Rows that no gradient has reached only decay, and by the same bits as beside one that has: in
// pages of zeros and in those with a single other element.
TEST(AdamW, WhatNoGradientReachedOnlyDecaysBitForBit) {
  const reference::KeepMachine keep;
  for (const auto& [isa, dtype] : everywhere()) {
    set_isa(isa);
    constexpr std::int64_t n = 5000;
    const Tensor theta = reference::random_tensor({n}, 1, -1, 1, dtype), start = theta.clone();
    const Tensor gradient = Tensor::zeros({n}, dtype);
    AdamW optimizer(n, dtype, {{.begin = 0, .end = n, .learning_rate = 0.1, .weight_decay = 0.2}},
                    {});
    gradient.slice(0, 3000, 3001).fill(0.5);
    std::vector<double> expected = start.to_vector();
    for (int step = 0; step < 3; ++step) {
      if (step == 2) gradient.fill(0);  // moments are not zero any more: 3000 goes on
      optimizer.step(theta, gradient, 1, 1, {});
      for (double& x : expected) {
        x = dtype == DType::f32 ? static_cast<float>(1 - 0.1 * 0.2) * static_cast<float>(x)
                                : (1 - 0.1 * 0.2) * x;
      }
    }
    const std::vector<double> found = theta.to_vector();
    for (std::size_t i = 0; i < found.size(); ++i) {
      if (i == 3000) continue;
      ASSERT_EQ(found[i], expected[i]) << i;
    }
    EXPECT_LT(found[3000], start.to_vector()[3000] - 0.25);
    EXPECT_EQ(optimizer.first_moment().to_vector()[2999], 0);
    EXPECT_NE(optimizer.first_moment().to_vector()[3000], 0);
  }
}

}  // namespace
}  // namespace holdfast
