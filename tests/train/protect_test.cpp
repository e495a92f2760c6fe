#include "train/protect.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "audit/reference/instruction_sets.h"
#include "base/parallel.h"
#include "tests/reference/expect_error.h"
#include "tests/train/arena_fixture.h"

namespace holdfast {
namespace {

// Importance in [0, 1) by place, a fifth of it zero.
Tensor importance_for(const ParameterArena& arena, std::uint64_t seed) {
  const Tensor f = reference::random_tensor({arena.numel()}, seed, -0.25, 1, DType::f64);
  for (double& x : f.span<double>()) x = std::max(0.0, x);
  return f.to(arena.dtype());
}

// Theta after an update that moves every weight by up to `size`.
Tensor moved(const Tensor& theta, std::uint64_t seed, double size) {
  const std::vector<double> d =
      reference::random_tensor(theta.shape(), seed, -size, size).to_vector();
  std::vector<double> x = theta.to_vector();
  for (std::size_t i = 0; i < x.size(); ++i) x[i] += d[i];
  return Tensor::from(x, theta.shape()).to(theta.dtype());
}

double ulp(double x, DType dtype) {
  if (dtype == DType::f64) return std::nextafter(std::abs(x), INFINITY) - std::abs(x);
  const float y = std::abs(static_cast<float>(x));
  return static_cast<double>(std::nextafter(y, INFINITY) - y);
}

std::vector<std::size_t> places(std::span<const std::uint8_t> key) {
  std::vector<std::size_t> at;
  for (std::size_t i = 0; i < key.size(); ++i) {
    if (key[i] != 0) at.push_back(i);
  }
  return at;
}

TEST(Protect, KeyWeightsAreTheMostImportantSharedOnesTiesByPlace) {
  const ParameterArena arena = small_arena(1, DType::f32);
  const Tensor f = importance_for(arena, 5);
  for (std::int64_t i = 0; i < f.numel(); i += 3) f.data<float>()[i] = 0.75F;  // ties
  std::vector<std::size_t> shared;
  for (const NamedSlice& slice : arena.slices()) {
    for (std::int64_t i = 0; slice.task.empty() && i < slice.size; ++i) {
      shared.push_back(static_cast<std::size_t>(slice.offset + i));
    }
  }
  for (const double fraction : {0.01, 0.2, 0.4, 1.0}) {
    std::vector<std::size_t> expected = shared;
    std::stable_sort(expected.begin(), expected.end(), [&](std::size_t a, std::size_t b) {
      return f.data<float>()[a] > f.data<float>()[b];
    });
    expected.resize(
        static_cast<std::size_t>(std::llround(fraction * static_cast<double>(shared.size()))));
    std::erase_if(expected, [&](std::size_t i) { return f.data<float>()[i] == 0; });
    std::sort(expected.begin(), expected.end());
    const Protection protection(arena, arena.values().clone(), &f, {.key_fraction = fraction});
    EXPECT_EQ(places(protection.key()), expected) << fraction;
    EXPECT_EQ(protection.protected_weights(), static_cast<std::int64_t>(expected.size()));
  }
}

// Rows by their mean importance with the bias; channels of a norm; rows of the embeddings.
TEST(Protect, NeuronsAreKeyAsAWhole) {
  const ParameterArena arena = small_arena(1, DType::f64, 3);
  const auto at = [&](const char* name) { return arena.find(name)->offset; };
  const std::int64_t weight = at("encoder.layer.0.dense.weight"),
                     bias = at("encoder.layer.0.dense.bias"),
                     gamma = at("encoder.layer.1.LayerNorm.weight"),
                     beta = at("encoder.layer.1.LayerNorm.bias"),
                     words = at("embeddings.word_embeddings.weight"),
                     head = at("heads.news.weight");
  const Tensor f = Tensor::full({arena.numel()}, DType::f64, 0.01);
  const auto set = [&](std::int64_t i, double value) { f.data<double>()[i] = value; };
  set(weight + 2 * 3 + 1, 9), set(bias + 2, 3);                    // row 2: mean 3.005 over 4
  set(gamma + 1, 4), set(beta + 1, 5);                             // channel 1: mean 4.5 over 2
  for (std::int64_t i = 0; i < 3; ++i) set(words + 4 * 3 + i, 2);  // row 4: mean 2 over 3
  set(weight, 7);                                                  // row 0: below 1.76
  for (std::int64_t i = 0; i < 9; ++i) set(head + i, 99);          // not shared
  // 7 words, and 4 rows and 4 channels in each of two layers: 23 neurons.
  const Protection protection(arena, arena.values().clone(), &f,
                              {.key_fraction = 3.0 / 23, .unit = ProtectUnit::neuron});
  std::vector<std::int64_t> expected{words + 12, words + 13, words + 14, weight + 6, weight + 7,
                                     weight + 8, bias + 2,   gamma + 1,  beta + 1};
  std::sort(expected.begin(), expected.end());
  std::vector<std::int64_t> found;
  for (const std::size_t i : places(protection.key())) {
    found.push_back(static_cast<std::int64_t>(i));
  }
  EXPECT_EQ(found, expected);
}

TEST(Protect, ClampedWeightsNeverLeaveTheirBoundByMoreThanHalfAnUlp) {
  for (const DType dtype : {DType::f32, DType::f64}) {
    for (const double max_drift : {0.0, 0.05, 0.2, 0.9999, 3.0}) {
      const ParameterArena arena = small_arena(1, dtype, 60);
      const Tensor f = importance_for(arena, 5);
      Protection protection(arena, arena.values().clone(), &f,
                            {.key_fraction = 0.5, .max_drift = max_drift});
      Tensor theta = arena.values().clone();
      const std::vector<double> old = theta.to_vector();
      for (std::uint64_t step = 0; step < 5; ++step) {
        theta = moved(theta, 50 + step, 0.3);
        const std::vector<double> before = theta.to_vector();
        protection.apply(theta);
        const std::vector<double> after = theta.to_vector();
        std::int64_t at_bound = 0;
        for (std::size_t i = 0; i < after.size(); ++i) {
          if (protection.key()[i] == 0) {
            ASSERT_EQ(after[i], before[i]) << i;
            continue;
          }
          const double bound = max_drift * std::abs(old[i]);
          const long double drift = std::abs(static_cast<long double>(after[i]) - old[i]);
          ASSERT_LE(drift, bound + static_cast<long double>(ulp(after[i], dtype)) / 2) << i;
          if (std::abs(before[i] - old[i]) < bound * (1 - 1e-6)) {
            ASSERT_EQ(after[i], before[i]) << i;
          }
          at_bound += after[i] != before[i];
        }
        EXPECT_GE(protection.at_bound(), at_bound);
        EXPECT_LE(protection.at_bound(), protection.protected_weights());
      }
      EXPECT_GT(protection.at_bound(), 0);
      const Tensor again = theta.clone();
      protection.apply(again);
      EXPECT_TRUE(same_bits(again, theta));
    }
  }
}

TEST(Protect, FrozenWeightsKeepTheirValue) {
  for (const DType dtype : {DType::f32, DType::f64}) {
    const ParameterArena arena = small_arena(1, dtype);
    const Tensor f = importance_for(arena, 5);
    Protection protection(arena, arena.values().clone(), &f,
                          {.key_fraction = 0.3, .mode = ProtectMode::freeze});
    const Tensor theta = moved(arena.values(), 9, 0.5);
    const std::vector<double> before = theta.to_vector(), old = arena.values().to_vector();
    protection.apply(theta);
    const std::vector<double> after = theta.to_vector();
    for (std::size_t i = 0; i < after.size(); ++i) {
      EXPECT_EQ(after[i], protection.key()[i] != 0 ? old[i] : before[i]) << i;
    }
    EXPECT_EQ(protection.at_bound(), protection.protected_weights());
  }
}

TEST(Protect, TensorsAreScaledBackToTheirBound) {
  for (const DType dtype : {DType::f32, DType::f64}) {
    const ParameterArena arena = small_arena(1, dtype, 200);
    arena.value(*arena.find("encoder.layer.1.dense.bias")).fill(0);
    Protection protection(arena, arena.values().clone(), nullptr,
                          {.max_drift = 0.1, .bound = ProtectBound::tensor});
    const Tensor theta = moved(arena.values(), 9, 0.3);
    // One tensor stays within its bound.
    const NamedSlice& calm = *arena.find("encoder.layer.0.dense.weight");
    const Tensor part = theta.slice(0, calm.offset, calm.offset + calm.size);
    part.copy_from(arena.values().slice(0, calm.offset, calm.offset + calm.size));
    const std::vector<double> before = theta.to_vector(), old = arena.values().to_vector();
    protection.apply(theta);
    const std::vector<double> after = theta.to_vector();
    const double rounding = dtype == DType::f32 ? 0x1p-24 : 0x1p-53;
    std::int64_t shared = 0, weights = 0;
    for (const NamedSlice& slice : arena.slices()) {
      double moved_by = 0, drift = 0, norm = 0, reached = 0;
      for (std::int64_t i = slice.offset; i < slice.offset + slice.size; ++i) {
        const auto at = static_cast<std::size_t>(i);
        moved_by += std::pow(before[at] - old[at], 2);
        drift += std::pow(after[at] - old[at], 2);
        norm += std::pow(old[at], 2);
        reached += std::pow(after[at], 2);
      }
      const double bound = 0.1 * std::sqrt(norm);
      const bool held = slice.task.empty() && std::sqrt(moved_by) > bound;
      shared += slice.task.empty();
      weights += slice.task.empty() ? slice.size : 0;
      const double factor = held ? bound / std::sqrt(moved_by) : 1;
      for (std::int64_t i = slice.offset; i < slice.offset + slice.size; ++i) {
        const auto at = static_cast<std::size_t>(i);
        const double expected = held ? old[at] + factor * (before[at] - old[at]) : before[at];
        ASSERT_NEAR(after[at], expected, 4 * rounding) << slice.name << " " << i;
      }
      if (held) {
        EXPECT_NEAR(std::sqrt(drift), bound, 2 * rounding * std::sqrt(reached)) << slice.name;
      }
      EXPECT_EQ(held, slice.task.empty() && &slice != &calm) << slice.name;
    }
    EXPECT_EQ(protection.at_bound(), shared - 1);
    EXPECT_EQ(protection.protected_weights(), weights);
  }
}

TEST(Protect, SameBitsForAnyNumberOfThreadsAndInstructionSet) {
  const reference::KeepMachine keep;
  const ParameterArena arena = small_arena(1, DType::f32, 300);
  const Tensor f = importance_for(arena, 5);
  for (const ProtectBound bound : {ProtectBound::weight, ProtectBound::tensor}) {
    std::vector<Tensor> results;
    for (const Isa isa : reference::instruction_sets()) {
      set_isa(isa);
      for (const int threads : {1, 2, 5}) {
        set_thread_count(threads);
        Protection protection(arena, arena.values().clone(), &f, {.bound = bound});
        results.push_back(moved(arena.values(), 9, 0.3));
        protection.apply(results.back());
      }
    }
    for (const Tensor& result : results) EXPECT_TRUE(same_bits(result, results[0]));
  }
}

TEST(Protect, ABoundThatIsNeverReachedChangesNoBit) {
  const ParameterArena arena = small_arena(1, DType::f32);
  const Tensor f = importance_for(arena, 5);
  for (const ProtectBound bound : {ProtectBound::weight, ProtectBound::tensor}) {
    Protection protection(arena, arena.values().clone(), &f,
                          {.key_fraction = 1, .max_drift = 1e9, .bound = bound});
    const Tensor theta = moved(arena.values(), 9, 0.3), before = theta.clone();
    protection.apply(theta);
    EXPECT_TRUE(same_bits(theta, before));
    EXPECT_EQ(protection.at_bound(), 0);
  }
}

TEST(Protect, RefusesNonsense) {
  const ParameterArena arena = small_arena(1, DType::f32);
  const Tensor old = arena.values().clone(), f = importance_for(arena, 5);
  for (const ProtectOptions& bad :
       {ProtectOptions{.key_fraction = 0}, ProtectOptions{.key_fraction = 1.1},
        ProtectOptions{.max_drift = -0.1}, ProtectOptions{.max_drift = std::nan("")}}) {
    expect_error<std::invalid_argument>("range", "must be in (0, 1] and max_drift",
                                        [&] { Protection(arena, old, &f, bad); });
  }
  expect_error<std::invalid_argument>("none", "chosen by importance: there is none",
                                      [&] { Protection(arena, old, nullptr, {}); });
  const Tensor nothing = Tensor::zeros({arena.numel()}, DType::f32);
  expect_error<std::invalid_argument>("zero", "zero everywhere",
                                      [&] { Protection(arena, old, &nothing, {}); });
  expect_error<std::invalid_argument>("freeze", "needs mode \"clamp\"", [&] {
    Protection(arena, old, &f, {.mode = ProtectMode::freeze, .bound = ProtectBound::tensor});
  });
  expect_error<std::invalid_argument>(
      "size", "as the model", [&] { Protection(arena, Tensor::zeros({3}, DType::f32), &f, {}); });
  Protection protection(arena, old, &f, {});
  expect_error<std::invalid_argument>("theta", "theta is (3)",
                                      [&] { protection.apply(Tensor::zeros({3}, DType::f32)); });
  expect_error<std::invalid_argument>("name", "known: \"weight\", \"neuron\"",
                                      [] { parse_protect_unit("row"); });
  EXPECT_EQ(parse_protect_mode("freeze"), ProtectMode::freeze);
  EXPECT_EQ(parse_protect_bound(name_of(ProtectBound::tensor)), ProtectBound::tensor);
}

}  // namespace
}  // namespace holdfast
