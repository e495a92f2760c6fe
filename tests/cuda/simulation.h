// A device of the CPU's: host memory, kernels run by a team of real threads that meet at barriers,
// products by the portable loops. Work waits in a queue until somebody waits for it, so that a
// result that is read without waiting, or a missing synchronisation, shows: as wrong numbers, and
// to ThreadSanitizer and AddressSanitizer.
#pragma once

#include <cstdint>

#include "tensor/cuda/runtime.h"

namespace holdfast::cuda {

/// A runtime with two devices whose teams have so many threads.
const Runtime& simulation(int team_size);

/// Kernels that a simulation has run since the start.
std::int64_t kernels_run();
/// Times that somebody had to wait for device 0 since the start.
std::int64_t waits();

}  // namespace holdfast::cuda
