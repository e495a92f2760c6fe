// Matrix products in an order of our own, for portable numerics (tensor/blas.cpp).
#pragma once

#include <cstdint>

namespace holdfast::kernels {

template <class T>
struct Gemm {
  /// C = op(A) op(B), scaled: c = beta c, then c += a (alpha b) for k = 0, 1, ... K-1, each product
  /// and sum rounded where the set has no contraction. op(A) (M,K), op(B) (K,N), C (M,N),
  /// row-major; op is the transpose of what is stored if so said. beta = 0 assigns: C may hold
  /// anything. An element's bits do not depend on M, N and its place.
  void (*multiply)(bool transpose_a, bool transpose_b, std::int64_t M, std::int64_t N,
                   std::int64_t K, T alpha, const T* A, std::int64_t lda, const T* B,
                   std::int64_t ldb, T beta, T* C, std::int64_t ldc);
};

}  // namespace holdfast::kernels
