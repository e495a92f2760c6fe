// Sums in parallel with a fixed order: blocks of rows by a rule of the sizes alone, then the
// blocks' sums the same way. The bits do not depend on the number of threads, and the error grows
// with the depth of the tree rather than with the length.
#pragma once

#include "tensor/tensor.h"

namespace holdfast::ops {

/// y (outer, inner) = sum over the middle axis of x (outer, n, inner); zero when n is 0. Tested by
/// sums_test.
template <class T>
void sum_middle(const T* x, std::int64_t outer, std::int64_t n, std::int64_t inner, T* y);

/// y (cols) = sum over the rows of x * z, both (rows, cols).
template <class T>
void column_dot(const T* x, const T* z, std::int64_t rows, std::int64_t cols, T* y);

/// y += x
template <class T>
void accumulate(const T* x, T* y, std::int64_t n);

/// destination[rows[m]] += source[m] for m = 0, 1, ...: source (M, cols), rows (M) i32 within the
/// destination. Rows of the destination in parallel, each by one worker in ascending m.
template <class T>
void scatter_add(const Tensor& rows, const T* source, std::int64_t cols, T* destination);

/// The sum of x over the axes in which `shape` has extent 1 or none: the gradient of broadcasting
/// from `shape`.
Tensor sum_to(const Tensor& x, const Shape& shape);

}  // namespace holdfast::ops
