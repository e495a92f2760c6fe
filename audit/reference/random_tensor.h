// Tensors of uniform random numbers, a pure function of shape and seed.
#pragma once

#include <cstdint>

#include "tensor/random.h"
#include "tensor/tensor.h"

namespace holdfast::reference {

inline Tensor random_tensor(const Shape& shape, std::uint64_t seed, double low = -1.0,
                            double high = 1.0, DType dtype = DType::f64) {
  const RandomStream stream(seed, "random_tensor");
  const Tensor out = Tensor::empty(shape, DType::f64);
  std::uint64_t i = 0;
  for (double& x : out.span<double>()) x = low + (high - low) * stream.uniform(0, i++);
  return out.to(dtype);
}

}  // namespace holdfast::reference
