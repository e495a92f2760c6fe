// Dropout [Srivastava et al. 2014] with the masks of tensor/random.h.
#pragma once

#include <cstdint>

namespace holdfast::kernels {

/// A DropoutKey for kernels.
struct DropoutMask {
  std::uint32_t key[2];
  std::uint32_t step;
  std::uint32_t threshold;
  double keep_scale;
};

template <class T>
struct Dropout {
  /// y = x * factor, or y = residual + x * factor, with factor = keep_scale or 0 by the mask: x,
  /// residual (may be null), y (rows, C); y may be x or residual. Backward is the same function of
  /// dout without a residual.
  void (*apply)(const DropoutMask& mask, const std::int32_t* slots, const std::int32_t* tokens,
                const T* x, const T* residual, std::int64_t rows, std::int64_t C, T* y);
};

}  // namespace holdfast::kernels
