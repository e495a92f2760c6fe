// Squares or absolute values of per-sample gradients without a loop over samples: what Fisher
// information and MAS are made of. Not those of a batch's mean gradient: its square is smaller by
// about the batch size. Tested by tests/train/per_sample_test.cpp.
#pragma once

#include <cstdint>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "autograd/fused.h"
#include "autograd/var.h"
#include "nn/parameters.h"

namespace holdfast {

/// What is added up of every sample's gradient: f(g) = g^2 or |g|.
enum class SumOf { squares, absolutes };

/// Adds, for every parameter, the sum over the samples of a batch of f(gradient of the sample).
/// With x_n (T,I) and delta_n (T,O) of sample n:
///   linear     F_W += sum_n f(delta_n^T x_n),  F_b += sum_n f(sum_t delta_nt)
///   norm       F_gamma += sum_n f(sum_t delta_nt xhat_nt),  F_beta += sum_n f(sum_t delta_nt)
///   embedding  F_row += sum_n f(sum of delta_nt over the t of n with that id)
/// A norm that is used several times in a pass adds up its gradients before f; other parameters may
/// be used once. Rows of an operation are the batch's tokens (N), or one row a text (at most B
/// rows, of different texts). Memory beyond the accumulator is B gradients of every norm; the rest
/// is done tile by tile. The same bits for any number of threads.
class PerSampleSums : public ParameterGradients {
 public:
  /// Accumulators of the arena's layout in f64, zero at first. The arena must outlive this.
  PerSampleSums(const ParameterArena& arena, SumOf what);

  /// Must be called before every backward pass: whose rows come next.
  void begin(const Packing& packing);

  void linear(Parameter& weight, Parameter* bias, const Tensor& x, const Tensor& dout) override;
  void norm(Parameter& gamma, Parameter& beta, const Tensor& xhat, const Tensor& dout) override;
  void embedding(Parameter& table, const Tensor& ids, const Tensor& dout) override;
  /// Throws std::invalid_argument naming the parameter: a whole gradient has no samples left in it.
  void dense(Parameter& parameter, const Tensor& gradient) override;

  /// The sums (arena's numel) f64; gaps are zero.
  const Tensor& sums();

 private:
  /// The parameter's accumulator. Throws std::invalid_argument unless it is in the arena.
  Tensor sums_of(const Parameter& parameter);
  /// The same for a parameter that may be used once. Throws std::invalid_argument when a pass uses
  /// it a second time: its two gradients, too large to be kept, would have to be added before f.
  Tensor use(const Parameter& parameter);
  /// Adds sum over rows of delta, times `factor` where there is one, to the per-sample gradients of
  /// a norm's parameter.
  void hold(const Parameter& parameter, const Tensor& delta, const Tensor& factor,
            const std::vector<std::int64_t>& offsets);
  /// The same for a bias on a GPU, straight into its sums.
  void add_bias_on(Device on, const std::vector<std::int64_t>& offsets, const Tensor& delta,
                   const Tensor& sums) const;
  /// Adds f of what is held to the sums.
  void flush();
  /// Where each sample's rows begin among `rows` rows, and one past the last.
  std::vector<std::int64_t> segments(std::int64_t rows) const;

  const ParameterArena* arena_;
  SumOf what_;
  Tensor sums_;
  std::vector<std::int64_t> offsets_;
  std::unordered_set<const Parameter*> used_;
  std::unordered_map<const Parameter*, Tensor> held_;  // norms' gradients of this pass (samples, C)
};

}  // namespace holdfast
