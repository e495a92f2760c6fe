#include "train/drift.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "base/parallel.h"
#include "tests/reference/expect_error.h"
#include "tests/train/arena_fixture.h"

namespace holdfast {
namespace {

TEST(Drift, EqualsTheNaiveSums) {
  for (const DType dtype : {DType::f32, DType::f64}) {
    const ParameterArena now = small_arena(1, dtype, 200), old = small_arena(2, dtype, 200);
    const std::vector<double> x = now.values().to_vector(), y = old.values().to_vector();
    const std::vector<TensorDrift> drift = measure_tensor_drift(now, old, 0.5);
    ASSERT_EQ(drift.size(), now.slices().size());
    for (std::size_t t = 0; t < drift.size(); ++t) {
      const NamedSlice& slice = now.slices()[t];
      double moved = 0, norm = 0, largest = 0;
      std::int64_t beyond = 0;
      for (std::int64_t i = slice.offset; i < slice.offset + slice.size; ++i) {
        const auto at = static_cast<std::size_t>(i);
        const double d = std::abs(x[at] - y[at]);
        moved += d * d, norm += y[at] * y[at], largest = std::max(largest, d);
        beyond += d > 0.5 * std::abs(y[at]);
      }
      EXPECT_EQ(drift[t].name, slice.name);
      EXPECT_EQ(drift[t].layer, slice.layer);
      EXPECT_NEAR(drift[t].relative(), std::sqrt(moved / norm), 1e-12);
      EXPECT_EQ(drift[t].largest, largest);
      EXPECT_EQ(drift[t].beyond, beyond);
      EXPECT_DOUBLE_EQ(drift[t].share_beyond(),
                       static_cast<double>(beyond) / static_cast<double>(slice.size));
    }
  }
}

TEST(Drift, IsZeroWhereNothingMovedAndAllOfAWeightThatWasZero) {
  const ParameterArena old = small_arena(1, DType::f32), now = small_arena(1, DType::f32);
  const char* name = "encoder.layer.0.dense.bias";
  old.value(*old.find(name)).fill(0);
  for (const ParameterArena* both : {&old, &now}) {
    both->value(*both->find("encoder.layer.1.dense.bias")).fill(0);
  }
  for (const TensorDrift& row : measure_tensor_drift(now, old)) {
    const bool was_zero = row.name == name;
    EXPECT_EQ(row.relative(), 0) << row.name;
    EXPECT_EQ(row.moved > 0, was_zero) << row.name;
    EXPECT_EQ(row.share_beyond(), was_zero ? 1 : 0) << row.name;
  }
}

TEST(Drift, LeavesOutWhatOnlyOneOfThemHas) {
  ParameterArena old;
  for (const char* name : {"encoder.layer.0.dense.bias", "heads.news.bias"}) {
    old.declare(name, {6}, {slice_of(name, {6}, 1, false)});
  }
  old.allocate(DType::f32);
  const auto drift = measure_tensor_drift(small_arena(1, DType::f32), old);
  ASSERT_EQ(drift.size(), 1U);  // the head's bias has 3 elements now
  EXPECT_EQ(drift[0].name, "encoder.layer.0.dense.bias");
  expect_error<std::invalid_argument>(
      "type", "f64 and f32", [&] { measure_tensor_drift(small_arena(1, DType::f64), old); });
}

TEST(Drift, SameBitsForAnyNumberOfThreads) {
  const ParameterArena now = small_arena(1, DType::f32, 300), old = small_arena(2, DType::f32, 300);
  const auto one = measure_tensor_drift(now, old);
  for (const int threads : {2, 5}) {
    set_thread_count(threads);
    const auto many = measure_tensor_drift(now, old);
    for (std::size_t t = 0; t < one.size(); ++t) {
      EXPECT_EQ(one[t].moved, many[t].moved);
      EXPECT_EQ(one[t].norm, many[t].norm);
    }
  }
  set_thread_count(1);
}

}  // namespace
}  // namespace holdfast
