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

/// What measures do over the arena, by the function of cuda::Passes of the same name: tensors of
/// one type on the GPU `on`. What returns something has waited for it.
std::vector<kernels::Dots> dots_on(Device on, std::span<const ArenaSpan> pieces, const Tensor& x,
                                   const Tensor& y);
void subtract_on(Device on, std::span<const ArenaSpan> pieces, double factor, const Tensor& y,
                 const Tensor& x);
std::vector<double> squared_differences_on(Device on, const std::vector<cuda::UpdatePiece>& pieces,
                                           const Tensor& x, const Tensor& y);
void pull_back_on(Device on, const std::vector<cuda::UpdatePiece>& pieces,
                  const std::vector<double>& factors, const Tensor& old, const Tensor& x);
/// Elements that were at their bound or beyond. max_drift is exact in the tensors' type; key (n)
/// bytes, on the GPU.
std::int64_t clamp_on(Device on, const std::vector<cuda::UpdatePiece>& pieces, double max_drift,
                      const Storage& key, const Tensor& old, const Tensor& theta);
void mix_on(Device on, const kernels::DropoutMask& mask, const std::vector<cuda::MaskedRows>& rows,
            const Tensor& old, const Tensor& theta, const Tensor& aside);
void unmix_on(Device on, const kernels::DropoutMask& mask,
              const std::vector<cuda::MaskedRows>& rows, const Tensor& aside, const Tensor& theta,
              const Tensor& gradient);
/// sum += factor x / divisor, spans of one size.
void add_normalised_on(Device on, const Tensor& x, double factor, double divisor,
                       const Tensor& sum);
std::vector<kernels::DriftSums> drift_on(Device on, const std::vector<cuda::UpdatePiece>& pieces,
                                         double limit, const Tensor& now, const Tensor& old);
std::vector<cuda::ImportanceSums> importance_sums_on(Device on, std::span<const ArenaSpan> pieces,
                                                     const Tensor& x);

}  // namespace holdfast
