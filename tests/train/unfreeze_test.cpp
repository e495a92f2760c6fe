#include "train/unfreeze.h"

#include <gtest/gtest.h>

#include <vector>

#include "base/parallel.h"
#include "tests/reference/expect_error.h"
#include "tests/train/arena_fixture.h"
#include "train/optimizer.h"

namespace holdfast {
namespace {

TEST(Unfreeze, GoesDownABlockAStageAndTheEmbeddingsComeLast) {
  const std::vector<int> expected{3, 3, 3, 2, 2, 2, 1, 1, 1, 0, 0, 0, 0, 0, 0};
  for (std::size_t step = 0; step < expected.size(); ++step) {
    EXPECT_EQ(lowest_trained_layer(static_cast<std::int64_t>(step), 2, 3), expected[step]) << step;
  }
  EXPECT_EQ(lowest_trained_layer(0, 12, 100), 13);
  expect_error<std::invalid_argument>("stage", "a stage of 0 steps",
                                      [] { lowest_trained_layer(0, 12, 0); });
}

// What thaws at step 2 trains as if the training had begun there.
TEST(Unfreeze, AThawedRangeStartsWithZeroMomentsAndItsOwnSteps) {
  const ParameterArena arena = small_arena(1, DType::f32);
  const std::vector<UpdateRange> ranges =
      update_ranges(arena, std::vector<double>{1e-2}, 0.1, head_spans(arena, "medical"));
  const Tensor theta = arena.values().clone();
  AdamW optimizer(theta.numel(), DType::f32, ranges);
  const auto gradient = [&](std::uint64_t step) {
    return reference::random_tensor(theta.shape(), 10 + step, -1, 1, DType::f32);
  };
  optimizer.train_from_layer(2);
  optimizer.step(theta, gradient(0), 1, 1);
  optimizer.step(theta, gradient(1), 1, 1);
  const Tensor late = arena.values().clone();
  AdamW fresh(theta.numel(), DType::f32, ranges);
  optimizer.train_from_layer(0);
  for (std::uint64_t step = 2; step < 5; ++step) {
    optimizer.step(theta, gradient(step), 0.5, 1);
    fresh.step(late, gradient(step), 0.5, 1);
  }
  EXPECT_EQ(optimizer.steps(), 5);
  for (std::size_t r = 0; r < ranges.size(); ++r) {
    const bool thawed = ranges[r].layer < 2;
    EXPECT_EQ(optimizer.range_steps()[r], thawed ? 3 : 5) << r;
    const auto bytes = static_cast<std::size_t>(ranges[r].end - ranges[r].begin) * sizeof(float);
    const bool same = std::memcmp(theta.data<float>() + ranges[r].begin,
                                  late.data<float>() + ranges[r].begin, bytes) == 0;
    EXPECT_EQ(same, thawed) << r;
  }
}

TEST(Unfreeze, FrozenRangesAreNotEvenDecayedNorPulled) {
  ParameterArena arena = small_arena(1, DType::f32);
  EwcPenalty ewc(0.5, small_arena(2, DType::f32));
  ewc.add(Tensor::full({arena.numel()}, DType::f32, 1), Normalization::none);
  const Tensor theta = arena.values().clone();
  AdamW optimizer(
      theta.numel(), DType::f32,
      update_ranges(arena, std::vector<double>{1e-2}, 0.1, head_spans(arena, "medical")));
  optimizer.train_from_layer(2);
  const Tensor gradient = Tensor::full({arena.numel()}, DType::f32, 1);
  const UpdateSums sums = optimizer.step(theta, gradient, 1, 1, {.ewc = &ewc, .l2 = {}});
  for (const NamedSlice& slice : arena.slices()) {
    const bool same =
        std::memcmp(theta.data<float>() + slice.offset, arena.values().data<float>() + slice.offset,
                    static_cast<std::size_t>(slice.size) * sizeof(float)) == 0;
    EXPECT_EQ(same, slice.layer < 2) << slice.name;
  }
  double expected = 0;
  for (const ArenaSpan& span : optimizer.trained_spans()) {
    for (std::int64_t i = span.begin; i < span.end; ++i) {
      const double d = static_cast<double>(arena.values().data<float>()[i]) -
                       static_cast<double>(ewc.anchor().data<float>()[i]);
      expected += 0.5 * d * d;
    }
  }
  EXPECT_NEAR(sums.ewc, expected, 1e-12);
}

TEST(Unfreeze, StaleGradientsDoNotCount) {
  const ParameterArena arena = small_arena(1, DType::f32, 300);  // several pieces
  AdamW optimizer(
      arena.numel(), DType::f32,
      update_ranges(arena, std::vector<double>{1e-2}, 0.1, head_spans(arena, "medical")));
  const Tensor& clean = arena.values();
  EXPECT_EQ(gradient_norm(clean, optimizer.trained_spans()), gradient_norm(clean));
  optimizer.train_from_layer(2);
  const Tensor zeroed = clean.clone(), stale = clean.clone();
  for (const NamedSlice& slice : arena.slices()) {
    if (slice.layer >= 2) continue;
    std::fill_n(zeroed.data<float>() + slice.offset, slice.size, 0.0F);
    std::fill_n(stale.data<float>() + slice.offset, slice.size,
                std::numeric_limits<float>::quiet_NaN());
  }
  for (const int threads : {1, 3}) {
    set_thread_count(threads);
    EXPECT_EQ(gradient_norm(stale, optimizer.trained_spans()), gradient_norm(zeroed));
  }
  set_thread_count(1);
  EXPECT_LT(gradient_norm(zeroed), gradient_norm(clean));
}

TEST(Unfreeze, FromTheLowestLayerIsPlainTrainingBitForBit) {
  const ParameterArena arena = small_arena(1, DType::f32);
  const std::vector<UpdateRange> ranges =
      update_ranges(arena, std::vector<double>{1e-2}, 0.1, head_spans(arena, "medical"));
  const Tensor plain = arena.values().clone(), thawed = arena.values().clone();
  AdamW one(plain.numel(), DType::f32, ranges), other(plain.numel(), DType::f32, ranges);
  for (std::uint64_t step = 0; step < 3; ++step) {
    const Tensor gradient = reference::random_tensor(plain.shape(), step, -1, 1, DType::f32);
    other.train_from_layer(0);
    one.step(plain, gradient, 1, 1);
    other.step(thawed, gradient, 1, 1);
  }
  EXPECT_TRUE(same_bits(plain, thawed));
}

}  // namespace
}  // namespace holdfast
