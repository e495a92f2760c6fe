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
#include "train/spans.h"

namespace holdfast {

/// A run of the arena that is updated alike. What no range covers is frozen.
struct UpdateRange {
  std::int64_t begin = 0, end = 0;
  double learning_rate = 0;  // at schedule factor 1
  double weight_decay = 0;   // decoupled
  bool anchored = true;      // had a value before this training, which may hold it
  int layer = 0;             // as NamedSlice's
};

/// Ranges of all slices: rates by layer (0 embeddings ... L+1 pooler and heads; one element: the
/// same everywhere), decay where the slice wants it, anchored outside `fresh`, which has no past.
/// Neighbours of one layer that are alike are joined. Throws std::invalid_argument
/// when a slice's layer has no rate.
std::vector<UpdateRange> update_ranges(const ParameterArena& arena,
                                       std::span<const double> layer_rates, double weight_decay,
                                       std::span<const ArenaSpan> fresh);

/// sqrt(sum g_i^2), summed in double in fixed chunks: the same bits for any number of threads. Not
/// finite when an element is not.
double gradient_norm(const Tensor& gradient);
/// The same over `spans` alone, what is outside taken for zero: exactly the norm, bit for bit, of a
/// gradient that is zero there. For gradients that are stale in part.
double gradient_norm(const Tensor& gradient, std::span<const ArenaSpan> spans);

/// min(1, max_norm / (norm + 1e-6)), as torch.nn.utils.clip_grad_norm_. max_norm 0: no clipping.
double clip_factor(double norm, double max_norm);

struct AdamWOptions {
  double beta1 = 0.9, beta2 = 0.999;
  double epsilon = 1e-8;
};

/// What holds parameters back in this step. Null pointers and weights 0: nothing.
struct Pull {
  const EwcPenalty* ewc = nullptr;
  L2Penalty l2;
  const Tensor* anchor = nullptr;  // theta_old, where there is no ewc that has it
  Coupling coupling = Coupling::coupled;
  const RecAdam* recadam = nullptr;
};

/// Penalties before the update, over the ranges that are trained.
struct UpdateSums {
  double ewc = 0;      // lambda sum Fh d^2
  double l2 = 0;       // weight sum (theta - target)^2
  double l2_head = 0;  // head sum theta^2
};

/// AdamW [Loshchilov & Hutter 2019, algorithm 2] in the order of torch.optim.AdamW. For step t = 1,
/// 2, ... of a range, with d = theta - theta_old:
///   g = clip g_task + 2 lambda Fh d + 2 w (theta - target)
///   theta *= 1 - lr decay
///   m += (1 - beta1)(g - m),  v = beta2 v + (1 - beta2) g^2
///   theta -= lr / (1 - beta1^t) m / (sqrt(v) / sqrt(1 - beta2^t) + epsilon)
/// Decoupled, 2 lambda Fh d is not in g; after the step instead, the proximal map of the penalty:
///   theta = theta_old + d / (1 + 2 lr lambda Fh)
/// which no lambda makes unstable and which keeps theta_old where lambda Fh grows without bound.
/// With RecAdam, in anchored ranges alone, lr of the last line of the step is lr k(t), and after it
///   theta -= lr (w - k(t)) gamma d
/// One pass over memory. The same bits for any number of threads; lambda = 0 gives the bits of no
/// penalty, in either coupling.
class AdamW {
 public:
  /// Throws std::invalid_argument for betas outside [0, 1), epsilon <= 0, ranges that overlap, are
  /// empty or leave the arena.
  AdamW(std::int64_t numel, DType dtype, std::vector<UpdateRange> ranges,
        const AdamWOptions& options = {});

  /// Updates theta in place; lr = learning_rate * rate_factor in each range. Throws
  /// std::invalid_argument for another shape, or a pull toward the old weights without them.
  UpdateSums step(const Tensor& theta, const Tensor& gradient, double rate_factor, double clip,
                  const Pull& pull = {});

  /// From now on, ranges of layers below `layer` are left alone: no update, no decay, no pass over
  /// their memory. Every range counts its own steps, so that one that is trained late begins as at
  /// t = 1, with zero moments.
  void train_from_layer(int layer);
  /// What is updated: where the gradient counts.
  std::vector<ArenaSpan> trained_spans() const;

  /// Steps taken by the range that took most.
  std::int64_t steps() const;
  const std::vector<std::int64_t>& range_steps() const { return steps_; }
  const Tensor& first_moment() const { return m_; }
  const Tensor& second_moment() const { return v_; }
  const std::vector<UpdateRange>& ranges() const { return ranges_; }
  /// Continues from a checkpoint with the range_steps() of then. Throws std::invalid_argument for
  /// another number of ranges, a negative one, and tensors of another size or type.
  void restore(std::span<const std::int64_t> range_steps, const Tensor& first_moment,
               const Tensor& second_moment);

 private:
  struct Chunk {
    std::int64_t begin, end;
    std::size_t range;
  };
  void check(const Tensor& theta, const Tensor& gradient, const Pull& pull) const;
  /// The update of every chunk, on the CPU or a GPU: sums of their penalties.
  template <class T>
  std::vector<kernels::PullSums> step_here(const Tensor& theta, const Tensor& gradient,
                                           double rate_factor, double clip, const Pull& pull) const;
  template <class T>
  std::vector<kernels::PullSums> step_on(Device on, const Tensor& theta, const Tensor& gradient,
                                         double rate_factor, double clip, const Pull& pull) const;
  kernels::AdamWStep constants_of(std::size_t range, double rate_factor, double clip,
                                  const Pull& pull) const;

  std::vector<UpdateRange> ranges_;
  std::vector<std::int64_t> steps_;  // of each range
  std::vector<Chunk> chunks_;        // of the ranges that are trained, in fixed pieces
  AdamWOptions options_;
  Tensor m_, v_;
};

}  // namespace holdfast
