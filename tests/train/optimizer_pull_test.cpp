// What holds weights back inside the optimizer's pass: EWC coupled and decoupled, L2-SP, RecAdam.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "audit/reference/instruction_sets.h"
#include "audit/reference/pulled_adamw.h"
#include "base/parallel.h"
#include "tests/reference/expect_error.h"
#include "tests/train/arena_fixture.h"
#include "train/optimizer.h"

namespace holdfast {
namespace {

constexpr std::int64_t kCount = 600;  // more than two blocks of the kernel

std::vector<double> random_values(std::uint64_t seed, double low = -1) {
  return reference::random_tensor({kCount}, seed, low).to_vector();
}

ParameterArena arena_of(const std::vector<double>& values, DType dtype) {
  ParameterArena arena;
  arena.declare("weight", {kCount}, {slice_of("weight", {kCount}, 0, true)});
  arena.allocate(dtype);
  arena[0].value.copy_from(Tensor::from(values, {kCount}));
  return arena;
}

// A third of the importances are zero, and a run of them that the penalty passes over.
constexpr std::size_t kFreeBegin = 128, kFreeEnd = 384;

std::vector<double> importance() {
  std::vector<double> f = random_values(3, 0);
  for (std::size_t i = 0; i < f.size(); i += 3) f[i] = 0;
  std::fill(f.begin() + kFreeBegin, f.begin() + kFreeEnd, 0.0);
  return f;
}

struct PullTest : testing::Test {
  PullTest() { reset(0); }

  void reset(double lambda, DType dtype = DType::f64) {
    arena = arena_of(random_values(1), dtype);
    ewc = std::make_unique<EwcPenalty>(lambda, arena);
    Tensor fisher = Tensor::zeros({arena.numel()}, DType::f64);
    const std::vector<double> f = importance();
    std::copy(f.begin(), f.end(), fisher.data<double>());
    ewc->add(fisher.to(dtype), Normalization::none);
    theta = Tensor::zeros({arena.numel()}, dtype);
    theta.slice(0, 0, kCount).copy_from(Tensor::from(random_values(2), {kCount}));
  }

  reference::PulledAdamW oracle(double rate, double decay) const {
    reference::PulledAdamW o;
    o.rate = rate, o.decay = decay, o.clip = 0.5;
    o.theta = random_values(2), o.old = random_values(1), o.fisher = importance();
    o.m.resize(kCount), o.v.resize(kCount);
    return o;
  }

  AdamW optimizer(double rate, double decay = 0) const {
    return AdamW(theta.numel(), theta.dtype(),
                 {{.begin = 0, .end = kCount, .learning_rate = rate, .weight_decay = decay}});
  }

  Tensor gradient(std::uint64_t step) const {
    Tensor g = Tensor::zeros({theta.numel()}, theta.dtype());
    g.slice(0, 0, kCount).copy_from(Tensor::from(random_values(100 + step), {kCount}));
    return g;
  }

  void expect_equal(reference::PulledAdamW expected, const Pull& pull, double rate, double decay) {
    AdamW adamw = optimizer(rate, decay);
    for (std::uint64_t step = 0; step < 8; ++step) {
      expected.step(random_values(100 + step));
      adamw.step(theta, gradient(step), 1, 0.5, pull);
    }
    for (std::size_t i = 0; i < kCount; ++i) {
      ASSERT_NEAR(theta.data<double>()[i], expected.theta[i], 1e-12) << i;
    }
  }

  ParameterArena arena;
  std::unique_ptr<EwcPenalty> ewc;
  Tensor theta;
};

TEST_F(PullTest, EqualsTheOracleInBothCouplingsAndWithL2) {
  const reference::KeepMachine keep;
  for (const Isa isa : reference::instruction_sets()) {
    set_isa(isa);
    for (const bool decoupled : {false, true}) {
      for (const double l2 : {0.0, 0.4}) {
        reset(0.7);
        reference::PulledAdamW expected = oracle(0.05, 0.1);
        expected.lambda = 0.7, expected.decoupled = decoupled, expected.l2 = l2;
        expect_equal(expected,
                     {.ewc = ewc.get(),
                      .l2 = {.weight = l2},
                      .coupling = decoupled ? Coupling::decoupled : Coupling::coupled},
                     0.05, 0.1);
      }
    }
  }
}

TEST_F(PullTest, RecAdamEqualsTheOracleAloneAndBesideEwc) {
  for (const double lambda : {0.0, 0.7}) {
    reset(lambda);
    reference::PulledAdamW expected = oracle(0.05, 0.1);
    expected.w = 0.8, expected.slope = 0.5, expected.midpoint = 4, expected.gamma = 9;
    expected.lambda = lambda, expected.decoupled = true;
    const RecAdam recadam{.weight = 0.8, .slope = 0.5, .midpoint = 4, .pull = 9};
    expect_equal(expected,
                 {.ewc = ewc.get(), .l2 = {}, .coupling = Coupling::decoupled, .recadam = &recadam},
                 0.05, 0.1);
  }
}

TEST_F(PullTest, LambdaZeroIsPlainTrainingBitForBitInBothCouplings) {
  for (const DType dtype : {DType::f32, DType::f64}) {
    for (const Coupling coupling : {Coupling::coupled, Coupling::decoupled}) {
      reset(0, dtype);
      const Tensor plain = theta.clone();
      AdamW one = optimizer(0.1), other = optimizer(0.1);
      for (std::uint64_t step = 0; step < 3; ++step) {
        one.step(plain, gradient(step), 1, 0.5);
        other.step(theta, gradient(step), 1, 0.5,
                   {.ewc = ewc.get(), .l2 = {}, .coupling = coupling});
      }
      EXPECT_TRUE(same_bits(plain, theta));
    }
  }
}

TEST_F(PullTest, ARunWithoutImportanceIsTrainedPlainlyBitForBit) {
  for (const DType dtype : {DType::f32, DType::f64}) {
    for (const Coupling coupling : {Coupling::coupled, Coupling::decoupled}) {
      reset(0.7, dtype);
      ASSERT_EQ(ewc->held().front(), (ArenaSpan{0, kFreeBegin}));
      ASSERT_EQ(ewc->held().back().begin, std::int64_t{kFreeEnd});
      const Tensor plain = theta.clone();
      AdamW one = optimizer(0.1), other = optimizer(0.1);
      for (std::uint64_t step = 0; step < 3; ++step) {
        one.step(plain, gradient(step), 1, 0.5);
        other.step(theta, gradient(step), 1, 0.5,
                   {.ewc = ewc.get(), .l2 = {}, .coupling = coupling});
      }
      const std::vector<double> x = theta.to_vector(), expected = plain.to_vector();
      for (std::size_t i = kFreeBegin; i < kFreeEnd; ++i) EXPECT_EQ(x[i], expected[i]) << i;
      EXPECT_NE(x[1], expected[1]);
    }
  }
}

// The proximal step is stable for every lambda; far enough, the old weights stand, all bits.
TEST_F(PullTest, DecoupledLambdaWithoutBoundKeepsTheOldWeightsWhereFIsPositive) {
  for (const DType dtype : {DType::f32, DType::f64}) {
    for (const double lambda : {1e9, 1e30, std::numeric_limits<double>::max()}) {
      reset(lambda, dtype);
      const Tensor plain = ewc->anchor().clone(), held = ewc->anchor().clone();
      AdamW one = optimizer(0.1, 0.1), other = optimizer(0.1, 0.1);
      for (std::uint64_t step = 0; step < 20; ++step) {
        one.step(plain, gradient(step), 1, 0.5);
        other.step(held, gradient(step), 1, 0.5,
                   {.ewc = ewc.get(), .l2 = {}, .coupling = Coupling::decoupled});
      }
      const std::vector<double> f = importance(), x = held.to_vector(), free = plain.to_vector(),
                                old = ewc->anchor().to_vector();
      for (std::size_t i = 0; i < kCount; ++i) {
        if (f[i] == 0) {
          EXPECT_NEAR(x[i], free[i], dtype == DType::f32 ? 1e-5 : 1e-12) << i;
        } else if (lambda == 1e9) {
          EXPECT_NEAR(x[i], old[i], 1e-9 / f[i] + 1e-7 * (dtype == DType::f32)) << i;
        } else {
          EXPECT_EQ(x[i], old[i]) << i;
        }
      }
    }
  }
}

TEST_F(PullTest, AStepOfRateZeroMovesNothing) {
  reset(1e6);
  const Tensor before = theta.clone();
  const RecAdam recadam;
  optimizer(0.1, 0.1).step(
      theta, gradient(0), 0, 1,
      {.ewc = ewc.get(), .l2 = {}, .coupling = Coupling::decoupled, .recadam = &recadam});
  EXPECT_EQ(theta.to_vector(), before.to_vector());
}

TEST_F(PullTest, SumsAreThoseBeforeTheUpdate) {
  reset(0.7);
  double d2 = 0, fd2 = 0;
  const std::vector<double> x = theta.to_vector(), old = arena.values().to_vector(),
                            f = importance();
  for (std::size_t i = 0; i < kCount; ++i) {
    d2 += std::pow(x[i] - old[i], 2);
    fd2 += f[i] * std::pow(x[i] - old[i], 2);
  }
  for (const Coupling coupling : {Coupling::coupled, Coupling::decoupled}) {
    const UpdateSums sums = optimizer(0.1).step(
        theta.clone(), gradient(0), 1, 1,
        {.ewc = ewc.get(), .l2 = {.weight = 0.3, .head = 9}, .coupling = coupling});
    EXPECT_NEAR(sums.ewc, 0.7 * fd2, 1e-11);
    EXPECT_NEAR(sums.l2, 0.3 * d2, 1e-11);
    EXPECT_EQ(sums.l2_head, 0);
  }
}

// L2-SP: the encoder toward the old weights, what has none toward zero. The gradient that Adam saw,
// m / (1 - beta1) at the first step, is that of the sums, by finite differences.
TEST(L2, PullsTheNewHeadTowardZero) {
  ParameterArena arena = small_arena(1, DType::f64);
  const Tensor old = arena.values(), start = small_arena(2, DType::f64).values();
  const auto ranges =
      update_ranges(arena, std::vector<double>{1e-3}, 0, head_spans(arena, "medical"));
  const auto sums_at = [&](const Tensor& theta, const L2Penalty& l2, Tensor* moment) {
    AdamW adamw(old.numel(), DType::f64, ranges);
    const UpdateSums sums = adamw.step(theta.clone(), Tensor::zeros(old.shape(), DType::f64), 1, 1,
                                       {.ewc = nullptr, .l2 = l2, .anchor = &old});
    if (moment != nullptr) *moment = adamw.first_moment();
    return sums;
  };
  for (const L2Target toward : {L2Target::old, L2Target::zero}) {
    const L2Penalty l2{.weight = 0.3, .toward = toward, .head = 0.8};
    Tensor moment;
    const UpdateSums sums = sums_at(start, l2, &moment);
    double shared = 0, head = 0;
    for (const NamedSlice& slice : arena.slices()) {
      const bool is_new = slice.task == "medical";
      for (std::int64_t i = slice.offset; i < slice.offset + slice.size; ++i) {
        const double at = start.data<double>()[i];
        const double target = toward == L2Target::old && !is_new ? old.data<double>()[i] : 0;
        (is_new && toward == L2Target::old ? head : shared) += std::pow(at - target, 2);
        const Tensor moved = start.clone();
        const double h = 1e-3;
        moved.data<double>()[i] = at + h;
        const UpdateSums above = sums_at(moved, l2, nullptr);
        moved.data<double>()[i] = at - h;
        const UpdateSums below = sums_at(moved, l2, nullptr);
        const double slope = (above.l2 + above.l2_head - below.l2 - below.l2_head) / (2 * h);
        EXPECT_NEAR(moment.data<double>()[i] / 0.1, slope, 1e-9) << slice.name << " " << i;
      }
    }
    EXPECT_NEAR(sums.l2, 0.3 * shared, 1e-12);
    EXPECT_NEAR(sums.l2_head, 0.8 * head, 1e-12);
  }
}

TEST(RecAdam, LeavesTheNewHeadToPlainAdamW) {
  const ParameterArena arena = small_arena(1, DType::f32);
  const Tensor old = small_arena(2, DType::f32).values();
  const auto ranges =
      update_ranges(arena, std::vector<double>{1e-3}, 0.01, head_spans(arena, "medical"));
  const Tensor plain = arena.values().clone(), held = arena.values().clone();
  AdamW one(plain.numel(), DType::f32, ranges), other(plain.numel(), DType::f32, ranges);
  const RecAdam recadam{.slope = 0.3, .midpoint = 2, .pull = 100};
  for (std::uint64_t step = 0; step < 3; ++step) {
    const Tensor gradient = reference::random_tensor(plain.shape(), step, -1, 1, DType::f32);
    one.step(plain, gradient, 1, 1);
    other.step(held, gradient, 1, 1,
               {.ewc = nullptr, .l2 = {}, .anchor = &old, .recadam = &recadam});
  }
  for (const NamedSlice& slice : arena.slices()) {
    const bool same =
        std::memcmp(plain.data<float>() + slice.offset, held.data<float>() + slice.offset,
                    static_cast<std::size_t>(slice.size) * sizeof(float)) == 0;
    EXPECT_EQ(same, slice.task == "medical") << slice.name;
  }
}

TEST(RecAdam, AnnealsAndRefusesRatesThatThrowWeightsAway) {
  const RecAdam recadam{.weight = 2, .slope = 0.5, .midpoint = 10, .pull = 100};
  EXPECT_DOUBLE_EQ(recadam.task_share(10), 1);
  EXPECT_NEAR(recadam.task_share(12), 2 / (1 + std::exp(-1.0)), 1e-15);
  EXPECT_NEAR(recadam.keep(1e-3, 10), 1 - 1e-3 * 1 * 100, 1e-15);
  EXPECT_NEAR(recadam.keep(1e-3, 1000), 1, 1e-15);
  EXPECT_NO_THROW(recadam.check(0.0099));
  expect_error<std::invalid_argument>("rate", "the rate must stay below 0.01",
                                      [&] { recadam.check(0.01); });
  for (const RecAdam& bad : {RecAdam{.weight = 0}, RecAdam{.slope = -1}, RecAdam{.pull = -1},
                             RecAdam{.midpoint = std::nan("")}}) {
    expect_error<std::invalid_argument>("option", "the weight must be above 0",
                                        [&] { bad.check(1e-6); });
  }
}

TEST_F(PullTest, SameBitsForAnyNumberOfThreads) {
  const reference::KeepMachine keep;
  const ParameterArena start = small_arena(1, DType::f32, 300);
  EwcPenalty penalty(2, small_arena(2, DType::f32, 300));
  penalty.add(Tensor::full({start.numel()}, DType::f32, 1.5), Normalization::none);
  const RecAdam recadam{.slope = 0.3, .midpoint = 2, .pull = 100};
  for (const Isa isa : reference::instruction_sets()) {
    set_isa(isa);
    std::vector<Tensor> thetas;
    std::vector<UpdateSums> sums;
    for (const int threads : {1, 2, 5}) {
      set_thread_count(threads);
      thetas.push_back(start.values().clone());
      AdamW adamw(
          start.numel(), DType::f32,
          update_ranges(start, std::vector<double>{1e-3}, 0.1, head_spans(start, "medical")));
      for (std::uint64_t step = 0; step < 3; ++step) {
        sums.push_back(
            adamw.step(thetas.back(),
                       reference::random_tensor({start.numel()}, step, -1, 1, DType::f32), 1, 0.7,
                       {.ewc = &penalty,
                        .l2 = {.weight = 0.1, .head = 0.2},
                        .coupling = Coupling::decoupled,
                        .recadam = &recadam}));
      }
    }
    for (std::size_t run = 1; run < 3; ++run) {
      EXPECT_TRUE(same_bits(thetas[0], thetas[run]));
      for (std::size_t step = 0; step < 3; ++step) {
        EXPECT_EQ(sums[step].ewc, sums[3 * run + step].ewc);
        EXPECT_EQ(sums[step].l2, sums[3 * run + step].l2);
        EXPECT_EQ(sums[step].l2_head, sums[3 * run + step].l2_head);
      }
    }
  }
}

TEST(Pull, NamesAreThoseOfTheRecipe) {
  EXPECT_EQ(parse_coupling("decoupled"), Coupling::decoupled);
  EXPECT_EQ(name_of(Coupling::coupled), "coupled");
  EXPECT_EQ(parse_l2_target("zero"), L2Target::zero);
  expect_error<std::invalid_argument>("name", "known: \"coupled\", \"decoupled\"",
                                      [] { parse_coupling("loose"); });
}

TEST(RecAdam, NeedsTheOldWeights) {
  const Tensor theta = Tensor::zeros({8}, DType::f32);
  AdamW adamw(8, DType::f32, {{.begin = 0, .end = 8, .learning_rate = 0.1}});
  const RecAdam recadam;
  expect_error<std::invalid_argument>("anchor", "needs them as anchor", [&] {
    adamw.step(theta, theta, 1, 1, {.ewc = nullptr, .l2 = {}, .recadam = &recadam});
  });
}

}  // namespace
}  // namespace holdfast
