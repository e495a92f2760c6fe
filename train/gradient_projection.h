// A-GEM: a gradient that would raise the old tasks' loss is projected. Tested by
// tests/train/gradient_projection_test.cpp.
#pragma once

#include <span>

#include "tensor/tensor.h"
#include "train/spans.h"

namespace holdfast {

struct Projection {
  double cosine = 0;  // g.r / (|g| |r|) before; 0 when one of them is zero
  bool acted = false;
};

/// Averaged gradient episodic memory [Chaudhry et al. 2019]: where the step along -g would
/// raise the loss whose gradient is r,
///   g -= (g.r / r.r) r   when g.r < 0
/// over `spans` of both (what the tasks share and the step trains); g.r is then 0 but for rounding,
/// |g.r| <= 2^-23 |g| |r| in f32. g and r (n) of one type; not finite input is left as it is.
/// Before clipping and Adam. Throws std::invalid_argument for tensors of different size or type.
/// Sums in double in fixed pieces: the same bits for any number of threads.
Projection project(const Tensor& g, const Tensor& r, std::span<const ArenaSpan> spans);

}  // namespace holdfast
