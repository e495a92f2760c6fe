// Tests that run on a device: the simulation, with teams of few threads, and the GPU of a build
// that has CUDA, where the machine has one.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "tensor/cuda/built_in.h"
#include "tensor/storage.h"
#include "tests/cuda/simulation.h"

namespace holdfast {

inline constexpr int kGpu = 0;  // instead of a team's size

/// The parameter is the size of a simulation's teams, or kGpu.
class OnDeviceTest : public testing::TestWithParam<int> {
 protected:
  void SetUp() override {
    if (GetParam() != kGpu) return cuda::use_runtime(&cuda::simulation(GetParam()));
    cuda::use_runtime(nullptr);
    const cuda::Runtime* runtime = cuda::runtime();
    if (runtime == nullptr) GTEST_SKIP() << "this build has no CUDA";
    if (const std::string missing = runtime->missing(0); !missing.empty())
      GTEST_SKIP() << "no GPU: " << missing;
  }
  void TearDown() override {
    release_cached_memory();
    cuda::use_runtime(nullptr);
  }
  /// Kernels run since the start; of a GPU, which does not count, more each time.
  static std::int64_t kernels_run() {
    static std::int64_t asked = 0;
    return GetParam() == kGpu ? ++asked : cuda::kernels_run();
  }
};

inline std::string device_test_name(const testing::TestParamInfo<int>& info) {
  return info.param == kGpu ? "Gpu" : "TeamOf" + std::to_string(info.param);
}

/// Teams of one, a few and an odd number of threads; and the GPU.
inline auto all_devices() { return testing::Values(1, 3, 4, kGpu); }

}  // namespace holdfast
