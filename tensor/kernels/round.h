// f32 rounded to bf16, for the operands of products.
#pragma once

#include <cstdint>

#include "tensor/dtype.h"

namespace holdfast::kernels {

struct Round {
  /// y = x rounded to nearest, ties to even, as Bf16(x) does: n elements.
  void (*to_bf16)(const float* x, std::int64_t n, Bf16* y);
};

}  // namespace holdfast::kernels
