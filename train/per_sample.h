// Squares of per-sample gradients without a loop over samples: what Fisher information is made of.
// Not the square of a batch's mean gradient, which is smaller by about the batch size. Tested by
// tests/train/per_sample_test.cpp.
#pragma once

#include <cstdint>
#include <unordered_set>
#include <vector>

#include "autograd/fused.h"
#include "autograd/var.h"
#include "nn/parameters.h"

namespace holdfast {

/// Adds, for every parameter, the sum over the samples of a batch of the squared gradient of each
/// sample. With x_n (T,I) and delta_n (T,O) of sample n:
///   linear     F_W += sum_n (delta_n^T x_n)^2,  F_b += sum_n (sum_t delta_nt)^2
///   norm       F_gamma += sum_n (sum_t delta_nt xhat_nt)^2,  F_beta += sum_n (sum_t delta_nt)^2
///   embedding  F_row += sum_n (sum of delta_nt over the t of n with that id)^2
/// Rows of an operation are the batch's tokens (N), or one row a text (at most B rows, of different
/// texts). Tile by tile: memory beyond the accumulator does not grow with texts or tokens. The same
/// bits for any number of threads.
class PerSampleSquares : public ParameterGradients {
 public:
  /// Accumulators of the arena's layout in f64, zero at first. The arena must outlive this.
  explicit PerSampleSquares(const ParameterArena& arena);

  /// Must be called before every backward pass: whose rows come next.
  void begin(const Packing& packing);

  void linear(Parameter& weight, Parameter* bias, const Tensor& x, const Tensor& dout) override;
  void norm(Parameter& gamma, Parameter& beta, const Tensor& xhat, const Tensor& dout) override;
  void embedding(Parameter& table, const Tensor& ids, const Tensor& dout) override;
  /// Throws std::invalid_argument naming the parameter: a whole gradient has no samples left in it.
  void dense(Parameter& parameter, const Tensor& gradient) override;

  /// Sums of squares (arena's numel) f64; gaps are zero.
  const Tensor& sums() const { return sums_; }

 private:
  /// The parameter's accumulator. Throws std::invalid_argument when a pass uses the parameter a
  /// second time: its two gradients would have to be added before they are squared.
  double* use(const Parameter& parameter);
  /// Where each sample's rows begin among `rows` rows, and one past the last.
  std::vector<std::int64_t> segments(std::int64_t rows) const;

  const ParameterArena* arena_;
  Tensor sums_;
  std::vector<std::int64_t> offsets_;
  std::unordered_set<const Parameter*> used_;
};

}  // namespace holdfast
