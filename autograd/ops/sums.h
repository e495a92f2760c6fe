// Sums in parallel with a fixed order: blocks of rows by a rule of the sizes alone, then the
// blocks' sums the same way. The bits do not depend on the number of threads, and the error grows
// with the depth of the tree rather than with the length.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "tensor/tensor.h"

namespace holdfast::ops {

/// All of these run where their memory is: `on`, for whose device pointers are
/// (Tensor::data(Device)). A GPU's order of sums is its own, and fixed as well.
///
/// y (outer, inner) = sum over the middle axis of x (outer, n, inner); zero when n is 0.
template <class T>
void sum_middle(Device on, const T* x, std::int64_t outer, std::int64_t n, std::int64_t inner,
                T* y);

/// y (cols) = sum over the rows of x * z, both (rows, cols).
template <class T>
void column_dot(Device on, const T* x, const T* z, std::int64_t rows, std::int64_t cols, T* y);

/// y += x
template <class T>
void accumulate(Device on, const T* x, T* y, std::int64_t n);

/// The sum over the rows of x (rows, cols), contiguous -> (cols).
Tensor column_sums(const Tensor& x);

/// Places in `rows`, sorted by row and then by place, and where each row's begin: as many starts as
/// rows occur, and the end. By counting, O(M + table_rows); rows are in [0, table_rows).
struct RowRuns {
  std::vector<std::int32_t> order, starts;
};
RowRuns row_runs(std::span<const std::int32_t> rows, std::int64_t table_rows);

/// destination[rows[m]] += source[m] for m = 0, 1, ...: source (M, cols), rows (M) i32 within the
/// destination; contiguous. Rows of the destination in parallel, each by one worker in ascending m.
void scatter_add(const Tensor& rows, const Tensor& source, const Tensor& destination);

/// The sum of x over the axes in which `shape` has extent 1 or none: the gradient of broadcasting
/// from `shape`.
Tensor sum_to(const Tensor& x, const Shape& shape);

}  // namespace holdfast::ops
