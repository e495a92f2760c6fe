// The fused operations from elementary ones: their twins. Oracles of the audit and the tests.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "audit/reference/twins.h"
#include "autograd/fused.h"

namespace holdfast {

inline Var composed_linear(const std::vector<Var>& v, Activation activation) {
  const Var pre = add(matmul(v[0], transpose(v[1], 0, 1)), v[2]);
  switch (activation) {
    case Activation::gelu_erf:
      return gelu(pre, GeluKind::erf);
    case Activation::gelu_tanh:
      return gelu(pre, GeluKind::tanh);
    case Activation::tanh:
      return tanh(pre);
    case Activation::relu:
      return relu(pre);
    default:
      return pre;
  }
}

// [Ba et al. 2016], from elementary operations.
inline Var composed_norm(const Var& x, const Var& gamma, const Var& beta, double eps) {
  const Var centred = sub(x, mean(x, -1, true));
  const Var variance = mean(mul(centred, centred), -1, true);
  const Var deviation = exp(scale(log(add(variance, Var(Tensor::full({1}, x.dtype(), eps)))), 0.5));
  return add(mul(div(centred, deviation), gamma), beta);
}

inline Operation composed_residual(const DropoutKey& key, const Packing& packing, double eps) {
  return [=](const std::vector<Var>& v) {
    const Var mask(dropout_mask(key, packing.slots, packing.tokens, v[0].size(1)));
    return composed_norm(add(v[1], mul(v[0], mask)), v[2], v[3], eps);
  };
}

struct Ids {
  Tensor words, positions, types;
};

inline Ids ids_of(const Packing& packing, std::int64_t V) {
  std::vector<std::int32_t> words, types;
  for (std::int64_t n = 0; n < packing.rows(); ++n) {
    words.push_back(static_cast<std::int32_t>(n * n % V));
    types.push_back(static_cast<std::int32_t>(n % 2));
  }
  return {Tensor::from(words, {packing.rows()}), packing.tokens,
          Tensor::from(types, {packing.rows()})};
}

inline Operation composed_embedding(const DropoutKey& key, const Packing& packing, const Ids& ids,
                                    double eps) {
  return [=](const std::vector<Var>& v) {
    const Var sum = add(add(embedding(v[0], ids.words), embedding(v[1], ids.positions)),
                        embedding(v[2], ids.types));
    const Var mask(dropout_mask(key, packing.slots, packing.tokens, v[0].size(1)));
    return mul(composed_norm(sum, v[3], v[4], eps), mask);
  };
}

// Text by text and head by head, from elementary operations, with the mask of the scalar oracle.
inline Operation composed_queries(std::int64_t heads, const Packing& queries,
                                  const Packing& packing, const DropoutKey& dropout) {
  return [=](const std::vector<Var>& v) {
    const std::int64_t C = v[0].size(1), D = C / heads;
    const auto asked = queries.offsets.span<std::int32_t>();
    const auto offset = packing.offsets.span<std::int32_t>();
    std::vector<Var> texts;
    for (std::size_t b = 0; b + 1 < offset.size(); ++b) {
      const Var q = slice(v[0], 0, asked[b], asked[b + 1]);
      const Var kv = slice(v[1], 0, offset[b], offset[b + 1]);
      const Tensor slots = queries.slots.slice(0, asked[b], asked[b + 1]);
      const Tensor tokens = queries.tokens.slice(0, asked[b], asked[b + 1]);
      std::vector<Var> parts;
      for (std::int64_t h = 0; h < heads; ++h) {
        const auto channels = [&](const Var& x, std::int64_t first) {
          return slice(x, 1, first + h * D, first + (h + 1) * D);
        };
        const Var p = softmax(scale(matmul(channels(q, 0), transpose(channels(kv, 0), 0, 1)),
                                    1.0 / std::sqrt(static_cast<double>(D))));
        const Var mask(dropout_mask(dropout, slots, tokens, kv.size(0), h * 65536));
        parts.push_back(matmul(mul(p, mask), channels(kv, C)));
      }
      texts.push_back(concat(parts, 1));
    }
    return concat(texts, 0);
  };
}

inline Operation composed_attention(std::int64_t heads, const Packing& packing,
                                    const DropoutKey& dropout) {
  return [=](const std::vector<Var>& v) {
    const std::int64_t C = v[0].size(1) / 3;
    return composed_queries(heads, packing, packing,
                            dropout)({slice(v[0], 1, 0, C), slice(v[0], 1, C, 3 * C)});
  };
}

// The rows of a batch that ask: of every text its first `count` tokens, or all, the last one first.
inline std::vector<std::int32_t> asking_rows(const Packing& packing, std::int32_t count) {
  const auto offset = packing.offsets.span<std::int32_t>();
  std::vector<std::int32_t> rows;
  for (std::size_t b = 0; b + 1 < offset.size(); ++b) {
    for (std::int32_t n = std::min(count, offset[b + 1] - offset[b]); n-- > 0;)
      rows.push_back(offset[b] + n);
  }
  return rows;
}

inline Packing asking(const Packing& packing, std::int32_t count) {
  const auto slot = packing.slots.span<std::int32_t>(), token = packing.tokens.span<std::int32_t>();
  std::vector<std::int32_t> offsets{0}, slots, tokens;
  for (const std::int32_t row : asking_rows(packing, count)) {
    slots.push_back(slot[static_cast<std::size_t>(row)]);
    tokens.push_back(token[static_cast<std::size_t>(row)]);
    if (tokens.back() == 0) offsets.push_back(static_cast<std::int32_t>(tokens.size()));
  }
  const auto M = static_cast<std::int64_t>(slots.size());
  return {Tensor::from(offsets, {packing.texts() + 1}), Tensor::from(slots, {M}),
          Tensor::from(tokens, {M})};
}

// -sum of w * q * log softmax, q the smoothed one-hot labels.
inline Operation composed_cross_entropy(const Tensor& labels, const Tensor& weights,
                                        double smoothing) {
  return [=](const std::vector<Var>& v) {
    const std::int64_t N = v[0].size(0), K = v[0].size(1);
    Tensor target = Tensor::full({N, K}, DType::f64, smoothing / static_cast<double>(K));
    for (std::int64_t n = 0; n < N; ++n) {
      const auto row = static_cast<std::size_t>(n);
      target.span<double>()[row * static_cast<std::size_t>(K) +
                            static_cast<std::size_t>(labels.span<std::int32_t>()[row])] +=
          1 - smoothing;
    }
    return scale(sum(mul(mul(log_softmax(v[0]), Var(target)), Var(weights.reshape({N, 1})))), -1.0);
  };
}

}  // namespace holdfast
