// The operations of a device. Most are those of tensor/kernels, by the same names and contracts,
// but for two things: pointers are to memory that the device reads, and a call only asks for the
// work (runtime.h). What a device does differently is declared here.
#pragma once

#include <cstdint>
#include <tuple>
#include <type_traits>

#include "base/hash_keys.h"
#include "tensor/dtype.h"
#include "tensor/kernels/activation.h"
#include "tensor/kernels/dropout.h"
#include "tensor/kernels/element.h"
#include "tensor/kernels/elementwise.h"
#include "tensor/kernels/embedding_sum.h"
#include "tensor/kernels/layer_norm.h"
#include "tensor/kernels/round.h"
#include "tensor/kernels/softmax.h"
#include "tensor/kernels/update.h"
#include "tensor/view_pair.h"

namespace holdfast::cuda {

/// C = op(A) op(B), or C += op(A) op(B) if `add`, plus the bias. op(A) (M,K), op(B) (K,N), C (M,N),
/// row-major; op is the transpose of what is stored if so said; M, N and K are at least 1. T is
/// float, double or Bf16, whose products and sums are f32.
template <class T>
struct Product {
  using Sum = std::conditional_t<std::is_same_v<T, Bf16>, float, T>;

  bool transpose_a, transpose_b;
  std::int64_t M, N, K;
  const T* A;
  std::int64_t lda;  // elements from row to row, as stored
  const T* B;
  std::int64_t ldb;
  bool add;
  Sum* C;
  std::int64_t ldc;
  const Sum* bias = nullptr;  // (N) for every row, where takes_bias() says so; null: none
  bool tf32 = false;          // operands of f32 are rounded to TF32, 10 bits of fraction
};

template <class T>
struct Products {
  void (*multiply)(const Product<T>& product);
};
/// Whether a product adds this bias itself: cuBLASLt does not for f64, and reads 16 bytes at a
/// time.
template <class T>
bool takes_bias(const T* bias) {
  return std::is_same_v<T, float> && reinterpret_cast<std::uintptr_t>(bias) % 16 == 0;
}

/// Between elements of any types, converted as the language does.
struct Copies {
  /// a = b, views that do not overlap.
  void (*copy)(const ViewPair& pair, DType type_b, const void* b, DType type_a, void* a);
  /// a = value.
  void (*fill)(const ViewPair& pair, double value, DType type_a, void* a);
};

/// y = a op b, y contiguous, where one run of a kernels::Binary does not do.
template <class T>
using BinaryOfViews = void (*)(const ViewPair& pair, const T* a, const T* b, T* y);
template <class T>
struct Broadcast {
  BinaryOfViews<T> add, sub, mul, div;
};

template <class T>
struct Sums {
  /// y (outer, inner) = sum over the middle axis of x (outer, n, inner), or of x * z unless z is
  /// null, in fixed order; zero when n is 0. `partial` is scratch memory of partial_sums()
  /// elements.
  void (*middle)(const T* x, const T* z, std::int64_t outer, std::int64_t n, std::int64_t inner,
                 T* partial, T* y);
};
/// Elements of scratch memory that Sums::middle needs; 0: none.
std::int64_t partial_sums(std::int64_t outer, std::int64_t n, std::int64_t inner);

template <class T>
struct Lookup {
  /// y[n] = table[rows[n]]: rows (count) of a table of `cols` columns.
  void (*take)(const T* table, const std::int32_t* rows, std::int64_t count, std::int64_t cols,
               T* y);
  /// destination[row] += source[m] for every m with rows[m] = row, in fixed order. order (M):
  /// the m sorted by row, then by m; starts (runs+1): where each row's begin in it.
  void (*add)(const std::int32_t* rows, const std::int32_t* order, const std::int32_t* starts,
              std::int64_t runs, const T* source, std::int64_t cols, T* destination);
};

/// kernels::Dropout and kernels::LayerNorm, one after the other in one launch.
template <class T>
struct DropoutNorm {
  /// y = LN(residual + x * factor)
  void (*forward)(const kernels::DropoutMask& mask, const std::int32_t* slots,
                  const std::int32_t* tokens, const T* x, const T* residual, const T* gamma,
                  const T* beta, double eps, std::int64_t rows, std::int64_t C, T* xhat, T* rstd,
                  T* y);
  /// dresidual = LN'(dout); dx = dresidual * factor unless dx is null.
  void (*backward)(const kernels::DropoutMask& mask, const std::int32_t* slots,
                   const std::int32_t* tokens, const T* dout, const T* gamma, const T* xhat,
                   const T* rstd, std::int64_t rows, std::int64_t C, T* dresidual, T* dx);
};

/// All texts and heads of a packed batch (autograd/fused.h, attention()). Rows of q, out, dout and
/// dq are queries, those of k, v, dk and dv tokens; head h has channels [h D, (h+1) D) of each.
template <class T>
struct AttentionBatch {
  std::int64_t texts, heads, channels;          // B, H, D
  std::int64_t rows;                            // M: queries of all texts
  std::int64_t most_queries, most_tokens;       // of a text
  const std::int32_t *query_offsets, *offsets;  // (B+1): rows of each text
  const T *q, *k, *v;
  std::int64_t ld_q, ld;               // elements from row to row of q and dq; of k, v, dk and dv
  kernels::DropoutMask dropout;        // threshold 0: none
  const std::int32_t *slots, *places;  // of the queries
  std::int64_t ld_out;                 // of out and dout
  T* lse;                              // (M, H) log sum exp of each query's scores
  bool bf16 = false;  // f32 of up to 128 channels: operands of products rounded to bf16
};

template <class T>
struct AttentionOfBatch {
  /// out; lse unless it is null.
  void (*forward)(const AttentionBatch<T>& batch, T* out);
  /// dq, dk, dv from out, dout and lse. delta (M, H) is scratch memory.
  void (*backward)(const AttentionBatch<T>& batch, const T* out, const T* dout, T* delta, T* dq,
                   T* dk, T* dv);
};
/// Whether a head of so many channels of so many bytes fits a device's shared memory; the CPU's
/// arithmetic serves all others.
bool attention_fits(std::int64_t channels, std::int64_t element_bytes);

template <class T>
struct CrossEntropy {
  /// p (N, K) = softmax(logits); loss = the weighted sum of autograd/fused.h. losses (N) is scratch
  /// memory.
  void (*forward)(const T* logits, const std::int32_t* labels, const T* weights, std::int64_t N,
                  std::int64_t K, double smoothing, T* p, double* losses, T* loss);
  /// dlogits (N, K) from p and the loss's gradient dout (1).
  void (*backward)(const T* p, const std::int32_t* labels, const T* weights, std::int64_t N,
                   std::int64_t K, double smoothing, const T* dout, T* dlogits);
};

/// A range of the arena that AdamW updates alike; spans as in kernels::PullSpans, all from the
/// range's first element on.
template <class T>
struct UpdateRange {
  kernels::AdamWStep step;
  kernels::PullSpans<T> pull;
};
/// A piece of one range: the unit of work and of summation.
struct UpdatePiece {
  std::int64_t begin, end;  // elements from the arena's start
  std::int64_t range;       // number of its range
  std::int64_t range_begin;
};

template <class T>
struct UpdateAll {
  /// kernels::Update::adamw_pulled on every piece: sums (pieces).
  void (*adamw)(const UpdateRange<T>* ranges, const UpdatePiece* pieces, std::int64_t count,
                T* theta, const T* gradient, T* m, T* v, kernels::PullSums* sums);
  /// sums[i] = sum of x^2 over piece i, of which begin and end count.
  void (*sum_squares)(const UpdatePiece* pieces, std::int64_t count, const T* x, double* sums);
};

/// Pieces in the device's memory.
struct PieceList {
  const UpdatePiece* first;
  std::int64_t count;
};
/// Rows of a matrix of C columns whose elements begin at `begin` of the arena; `slot` is dropout's
/// (tensor/random.h), the same for all of them, token 0.
struct MaskedRows {
  std::int64_t begin, rows, C;
  std::int32_t slot;
};
/// Of importance: its sum, the largest, how many are above 0; and how many are negative or not
/// finite, which count for nothing else.
struct ImportanceSums {
  double sum, maximum;
  std::int64_t positive, refused;
};

/// Passes over the arena by measures (train/); sums in double, one a piece.
template <class T>
struct Passes {
  /// kernels::Update::dots of every piece.
  void (*dots)(const PieceList& pieces, const T* x, const T* y, kernels::Dots* sums);
  /// sum (x_i - y_i)^2 of every piece.
  void (*squared_differences)(const PieceList& pieces, const T* x, const T* y, double* sums);
  /// x -= factor y on the pieces.
  void (*subtract)(const PieceList& pieces, double factor, const T* y, T* x);
  /// x = old + factors[range] (x - old) on the pieces; a factor of 1 leaves x as it is.
  void (*pull_back)(const PieceList& pieces, const double* factors, const T* old, T* x);
  /// Cuts theta to old -+ max_drift |old| where key is 1; at_bound[p] elements were there or beyond
  /// (kernels::bounded).
  void (*clamp)(const PieceList& pieces, T max_drift, const std::uint8_t* key, const T* old,
                T* theta, std::int64_t* at_bound);
  /// aside = theta, theta = old + M (theta - old), M the factors of dropout.
  void (*mix)(const kernels::DropoutMask& mask, const MaskedRows* rows, std::int64_t count,
              const T* old, T* theta, T* aside);
  /// theta = aside, gradient *= M.
  void (*unmix)(const kernels::DropoutMask& mask, const MaskedRows* rows, std::int64_t count,
                const T* aside, T* theta, T* gradient);
  /// falls -= gradient (after - before), before = after: n elements.
  void (*follow)(const T* gradient, const T* after, std::int64_t n, T* before, double* falls);
  /// sum += factor x / divisor: n elements.
  void (*add_normalised)(double factor, double divisor, const T* x, std::int64_t n, T* sum);
  /// Of every piece.
  void (*importance_sums)(const PieceList& pieces, const T* x, ImportanceSums* sums);
  /// How far `now` is from the old weights, of which those of a piece begin at
  /// old[begin - range_begin].
  void (*drift)(const PieceList& pieces, double limit, const T* now, const T* old,
                kernels::DriftSums* sums);
};

/// Rows [offsets[n], offsets[n+1]) of a matrix are sample n's.
struct Samples {
  const std::int32_t* offsets;
  std::int64_t count;
};

/// As Lookup::add has them: runs of equal rows[order[i]].
struct RowRuns {
  const std::int32_t *rows, *order, *starts;
  std::int64_t count;
};

/// Sums of f(gradient) of every sample (train/per_sample.h), f(g) = g^2 if `squares`, else |g|.
template <class T>
struct PerSample {
  /// sums (O, I) += sum_n f(delta_n^T x_n): delta (N, O), x (N, I).
  void (*products)(const Samples& samples, bool squares, const T* delta, std::int64_t O, const T* x,
                   std::int64_t I, double* sums);
  /// gradients (samples, C) += sum over each sample's rows of a, times b unless it is null.
  void (*columns)(const Samples& samples, const T* a, const T* b, std::int64_t C, T* gradients);
  /// sums (C) += sum over n of f(gradients[n]), in double: gradients (count, C).
  void (*magnitudes)(const T* gradients, std::int64_t count, std::int64_t C, bool squares,
                     double* sums);
  /// sums[row] += sum_n f(sum of source[m] over the m of sample n with rows[m] = row): source of
  /// `cols` columns, samples[m] that of row m.
  void (*rows)(const RowRuns& runs, const std::int32_t* samples, bool squares, const T* source,
               std::int64_t cols, double* sums);
};

struct Hash {
  /// lanes (pieces, 8): the accumulators of each piece of kHashPiece bytes, the last one of fewer;
  /// of a piece of up to kHashShort bytes unspecified. bytes: a multiple of 4, from an address that
  /// is one of 8.
  void (*lanes)(const void* data, std::int64_t bytes, const HashKeys& keys, std::uint64_t* lanes);
};

using Tables =
    std::tuple<Copies, Hash, Broadcast<float>, Broadcast<double>, kernels::Elementwise<float>,
               kernels::Elementwise<double>, kernels::Activations<float>,
               kernels::Activations<double>, kernels::Dropout<float>, kernels::Dropout<double>,
               kernels::LayerNorm<float>, kernels::LayerNorm<double>, DropoutNorm<float>,
               DropoutNorm<double>, kernels::EmbeddingSum<float>, kernels::EmbeddingSum<double>,
               kernels::Softmax<float>, kernels::Softmax<double>, kernels::Round, Products<float>,
               Products<double>, Products<Bf16>, Sums<float>, Sums<double>, Lookup<float>,
               Lookup<double>, AttentionOfBatch<float>, AttentionOfBatch<double>,
               CrossEntropy<float>, CrossEntropy<double>, UpdateAll<float>, UpdateAll<double>,
               PerSample<float>, PerSample<double>, Passes<float>, Passes<double>>;

}  // namespace holdfast::cuda
