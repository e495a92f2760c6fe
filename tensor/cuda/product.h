// A product element by element, for the shapes that cuBLASLt has no algorithm for.
#pragma once

#include "tensor/cuda/operations.h"
#include "tensor/cuda/team.h"

namespace holdfast::cuda {

/// Element i of C (operations.h, Product): its terms in the order of k, and no operand rounded.
template <class T>
struct PlainProduct {
  Product<T> p;

  constexpr void operator()(std::int64_t i) const {
    using Sum = typename Product<T>::Sum;
    const std::int64_t m = i / p.N, n = i % p.N;
    Sum& c = p.C[m * p.ldc + n];
    Sum sum = p.bias == nullptr ? Sum(0) : p.bias[n];
    for (std::int64_t k = 0; k < p.K; ++k) {
      sum += static_cast<Sum>(p.A[p.transpose_a ? k * p.lda + m : m * p.lda + k]) *
             static_cast<Sum>(p.B[p.transpose_b ? n * p.ldb + k : k * p.ldb + n]);
    }
    c = p.add ? c + sum : sum;
  }
};

}  // namespace holdfast::cuda
