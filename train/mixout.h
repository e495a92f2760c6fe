// Mixout: in every step, a random part of the weights is the old one. Tested by
// tests/train/mixout_test.cpp.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "nn/parameters.h"
#include "tensor/cuda/operations.h"
#include "tensor/random.h"
#include "tensor/tensor.h"
#include "train/spans.h"

namespace holdfast {

/// Mixout [Lee, Cho & Kang 2020]: the network runs on
///   W' = ((1 - M) W0 + M W - p W0) / (1 - p),   M ~ Bernoulli(1 - p)
/// so that E[W'] = W, and the gradient is that of W: dW = dW' M / (1 - p) (the authors' code leaves
/// out the divisor). That is dropout of W - W0: W' = W0 + M (W - W0) / (1 - p), exactly W0 where
/// M = 0 or W = W0. As in their code, W are the matrices of linear layers, no biases, norms and
/// embeddings, and M is one decision for each input neuron, a column of W; here of what
/// tasks share and what has a W0: not a new head, the rows that a shared one has grown by, or a new
/// adapter.
/// M is keyed as dropout's (tensor/random.h), slot the tensor's place among the slices, channel its
/// column. p is rounded to 1/65536. The same bits for any number of threads.
class Mixout {
 public:
  /// Keeps a reference to the memory of theta_old (n). Throws std::invalid_argument unless p is in
  /// [0, 1), or for tensors that are not of the arena's size and type.
  Mixout(const ParameterArena& arena, Tensor theta_old, double p, std::uint64_t seed,
         std::string_view shared_head = {}, std::span<const ArenaSpan> fresh = {});

  /// Puts W' into theta and W aside. p = 0 changes no bit.
  /// Throws std::logic_error when W' is there already.
  void mix(const Tensor& theta, std::uint32_t step);
  /// Puts W back, every bit, and turns the gradient with respect to W' into that of W. Throws
  /// std::logic_error when W is there already.
  void unmix(const Tensor& theta, const Tensor& gradient);

 private:
  using Rows = cuda::MaskedRows;
  /// body(rows, slots, tokens), in parallel.
  template <class Body>
  void for_each_rows(const Body& body) const;

  DropoutKey key_;
  Tensor old_, aside_;  // W0, W (n)
  std::vector<Rows> rows_;
  bool mixed_ = false;  // W' is in theta
};

}  // namespace holdfast
