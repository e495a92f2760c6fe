// PerSampleSums (train/per_sample.h) on a GPU: what its functions add, by the same formulas.
#pragma once

#include <span>
#include <vector>

#include "tensor/tensor.h"
#include "train/per_sample.h"

namespace holdfast {

/// Rows of samples: offsets of each sample's rows, and one past the last.
using SampleOffsets = std::vector<std::int64_t>;

/// sums (O, I) f64 += sum over samples n of f(delta_n^T x_n): delta (N, O), x (N, I).
void add_products_on(Device on, const SampleOffsets& offsets, SumOf what, const Tensor& delta,
                     const Tensor& x, const Tensor& sums);
/// gradients (samples, C) += sum over each sample's rows of a, times b where there is one.
void add_columns_on(Device on, const SampleOffsets& offsets, const Tensor& a, const Tensor& b,
                    const Tensor& gradients);
/// sums (C) f64 += sum over samples of f(gradients): gradients (samples, C).
void add_magnitudes_on(Device on, SumOf what, const Tensor& gradients, const Tensor& sums);
/// sums (V, C) f64 += per row of the table f(sum of delta over a sample's look-ups of that row).
void add_lookups_on(Device on, const SampleOffsets& offsets, SumOf what, const Tensor& ids,
                    const Tensor& delta, const Tensor& sums);

}  // namespace holdfast
