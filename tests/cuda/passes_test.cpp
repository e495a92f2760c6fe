// What measures do over the arena on a device, beside the CPU, from the same numbers.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "audit/reference/small_arena.h"
#include "audit/reference/twins.h"
#include "autograd/ops.h"
#include "tests/cuda/on_simulation.h"
#include "tests/reference/expect_error.h"
#include "train/drift.h"
#include "train/gradient_projection.h"
#include "train/importance.h"
#include "train/mixout.h"
#include "train/path_importance.h"
#include "train/protect.h"

namespace holdfast {
namespace {

using PassesOnDevice = OnDeviceTest;

constexpr std::int64_t kWidth = 150;  // matrices of two pieces, columns that no octet divides
constexpr std::int64_t kSumElements = 40000;

double bound_of(DType dtype) { return dtype == DType::f64 ? 1e-12 : 1e-6; }

// Calls compute() on the CPU and on the device, in both types; results are to be as near as
// bound_of() says, and of two runs on the device the same bits.
template <class Compute>
void expect_equal(const Compute& compute) {
  for (const DType dtype : {DType::f64, DType::f32}) {
    const std::vector<Tensor> expected = compute(dtype);
    const OnDevice scope({0});
    const std::vector<Tensor> found = compute(dtype), again = compute(dtype);
    ASSERT_EQ(found.size(), expected.size());
    for (std::size_t i = 0; i < found.size(); ++i) {
      EXPECT_LE(difference(found[i], expected[i]), bound_of(dtype)) << name_of(dtype) << ' ' << i;
      EXPECT_EQ(found[i].to_vector(), again[i].to_vector()) << name_of(dtype) << ' ' << i;
    }
  }
}

Tensor scalar(double x) { return Tensor::from(std::vector{x}, {1}); }

TEST_P(PassesOnDevice, GradientProjectionIsTheCpus) {
  const std::vector<ArenaSpan> spans{{16, kPiece + 5}, {2 * kPiece, kSumElements - 7}};
  for (const double sign : {1.0, -1.0}) {
    const auto projected = [&](DType dtype) {
      const Tensor g = random_tensor({kSumElements}, 1, 1.0, dtype),
                   r = random_tensor({kSumElements}, 2, sign, dtype);
      const Projection projection = project(g, r, spans);
      EXPECT_EQ(projection.acted, projection.cosine < 0);
      return std::vector{g, scalar(projection.cosine), scalar(projection.acted)};
    };
    expect_equal(projected);
  }
}

TEST_P(PassesOnDevice, GradientProjectionLeavesWhatIsNotFinite) {
  const OnDevice scope({0});
  const Tensor g = random_tensor({100}, 1), zero = Tensor::zeros({100}, DType::f64),
               broken = Tensor::full({100}, DType::f64, std::numeric_limits<double>::infinity());
  const std::vector<double> before = g.to_vector();
  const ArenaSpan whole{0, 100};
  for (const Tensor& r : {zero, broken}) EXPECT_FALSE(project(g, r, {&whole, 1}).acted);
  EXPECT_EQ(g.to_vector(), before);
}

struct Mixed {
  Tensor theta, unmixed, gradient;
};
Mixed mixed(DType dtype, double p) {
  const ParameterArena arena = small_arena(1, dtype, kWidth);
  const Tensor old = small_arena(2, dtype, kWidth).values();
  const Tensor theta = arena.values().clone(),
               gradient = random_tensor(theta.shape(), 3, 1.0, dtype);
  Mixout mixout(arena, old, p, 7, "news");
  mixout.mix(theta, 12);
  Mixed out{theta.clone(), theta, gradient};
  mixout.unmix(theta, gradient);
  return out;
}

TEST_P(PassesOnDevice, MixoutIsTheCpus) {
  for (const double p : {0.0, 0.25}) {
    const auto all = [p](DType dtype) {
      const Mixed out = mixed(dtype, p);
      EXPECT_EQ(out.unmixed.to_vector(), small_arena(1, dtype, kWidth).values().to_vector());
      return std::vector{out.theta, out.gradient};
    };
    expect_equal(all);
  }
}

// The old weight itself where the mask says so, and there alone.
TEST_P(PassesOnDevice, MixoutsMasksAreTheCpus) {
  const Mixed expected = mixed(DType::f32, 0.25);
  const std::vector<double> old = small_arena(2, DType::f32, kWidth).values().to_vector();
  const OnDevice scope({0});
  const Mixed found = mixed(DType::f32, 0.25);
  const std::vector<double> a = found.theta.to_vector(), b = expected.theta.to_vector();
  std::int64_t from_old = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    ASSERT_EQ(a[i] == old[i], b[i] == old[i]) << i;
    from_old += a[i] == old[i];
  }
  EXPECT_GT(from_old, 5000);
}

// Three updates that move every weight, each held afterwards.
std::vector<Tensor> held(DType dtype, const ProtectOptions& options) {
  const ParameterArena arena = small_arena(1, dtype, kWidth);
  Tensor importance = random_tensor({arena.numel()}, 5);
  for (double& x : importance.span<double>()) x = std::max(0.0, x);
  importance = importance.to(dtype);
  Protection protection(arena, arena.values().clone(), &importance, options);
  const Tensor theta = arena.values().clone();
  std::vector<Tensor> out{scalar(static_cast<double>(protection.protected_weights()))};
  for (std::uint64_t step = 0; step < 3; ++step) {
    const Tensor move = random_tensor(theta.shape(), 10 + step, 0.2, dtype);
    theta.copy_from(add(Var(theta), Var(move)).value());
    protection.apply(theta);
    out.push_back(theta.clone());
    out.push_back(scalar(static_cast<double>(protection.at_bound())));
  }
  EXPECT_GT(protection.at_bound(), 0);
  return out;
}

TEST_P(PassesOnDevice, ProtectionIsTheCpus) {
  for (const ProtectOptions& options :
       {ProtectOptions{.max_drift = 0.1}, ProtectOptions{.mode = ProtectMode::freeze},
        ProtectOptions{.key_fraction = 0.5, .unit = ProtectUnit::neuron},
        ProtectOptions{.max_drift = 0.05, .bound = ProtectBound::tensor},
        ProtectOptions{.max_drift = 0, .bound = ProtectBound::tensor}})
    expect_equal([&](DType dtype) { return held(dtype, options); });
}

TEST_P(PassesOnDevice, TheKeyOfProtectionIsTheCpus) {
  const auto key = [] {
    const ParameterArena arena = small_arena(1, DType::f32);
    const Tensor importance = arena.values();
    for (float& x : importance.span<float>()) x = std::abs(x);
    const Protection protection(arena, importance, &importance, {});
    return std::vector<std::uint8_t>(protection.key().begin(), protection.key().end());
  };
  const std::vector<std::uint8_t> expected = key();
  const OnDevice scope({0});
  EXPECT_EQ(key(), expected);
}

TEST_P(PassesOnDevice, PathImportanceIsTheCpus) {
  expect_equal([](DType dtype) {
    const ParameterArena arena = small_arena(1, dtype, 20);
    PathImportance path(arena);
    for (std::uint64_t step = 0; step < 3; ++step) {
      arena.values().copy_from(random_tensor(arena.values().shape(), 20 + step, 1.0, dtype));
      path.record(random_tensor(arena.values().shape(), 30 + step, 1.0, dtype), arena.values());
    }
    return std::vector{path.contributions(), path.finish(arena, "medical").values};
  });
}

Tensor importance_of(const ParameterArena& arena, std::uint64_t seed) {
  Tensor f = random_tensor({arena.numel()}, seed);
  for (double& x : f.span<double>()) x = std::max(0.0, x);
  return f.to(arena.dtype());
}

TEST_P(PassesOnDevice, NormalisedImportanceIsTheCpus) {
  for (const Normalization normalization :
       {Normalization::none, Normalization::mean, Normalization::max, Normalization::tensor}) {
    expect_equal([=](DType dtype) {
      const ParameterArena arena = small_arena(1, dtype, kWidth);
      const Tensor sum = Tensor::zeros({arena.numel()}, dtype);
      std::vector<Tensor> out{sum};
      for (const std::uint64_t seed : {5, 6}) {
        const ImportanceScale scale =
            add_normalised(importance_of(arena, seed), arena.slices(), normalization, 0.7, sum);
        for (const double x :
             {scale.maximum, scale.mean_positive, scale.positive_share, scale.divisor})
          out.push_back(scalar(x));
      }
      return out;
    });
  }
}

TEST_P(PassesOnDevice, BrokenImportanceIsRefused) {
  const OnDevice scope({0});
  for (const double broken :
       {-1.0, std::numeric_limits<double>::infinity(), std::numeric_limits<double>::quiet_NaN()}) {
    const Tensor f = Tensor::full({40000}, DType::f32, 1);
    f.data<float>()[39999] = static_cast<float>(broken);
    expect_error<std::invalid_argument>("broken", "a negative or non-finite value",
                                        [&] { importance_scale(f, 40000); });
  }
  EXPECT_EQ(importance_scale(Tensor::zeros({100}, DType::f32), 100).maximum, 0);
}

TEST_P(PassesOnDevice, DriftIsTheCpus) {
  expect_equal([](DType dtype) {
    const ParameterArena now = small_arena(1, dtype, kWidth);
    ParameterArena old;  // in another order, and without the new head
    for (const std::size_t i : {5, 0, 3, 1}) {
      const NamedSlice& slice = now.slices()[i];
      old.declare(slice.name, slice.shape, {slice});
    }
    old.allocate(dtype);
    old.values().copy_from(random_tensor(old.values().shape(), 4, 1.0, dtype));
    std::vector<Tensor> out;
    for (const TensorDrift& tensor : measure_tensor_drift(now, old, 0.5)) {
      for (const double x :
           {tensor.moved, tensor.norm, tensor.largest, static_cast<double>(tensor.beyond)})
        out.push_back(scalar(x));
    }
    EXPECT_EQ(out.size(), 16U);
    return out;
  });
}

INSTANTIATE_TEST_SUITE_P(Cuda, PassesOnDevice, all_devices(), device_test_name);

}  // namespace
}  // namespace holdfast
