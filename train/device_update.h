// The arithmetic of an update over the flat arena on a GPU: one launch each, whatever the number of
// ranges. Sums come back piece by piece and are added in order.
#pragma once

#include <span>
#include <vector>

#include "tensor/cuda/operations.h"
#include "tensor/tensor.h"
#include "train/spans.h"

namespace holdfast {

/// sum x_i^2 over `pieces`, in double: x on the GPU `on`.
double sum_squares_on(Device on, const Tensor& x, std::span<const ArenaSpan> pieces);

/// kernels::Update::adamw_pulled on every piece, with what its range says; the sums of each. All on
/// the GPU `on`.
template <class T>
std::vector<kernels::PullSums> adamw_on(Device on, const std::vector<cuda::UpdateRange<T>>& ranges,
                                        const std::vector<cuda::UpdatePiece>& pieces,
                                        const Tensor& theta, const Tensor& gradient,
                                        const Tensor& m, const Tensor& v);

}  // namespace holdfast
