// Checksums taken on a device beside the library's: the same bits.
#include "tensor/hash.h"

#include <gtest/gtest.h>

#include "audit/reference/twins.h"
#include "tests/cuda/on_simulation.h"

namespace holdfast {
namespace {

using HashOnDevice = OnDeviceTest;

// Bytes around the bounds of short inputs, stripes (64), blocks (1024) and pieces (2^20).
TEST_P(HashOnDevice, EqualsTheLibrarys) {
  for (const std::int64_t bytes : {4,
                                   236,
                                   240,
                                   244,
                                   248,
                                   256,
                                   260,
                                   316,
                                   320,
                                   1020,
                                   1024,
                                   1028,
                                   1088,
                                   2048,
                                   4100,
                                   1048572,
                                   1048576,
                                   1048580,
                                   1048576 + 240,
                                   1048576 + 244,
                                   2 * 1048576 + 3 * 1024 + 68}) {
    const Tensor x = random_tensor({bytes / 4}, 7).to(DType::f32);
    const Digest expected = hash128_of(x);
    const OnDevice scope({0});
    const std::int64_t before = kernels_run();
    EXPECT_EQ(hash128_of(x.clone()), expected) << bytes;
    EXPECT_GT(kernels_run(), before) << bytes;
    if (bytes % 8 == 0) {
      const Tensor y = x.slice(0, 0, bytes / 8).to(DType::f64);
      EXPECT_EQ(hash128_of(y), hash128_in_pieces(std::as_bytes(y.span<double>()))) << bytes;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Cuda, HashOnDevice, testing::Values(1, 3, kGpu), device_test_name);

}  // namespace
}  // namespace holdfast
