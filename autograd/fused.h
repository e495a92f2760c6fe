// The fused operations that BERT is made of, on packed batches (tensor (N, C) of all tokens; no
// padding anywhere). Each equals its composed twin from autograd/ops.h, in double to 1e-12
// (tests/autograd).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "autograd/ops.h"

namespace holdfast {

/// Where the rows of a packed batch come from.
struct Packing {
  Tensor offsets;  // (B+1) i32: text b is rows [offsets[b], offsets[b+1])
  Tensor slots;    // (N) i32: place of the row's text in the global batch (dropout keys)
  Tensor tokens;   // (N) i32: place of the row in its text
  std::int64_t texts() const { return offsets.numel() - 1; }
  std::int64_t rows() const { return slots.numel(); }
};

enum class Activation { none, gelu_erf, gelu_tanh, tanh, relu };

/// y = f(x W^T + b): x (N, I), weight (O, I), bias (O) -> (N, O). Bias and f follow in cache, tile
/// by tile. Saves x (unless the weight is frozen) and, for GELU, f' (erf is computed once); for
/// tanh and relu y. Accuracy: f32 results and gradients within 3e-6 of the largest element of the
/// double ones, for weights of a trained size.
Var linear(const Var& x, const Var& weight, const Var& bias,
           Activation activation = Activation::none);

/// Turns products in bf16 on for a scope, in this thread: linear() of f32, and its gradients
/// whenever they are asked for, round the operands of their matrix products (x, W and, backward,
/// dout f') to nearest bf16. Sums, results, biases, activations and gradients stay f32, and so do
/// the weights that are trained. Saves x and W in bf16. Mixed precision [Micikevicius et al. 2018],
/// without loss scaling: bf16 has the exponents of f32 [Kalamkar et al. 2019]. Throws
/// std::runtime_error, when on, unless missing_for_bf16() (tensor/blas.h) is empty or the current
/// device a GPU. Accuracy: operands within 2^-9 relative, so a result within about 2^-8 sum |x w|
/// of the exact one.
class Bf16Products {
 public:
  explicit Bf16Products(bool on);
  ~Bf16Products();
  Bf16Products(const Bf16Products&) = delete;
  Bf16Products& operator=(const Bf16Products&) = delete;

 private:
  bool before_;
};

/// Turns products in TF32 on for a scope, in this thread: a GPU's products of linear() of f32, and
/// of its gradients whenever they are asked for, round their operands to TF32, which has 10 bits of
/// fraction instead of 23 and the exponents of f32. All that is stored, and every sum, stays f32.
/// Products on the CPU and those in bf16 stay as they are. Accuracy: operands within 2^-10 relative
/// (a GPU may truncate), so a result within about 2^-9 sum |x w| of the exact one.
class Tf32Products {
 public:
  explicit Tf32Products(bool on);
  ~Tf32Products();
  Tf32Products(const Tf32Products&) = delete;
  Tf32Products& operator=(const Tf32Products&) = delete;

 private:
  bool before_;
};

/// Multi-head attention within the texts of a packed batch [Vaswani et al. 2017, eq. 1]. kv (N, 2C)
/// holds keys and values side by side, of all tokens, heads of D = C/H channels within each; q (M,
/// C) the queries, one or more of every text -> (M, C). `packing` describes the rows of kv,
/// `queries` those of q: the same texts in the same order. For text b, head h:
///   P = softmax(Q K^T / sqrt(D)),  y = dropout(P) V.
/// Probabilities never exist as a whole: tiles of queries, recomputed in backward from the saved
/// log-sum-exp (M, H). Dropout of P[q, k] of head h uses channel h * 65536 + k of row (slot, token)
/// of query q: the mask of a query does not depend on which others are asked. Throws
/// std::invalid_argument when the shapes and packings do not fit each other. Accuracy: f32 results
/// and gradients within 2e-6 of the largest element of the double ones, up to 512 tokens. Within
/// Bf16Products on a GPU, heads of up to 128 channels have q, k, v, P and, backward, dy and the
/// scores' gradients rounded to bf16 as operands of products: within 2^-9 relative, each.
Var attention(const Var& q, const Var& kv, std::int64_t heads, const Packing& queries,
              const Packing& packing, const DropoutKey& dropout);
/// The same with every token's query beside its key and value: qkv (N, 3C) -> (N, C).
Var attention(const Var& qkv, std::int64_t heads, const Packing& packing,
              const DropoutKey& dropout);

/// y = LN(residual + dropout(x)); x, residual (N, C). Saves xhat, rstd. Dropout as in dropout().
/// Accuracy: f32 results and gradients within 1e-6 of the largest element of the double ones.
Var dropout_residual_layer_norm(const Var& x, const Var& residual, const Var& gamma,
                                const Var& beta, double eps, const DropoutKey& dropout,
                                const Packing& packing);

/// y = dropout(LN(words[ids] + positions[pos] + types[type_ids])): tables (V,C), (P,C), (Y,C); ids,
/// pos, type_ids (N) i32. Saves xhat, rstd. Throws std::invalid_argument for an id outside its
/// table, naming the table.
Var embedding_layer_norm(const Var& words, const Var& positions, const Var& types,
                         const Tensor& ids, const Tensor& pos, const Tensor& type_ids,
                         const Var& gamma, const Var& beta, double eps, const DropoutKey& dropout,
                         const Packing& packing);

/// Weighted mean of softmax cross entropies with label smoothing s:
///   loss = sum_n w_n [ -(1-s) log p_n[y_n] - s/K sum_k log p_n[k] ],  p = softmax(logits)
/// logits (N, K), labels (N) i32, weights (N) of the logits' type (1/B each for the plain mean) ->
/// scalar. Sums in double. Saves p.
Var softmax_cross_entropy(const Var& logits, const Tensor& labels, const Tensor& weights,
                          double smoothing = 0.0);

}  // namespace holdfast
