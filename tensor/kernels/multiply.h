// Products of small matrices that lie in cache, for attention: a head of 54 tokens and 32 channels
// is too small for a BLAS, which copies its operands first. Include in kernel files only
// (tensor/kernels/dispatch.h).
#pragma once

#include "tensor/kernels/lanes.h"

namespace holdfast::kernels::HOLDFAST_ISA {
namespace {

// A block of kRows x (kVectors vectors) of C stays in registers over the whole depth K.
template <int kRows, int kVectors, bool kTransposed, class T>
[[gnu::always_inline]] inline void multiply_block(std::int64_t K, const T* A, std::int64_t lda,
                                                  const T* B, std::int64_t ldb, T* C,
                                                  std::int64_t ldc, bool add) {
  constexpr int W = kLanes<T>;
  Lanes<T> sum[kRows][kVectors];
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) sum[r][v] = add ? load(C + r * ldc + v * W) : Lanes<T>{};
  }
  for (std::int64_t k = 0; k < K; ++k) {
    Lanes<T> b[kVectors];
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) b[v] = load(B + k * ldb + v * W);
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
      const Lanes<T> a = spread(kTransposed ? A[k * lda + r] : A[r * lda + k]);
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) sum[r][v] += a * b[v];
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) store(C + r * ldc + v * W, sum[r][v]);
  }
}

// All rows of one panel of columns: blocks of kRows, then of half as many for the rest.
template <int kRows, int kVectors, bool kTransposed, class T>
inline void multiply_panel(std::int64_t M, std::int64_t K, const T* A, std::int64_t lda, const T* B,
                           std::int64_t ldb, T* C, std::int64_t ldc, bool add) {
  std::int64_t m = 0;
  for (; m + kRows <= M; m += kRows) {
    multiply_block<kRows, kVectors, kTransposed>(K, A + (kTransposed ? m : m * lda), lda, B, ldb,
                                                 C + m * ldc, ldc, add);
  }
  if constexpr (kRows > 1) {
    if (m < M) {
      multiply_panel<kRows / 2, kVectors, kTransposed>(M - m, K, A + (kTransposed ? m : m * lda),
                                                       lda, B, ldb, C + m * ldc, ldc, add);
    }
  }
}

/// C = op(A) B, or C += op(A) B: op(A) is (M,K) and A stored so, or its transpose if kTransposed; B
/// (K,N), C (M,N), N a multiple of kLanes<T>. The sum over k runs in order: a row of C does not
/// depend on M.
template <bool kTransposed, class T>
void multiply(std::int64_t M, std::int64_t N, std::int64_t K, const T* A, std::int64_t lda,
              const T* B, std::int64_t ldb, T* C, std::int64_t ldc, bool add) {
  // Accumulators fill the registers but for a row of B and one element of A.
  constexpr int W = kLanes<T>, kWide = kVectorRegisters == 32 ? 4 : 2,
                kTall = kVectorRegisters == 32 ? 12 : 6;
  std::int64_t n = 0;
  for (; n + kWide * W <= N; n += kWide * W) {
    multiply_panel<6, kWide, kTransposed>(M, K, A, lda, B + n, ldb, C + n, ldc, add);
  }
  if constexpr (kWide == 4) {
    for (; n + 2 * W <= N; n += 2 * W) {
      multiply_panel<kTall, 2, kTransposed>(M, K, A, lda, B + n, ldb, C + n, ldc, add);
    }
  }
  for (; n + W <= N; n += W)
    multiply_panel<kTall, 1, kTransposed>(M, K, A, lda, B + n, ldb, C + n, ldc, add);
}

// Swaps the blocks off the diagonal of a square of vectors: halves first, then halves of halves,
// until it is transposed.
template <int kHalf, class T>
[[gnu::always_inline]] inline void swap_blocks(Lanes<T>* v) {
  constexpr int W = kLanes<T>;
  Places<T> low{}, high{};  // lanes of the pair (a, b) that make up the new a and b
#pragma GCC unroll 16
  for (int j = 0; j < W; ++j) {
    low[j] = (j & kHalf) != 0 ? W + j - kHalf : j;
    high[j] = (j & kHalf) != 0 ? W + j : j + kHalf;
  }
#pragma GCC unroll 16
  for (int i = 0; i < W; ++i) {
    if ((i & kHalf) != 0) continue;
    const Lanes<T> a = v[i], b = v[i + kHalf];
    v[i] = __builtin_shuffle(a, b, low);
    v[i + kHalf] = __builtin_shuffle(a, b, high);
  }
  if constexpr (kHalf > 1) swap_blocks<kHalf / 2, T>(v);
}

/// out (columns, ld) = the transpose of x (rows, columns) times `factor`; columns rows..ld-1 of out
/// are set to zero. ld is a multiple of kLanes<T>.
template <class T>
void transpose(std::int64_t rows, std::int64_t columns, const T* x, std::int64_t ldx, T factor,
               T* out, std::int64_t ld) {
  constexpr int W = kLanes<T>;
  for (std::int64_t r = 0; r < ld; r += W, x += W * ldx, out += W) {
    const std::int64_t height = rows - r < 0 ? 0 : rows - r < W ? rows - r : W;
    std::int64_t c = 0;
    for (; c + W <= columns; c += W) {
      Lanes<T> v[W];
      if (height == W) {
#pragma GCC unroll 16
        for (int i = 0; i < W; ++i) v[i] = factor * load(x + i * ldx + c);
      } else {
#pragma GCC unroll 16
        for (int i = 0; i < W; ++i) v[i] = i < height ? factor * load(x + i * ldx + c) : Lanes<T>{};
      }
      swap_blocks<W / 2, T>(v);
#pragma GCC unroll 16
      for (int i = 0; i < W; ++i) store(out + (c + i) * ld, v[i]);
    }
    for (; c < columns; ++c) {
      for (int i = 0; i < W; ++i) out[c * ld + i] = i < height ? factor * x[i * ldx + c] : T{0};
    }
  }
}

/// out (rows, ld) = x (rows, columns) times `factor`; columns columns..ld-1 of out are set to zero.
template <class T>
void copy(std::int64_t rows, std::int64_t columns, const T* x, std::int64_t ldx, T factor, T* out,
          std::int64_t ld) {
  for (std::int64_t r = 0; r < rows; ++r) {
    for (std::int64_t c = 0; c < columns; ++c) out[r * ld + c] = factor * x[r * ldx + c];
    for (std::int64_t c = columns; c < ld; ++c) out[r * ld + c] = 0;
  }
}

}  // namespace
}  // namespace holdfast::kernels::HOLDFAST_ISA
