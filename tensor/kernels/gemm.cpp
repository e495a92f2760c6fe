#include "tensor/kernels/gemm.h"

#include "tensor/kernels/dispatch.h"
#include "tensor/kernels/multiply.h"

namespace holdfast::kernels::HOLDFAST_ISA {
namespace {

constexpr int kVectors = kVectorRegisters == 32 ? 4 : 2;  // of a block of 6 rows, in registers
// The depth of a packed panel of op(B), which stays in the second-level cache.
constexpr std::int64_t kDepth = 384, kRows = 96;
template <class T>
constexpr std::int64_t kPanel = kVectors* kLanes<T>;

constexpr std::int64_t least(std::int64_t a, std::int64_t b) { return a < b ? a : b; }

template <class T>
void scale(std::int64_t M, std::int64_t N, T beta, T* C, std::int64_t ldc) {
  for (std::int64_t m = 0; m < M; ++m, C += ldc) {
    for (std::int64_t n = 0; n < N; ++n) C[n] = beta == 0 ? T{0} : beta * C[n];
  }
}

// C (M, columns), columns <= kPanel, += or = op(A) times the packed panel.
template <bool kTransposed, class T>
void multiply_columns(std::int64_t M, std::int64_t columns, std::int64_t K, const T* A,
                      std::int64_t lda, const T* packed, T* C, std::int64_t ldc, bool add) {
  constexpr std::int64_t P = kPanel<T>;
  if (columns == P) {
    return multiply_panel<6, kVectors, kTransposed>(M, K, A, lda, packed, P, C, ldc, add);
  }
  // The last columns go through a block of whole vectors.
  alignas(64) T block[kRows * P];
  const std::int64_t width = (columns + kLanes<T> - 1) / kLanes<T> * kLanes<T>;
  for (std::int64_t m = 0; m < M; m += kRows) {
    const std::int64_t height = least(kRows, M - m);
    if (add) copy(height, columns, C + m * ldc, ldc, T{1}, block, P);
    multiply<kTransposed>(height, width, K, A + (kTransposed ? m : m * lda), lda, packed, P, block,
                          P, add);
    for (std::int64_t r = 0; r < height; ++r) {
      for (std::int64_t c = 0; c < columns; ++c) C[(m + r) * ldc + c] = block[r * P + c];
    }
  }
}

template <class T>
void gemm(bool transpose_a, bool transpose_b, std::int64_t M, std::int64_t N, std::int64_t K,
          T alpha, const T* A, std::int64_t lda, const T* B, std::int64_t ldb, T beta, T* C,
          std::int64_t ldc) {
  if (K <= 0 || (beta != 0 && beta != 1)) scale(M, N, beta, C, ldc);
  alignas(64)
      T packed[kDepth * kPanel<T>];  // op(B) times alpha: a panel of columns, zeros beyond N
  const auto product = transpose_a ? multiply_columns<true, T> : multiply_columns<false, T>;
  for (std::int64_t n = 0; n < N; n += kPanel<T>) {
    const std::int64_t columns = least(kPanel<T>, N - n);
    for (std::int64_t k = 0; k < K; k += kDepth) {
      const std::int64_t depth = least(kDepth, K - k);
      if (transpose_b) {
        transpose(columns, depth, B + n * ldb + k, ldb, alpha, packed, kPanel<T>);
      } else {
        copy(depth, columns, B + k * ldb + n, ldb, alpha, packed, kPanel<T>);
      }
      product(M, columns, depth, A + (transpose_a ? k * lda : k), lda, packed, C + n, ldc,
              k > 0 || beta != 0);
    }
  }
}

template <class T>
constexpr Gemm<T> kTable{gemm<T>};

}  // namespace

template <>
const Gemm<float>& table<Gemm<float>>() {
  return kTable<float>;
}
template <>
const Gemm<double>& table<Gemm<double>>() {
  return kTable<double>;
}

}  // namespace holdfast::kernels::HOLDFAST_ISA
