// The arithmetic that a training step of a BERT classifier cannot do without, and the matrix
// products in it. Not counted: padding, what is computed anew in the backward pass, and the last
// layer's queries, output projection and feed-forward for all rows but each text's first, which
// alone the classifier reads.
#pragma once

#include <cstdint>
#include <vector>

#include "nn/config.h"
#include "train/sample.h"

namespace holdfast::bench {

/// y (rows, out) = x (rows, in) W^T: forward, and the gradients of x and W are as much work each.
struct Product {
  std::int64_t rows, in, out;
  std::int64_t count;  // in a step

  double flops() const {
    return 2.0 * static_cast<double>(rows * in * out);
  }  // of one of the three
};

/// The linear layers of a step on `samples`, pooler and head left out: they are a thousandth.
inline std::vector<Product> products_of(const BertConfig& config,
                                        const std::vector<Sample>& samples) {
  std::int64_t N = 0;
  for (const Sample& sample : samples) N += static_cast<std::int64_t>(sample.ids.size());
  const auto B = static_cast<std::int64_t>(samples.size());
  const std::int64_t C = config.hidden_size, I = config.intermediate_size,
                     whole = config.layers - 1;
  return {{N, C, 3 * C, whole}, {N, C, C, whole}, {N, C, I, whole}, {N, I, C, whole},
          {N, C, 2 * C, 1},     {B, C, C, 2},     {B, C, I, 1},     {B, I, C, 1}};
}

/// Floating-point operations of a step: the products three times, and attention's two products of
/// (query, key) pairs forward and four backward.
inline double useful_flops(const BertConfig& config, const std::vector<Sample>& samples) {
  double flops = 0, pairs = 0, last_pairs = 0;
  for (const Product& product : products_of(config, samples))
    flops += 3 * product.flops() * static_cast<double>(product.count);
  for (const Sample& sample : samples) {
    const auto length = static_cast<double>(sample.ids.size());
    pairs += length * length;
    last_pairs += length;
  }
  pairs = pairs * static_cast<double>(config.layers - 1) + last_pairs;
  return flops + 6 * 2.0 * static_cast<double>(config.hidden_size) * pairs;
}

}  // namespace holdfast::bench
