// Matrix multiplication. OpenBLAS and oneDNN are called single-threaded from fixed tiles of our
// own, so that the bits do not depend on the number of threads.
#pragma once

#include <cstdint>
#include <string>

#include "tensor/dtype.h"

namespace holdfast {

enum class Trans { no, yes };

/// C = alpha op(A) op(B) + beta C, row-major; op(A) is (M,K), op(B) (K,N), C (M,N), with leading
/// dimensions lda, ldb, ldc (elements from one row to the next as stored). beta = 0 assigns: C may
/// hold anything. Cut into tiles over M and N by a rule of (M, N, K) alone, tiles in parallel. T is
/// float or double.
template <class T>
void gemm(Trans ta, Trans tb, std::int64_t M, std::int64_t N, std::int64_t K, T alpha, const T* A,
          std::int64_t lda, const T* B, std::int64_t ldb, T beta, T* C, std::int64_t ldc);

/// Up to so many rows x, products x W^T are not a library's but those of tensor/kernels/few_rows.h:
/// libraries copy the whole of W before they multiply. A number an instruction set; 0 where the
/// libraries are faster anyway.
std::int64_t few_rows();
/// Columns that one thread makes of such a product at a time.
constexpr std::int64_t kFewRowsColumns = 64;

/// C = op(A) op(B), or C += op(A) op(B) if `add`: bf16 operands, f32 sums and results. Cut as
/// above, tiles in parallel. Throws std::logic_error unless missing_for_bf16() is empty. Accuracy:
/// |error| <= (K + 2) 2^-23 sum |a b|; denormals may count as zero.
void gemm(Trans ta, Trans tb, std::int64_t M, std::int64_t N, std::int64_t K, const Bf16* A,
          std::int64_t lda, const Bf16* B, std::int64_t ldb, bool add, float* C, std::int64_t ldc);

/// What products in bf16 need and this build, CPU or chosen instruction set does not have, for
/// error texts. Empty: nothing.
std::string missing_for_bf16();

/// The same in the calling thread, as one call: for small matrices inside a parallel loop.
template <class T>
void gemm_serial(Trans ta, Trans tb, std::int64_t M, std::int64_t N, std::int64_t K, T alpha,
                 const T* A, std::int64_t lda, const T* B, std::int64_t ldb, T beta, T* C,
                 std::int64_t ldc);

/// Which library multiplies f32 and f64, their versions and the kernels they chose, for ledgers and
/// `info`.
std::string gemm_description();

/// Rows of op(A) that gemm has multiplied by parameters since the start, over all calls (tests
/// count real tokens with it).
std::int64_t gemm_rows();
/// Adds to that number: for products that are not left to gemm.
void count_gemm_rows(std::int64_t rows);

}  // namespace holdfast
