// y = x W^T for few rows x: inner products along the depth, where both x and W lie contiguous, so
// that nothing is packed and W is read from memory once.
#pragma once

#include <cstdint>

namespace holdfast::kernels {

template <class T>
struct FewRows {
  /// y (M, N) = x (M, K) W^T for W (N, K), or y += x W^T if `add`; ldx, ldw and ldy elements from
  /// one row to the next. The sum over k depends on K alone: a row of y is the same bits whatever M
  /// is, a column whatever N.
  void (*multiply)(std::int64_t M, std::int64_t N, std::int64_t K, const T* x, std::int64_t ldx,
                   const T* W, std::int64_t ldw, T* y, std::int64_t ldy, bool add);
};

}  // namespace holdfast::kernels
