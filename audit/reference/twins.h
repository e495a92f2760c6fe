// Packed batches, dropout masks decided one at a time, and operations run forward and backward
// beside another way to compute the same. Oracles of the audit and the tests.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <limits>
#include <vector>

#include "autograd/fused.h"
#include "tensor/random.h"

namespace holdfast {

using Operation = std::function<Var(const std::vector<Var>&)>;

/// Uniform in [-1, 1) times `size`; equal seeds give equal numbers.
inline Tensor random_tensor(const Shape& shape, std::uint64_t seed, double size = 1.0,
                            DType dtype = DType::f64) {
  const RandomStream stream(seed, "test");
  std::vector<double> values(static_cast<std::size_t>(shape.numel()));
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = size * (2 * stream.uniform(0, i) - 1);
  return Tensor::from(values, shape).to(dtype);
}

/// A packed batch of texts with these lengths, in these places of the global batch.
inline Packing packing_of(const std::vector<std::int32_t>& lengths,
                          const std::vector<std::int32_t>& slots = {}) {
  std::vector<std::int32_t> offsets{0}, slot, token;
  for (std::size_t b = 0; b < lengths.size(); ++b) {
    offsets.push_back(offsets.back() + lengths[b]);
    for (std::int32_t t = 0; t < lengths[b]; ++t) {
      slot.push_back(slots.empty() ? static_cast<std::int32_t>(b) : slots[b]);
      token.push_back(t);
    }
  }
  const auto count = [](const auto& v) { return static_cast<std::int64_t>(v.size()); };
  return {Tensor::from(offsets, {count(offsets)}), Tensor::from(slot, {count(slot)}),
          Tensor::from(token, {count(token)})};
}

inline DropoutKey dropout_key(double p, std::uint32_t step = 3) {
  return {.key = RandomStream(7, "dropout").key(),
          .step = step,
          .threshold = static_cast<std::uint32_t>(std::lround(p * 65536))};
}

/// The factor of one decision, from tensor/random.h word by word.
inline double dropout_factor(const DropoutKey& key, std::int32_t slot, std::int32_t token,
                             std::int64_t channel) {
  if (!key.active()) return 1.0;
  const PhiloxCounter words =
      philox({static_cast<std::uint32_t>(channel / 8), static_cast<std::uint32_t>(token),
              static_cast<std::uint32_t>(slot), key.step},
             key.key);
  const auto number = static_cast<std::uint32_t>(channel % 8);
  const std::uint32_t bits = words[number / 2] >> (number % 2 * 16) & 0xffff;
  return bits < key.threshold ? 0.0 : key.scale();
}

/// Factors (N, C) for the rows of a batch, channels from `first` on.
inline Tensor dropout_mask(const DropoutKey& key, const Tensor& slots, const Tensor& tokens,
                           std::int64_t C, std::int64_t first = 0) {
  std::vector<double> mask;
  for (std::int64_t n = 0; n < slots.numel(); ++n) {
    for (std::int64_t c = 0; c < C; ++c) {
      mask.push_back(dropout_factor(key, slots.span<std::int32_t>()[static_cast<std::size_t>(n)],
                                    tokens.span<std::int32_t>()[static_cast<std::size_t>(n)],
                                    first + c));
    }
  }
  return Tensor::from(mask, {slots.numel(), C});
}

/// The result, then the gradient of every input for a random dout.
inline std::vector<Tensor> run(const Operation& operation, const std::vector<Tensor>& inputs) {
  std::vector<Parameter> parameters;
  for (const Tensor& input : inputs) {
    parameters.push_back({.name = "input",
                          .value = input.clone(),
                          .grad = Tensor::zeros(input.shape(), input.dtype())});
  }
  std::vector<Var> vars;
  for (Parameter& parameter : parameters) vars.emplace_back(parameter);
  const Var y = operation(vars);
  backward(y, random_tensor(y.shape(), 99).to(y.dtype()));
  std::vector<Tensor> results{y.value()};
  for (const Parameter& parameter : parameters) results.push_back(parameter.grad);
  return results;
}

/// max |a - b| / max |b|
inline double difference(const Tensor& a, const Tensor& b) {
  if (a.shape() != b.shape()) return std::numeric_limits<double>::infinity();
  const std::vector<double> x = a.to_vector(), y = b.to_vector();
  double error = 0, size = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    if (!std::isfinite(x[i]) || !std::isfinite(y[i]))
      return std::numeric_limits<double>::infinity();
    error = std::max(error, std::abs(x[i] - y[i]));
    size = std::max(size, std::abs(y[i]));
  }
  return size > 0 ? error / size : error;
}

inline std::vector<Tensor> converted(const std::vector<Tensor>& tensors, DType dtype) {
  std::vector<Tensor> result;
  for (const Tensor& tensor : tensors) result.push_back(tensor.to(dtype));
  return result;
}

}  // namespace holdfast
