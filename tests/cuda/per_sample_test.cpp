// Sums of squared and absolute per-sample gradients on a device beside the CPU's.
#include "train/per_sample.h"

#include <gtest/gtest.h>

#include <vector>

#include "audit/reference/twins.h"
#include "tests/cuda/on_simulation.h"

namespace holdfast {
namespace {

using PerSampleOnDevice = OnDeviceTest;

// The sums of a linear layer with bias, a norm that is used twice, and a table, of two passes over
// texts of several rows; `single`: over texts of one row each.
Tensor sums_of(SumOf what, DType dtype, bool single) {
  const std::int64_t O = 5, I = 37, C = 11, V = 6;
  ParameterArena arena;
  const auto declare = [&](const char* name, const Shape& shape) {
    arena.declare(name, shape, {{.name = name, .shape = shape, .task = {}}});
  };
  declare("weight", {O, I});
  declare("bias", {O});
  declare("gamma", {C});
  declare("beta", {C});
  declare("table", {V, C});
  arena.allocate(dtype);
  const Packing packing =
      packing_of(single ? std::vector<std::int32_t>(9, 1) : std::vector<std::int32_t>{3, 1, 4, 1});
  const std::int64_t N = packing.rows();
  PerSampleSums sums(arena, what);
  for (std::uint64_t pass = 0; pass < 2; ++pass) {
    const auto numbers = [&](std::int64_t columns, std::uint64_t seed) {
      return random_tensor({N, columns}, 10 * pass + seed, 1.0, dtype);
    };
    sums.begin(packing);
    sums.linear(arena[0], &arena[1], numbers(I, 1), numbers(O, 2));
    sums.norm(arena[2], arena[3], numbers(C, 3), numbers(C, 4));
    sums.norm(arena[2], arena[3], numbers(C, 5), numbers(C, 6));
    const Tensor ids = Tensor::from(std::vector<std::int32_t>{4, 1, 4, 4, 0, 1, 1, 1, 5}, {9});
    sums.embedding(arena[4], ids, numbers(C, 7));
  }
  return sums.sums();
}

TEST_P(PerSampleOnDevice, EqualTheCpus) {
  for (const SumOf what : {SumOf::squares, SumOf::absolutes}) {
    for (const bool single : {false, true}) {
      const Tensor expected = sums_of(what, DType::f64, single);
      const OnDevice scope({0});
      const std::int64_t before = kernels_run();
      const Tensor found = sums_of(what, DType::f64, single);
      EXPECT_LE(difference(found, expected), 1e-12) << single;
      EXPECT_GT(kernels_run(), before);
      EXPECT_LE(difference(sums_of(what, DType::f32, single), expected), 2e-6) << single;
      EXPECT_EQ(found.to_vector(), sums_of(what, DType::f64, single).to_vector());
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Cuda, PerSampleOnDevice, all_devices(), device_test_name);

}  // namespace
}  // namespace holdfast
