// AdamW over the flat arena, with clipping and penalties in the same pass. Tested by
// tests/train/optimizer_test.cpp.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "nn/parameters.h"
#include "tensor/kernels/update.h"
#include "tensor/tensor.h"
#include "train/penalty.h"

namespace holdfast {

/// A run of the arena that is updated alike. What no range covers is frozen.
struct UpdateRange {
  std::int64_t begin = 0, end = 0;
  double learning_rate = 0;  // at schedule factor 1
  double weight_decay = 0;   // decoupled
  bool anchored = true;      // had a value before this training: L2 toward the old weights applies
};

/// Ranges of all slices: rates by layer (0 embeddings ... L+1 pooler and heads; one element: the
/// same everywhere), decay where the slice wants it, anchored unless the slice belongs to the head
/// of `new_task`. Neighbours that are alike are joined. Throws std::invalid_argument when a slice's
/// layer has no rate.
std::vector<UpdateRange> update_ranges(const ParameterArena& arena,
                                       std::span<const double> layer_rates, double weight_decay,
                                       std::string_view new_task);

/// sqrt(sum g_i^2), summed in double in fixed chunks: the same bits for any number of threads. Not
/// finite when an element is not.
double gradient_norm(const Tensor& gradient);

/// min(1, max_norm / (norm + 1e-6)), as torch.nn.utils.clip_grad_norm_. max_norm 0: no clipping.
double clip_factor(double norm, double max_norm);

struct AdamWOptions {
  double beta1 = 0.9, beta2 = 0.999;
  double epsilon = 1e-8;
};

/// What holds parameters back in this step. Null pointer and weight 0: nothing.
struct Pull {
  const EwcPenalty* ewc = nullptr;
  L2Penalty l2;
  const Tensor* anchor =
      nullptr;  // theta_old for L2 toward the old weights; that of ewc when there is one
};

struct UpdateSums {
  double ewc = 0;  // lambda sum Fh d^2, before the update
  double l2 = 0;   // weight sum (theta - target)^2, before the update
};

/// AdamW [Loshchilov & Hutter 2019, algorithm 2] in the order of torch.optim.AdamW. For step t = 1,
/// 2, ...:
///   g = clip g_task + 2 lambda Fh (theta - theta_old) + 2 w (theta - target)
///   theta *= 1 - lr decay
///   m += (1 - beta1)(g - m),  v = beta2 v + (1 - beta2) g^2
///   theta -= lr / (1 - beta1^t) m / (sqrt(v) / sqrt(1 - beta2^t) + epsilon)
/// One pass over memory. The same bits for any number of threads; lambda = 0 gives the bits of no
/// penalty.
class AdamW {
 public:
  /// Throws std::invalid_argument for betas outside [0, 1), epsilon <= 0, ranges that overlap, are
  /// empty or leave the arena.
  AdamW(std::int64_t numel, DType dtype, std::vector<UpdateRange> ranges,
        const AdamWOptions& options = {});

  /// Updates theta in place; lr = learning_rate * rate_factor in each range.
  UpdateSums step(const Tensor& theta, const Tensor& gradient, double rate_factor, double clip,
                  const Pull& pull = {});

  std::int64_t steps() const { return steps_; }
  const Tensor& first_moment() const { return m_; }
  const Tensor& second_moment() const { return v_; }
  const std::vector<UpdateRange>& ranges() const { return ranges_; }
  /// Continues from a checkpoint. Throws std::invalid_argument for tensors of another size or type.
  void restore(std::int64_t steps, const Tensor& first_moment, const Tensor& second_moment);

 private:
  struct Chunk {
    std::int64_t begin, end;
    std::size_t range;
  };
  kernels::AdamWStep constants_of(const UpdateRange& range, double rate_factor, double clip) const;

  std::vector<UpdateRange> ranges_;
  std::vector<Chunk>
      chunks_;  // ranges cut into fixed pieces: units of parallel work and of summation
  AdamWOptions options_;
  Tensor m_, v_;
  std::int64_t steps_ = 0;
};

}  // namespace holdfast
