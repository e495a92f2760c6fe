// y = f(x W^T + b) for many rows x: products, bias and activation block by block, while a block is
// in the first-level cache.
#pragma once

#include "tensor/kernels/activation.h"

namespace holdfast::kernels {

template <class T>
struct Linear {
  /// Rows of W (O, I) in a panel: packed, W is ceil(O / panel) panels (I, panel), the last filled
  /// up with zeros.
  std::int64_t panel;
  /// Packs panels [begin, end) of W.
  void (*pack)(const T* weight, std::int64_t I, std::int64_t O, std::int64_t begin,
               std::int64_t end, T* packed);
  /// x (rows, I), bias (O) -> y and, unless null, slope (rows, O), as in Activations::Forward.
  void (*forward)(const T* x, const T* packed, const T* bias, std::int64_t rows, std::int64_t I,
                  std::int64_t O, typename Activations<T>::Forward activation, T* y, T* slope);
};

}  // namespace holdfast::kernels
