// How many threads to use: measured, because two CPUs are sometimes two cores and sometimes one.
// Tested by tests/train/threads_test.cpp.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace holdfast {

struct ThreadRate {
  int threads = 0;
  double gflops = 0;  // of f32 GEMM, best of several tries
};

struct ThreadChoice {
  int threads = 1;
  std::vector<ThreadRate> measured;  // empty when there was nothing to measure
  std::string reason;                // one line, for people
};

/// The fewest threads that reach 95% of the best rate.
ThreadChoice choose_threads(const std::vector<ThreadRate>& measured);

/// Sets the number of threads: `wanted`, or with 0 what a GEMM of a layer's size says about 1, 2,
/// 4,
/// ... and all CPUs, some tens of milliseconds each. Results of training do not depend on it.
/// Throws std::invalid_argument when wanted < 0.
ThreadChoice use_threads(int wanted);

}  // namespace holdfast
