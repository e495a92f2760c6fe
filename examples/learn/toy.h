// What the examples share: random weights and the plainest of optimizers, both on the flat arena.
#pragma once

#include <cstdint>
#include <string_view>

#include "nn/parameters.h"
#include "tensor/random.h"

namespace toy {

/// A parameter of one slice; returns its index.
inline std::size_t declare(holdfast::ParameterArena& arena, const char* name,
                           const holdfast::Shape& shape) {
  return arena.declare(name, shape, {{.name = name, .shape = shape, .task = {}}});
}

/// theta ~ normal(0, deviation), all of it.
inline void randomize(holdfast::ParameterArena& arena, double deviation, std::uint64_t seed) {
  const holdfast::RandomStream random(seed, "toy/weights");
  const auto theta = arena.values().span<double>();
  for (std::size_t i = 0; i < theta.size(); ++i) theta[i] = deviation * random.normal(0, i);
}

/// theta -= rate * gradient, and forgets the gradient.
inline void descend(holdfast::ParameterArena& arena, double rate) {
  const auto theta = arena.values().span<double>(), gradient = arena.grads().span<double>();
  for (std::size_t i = 0; i < theta.size(); ++i) theta[i] -= rate * gradient[i];
  arena.zero_grad();
}

}  // namespace toy
