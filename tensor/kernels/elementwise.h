// Element-wise arithmetic over contiguous spans.
#pragma once

#include <cstdint>

namespace holdfast::kernels {

template <class T>
struct Elementwise {
  /// y += x
  void (*accumulate)(const T* x, T* y, std::int64_t n);
};

}  // namespace holdfast::kernels
