// Checksums of tensors, taken where they are. Tested by tests/train/state_hash_test.cpp and
// tests/cuda/hash_test.cpp.
#pragma once

#include "base/hash.h"
#include "tensor/tensor.h"

namespace holdfast {

/// hash128_in_pieces() of the elements' bytes, f32 or f64. Throws std::invalid_argument unless the
/// tensor is contiguous. A device sends the host 64 bytes for each MiB.
Digest hash128_of(const Tensor& x);

}  // namespace holdfast
