// The elementary differentiable operations, f32 and f64. Shapes broadcast as numpy's do where two
// tensors meet. Every operation throws std::invalid_argument, naming itself and the shapes, when
// they do not fit or types differ. The fused operations that BERT is made of are in
// autograd/fused.h; each equals a composition of these.
#pragma once

#include <cstdint>
#include <vector>

#include "autograd/var.h"
#include "tensor/random.h"

namespace holdfast {

/// y = a + b. Saves nothing.
Var add(const Var& a, const Var& b);
/// y = a - b. Saves nothing.
Var sub(const Var& a, const Var& b);
/// y = a * b. Saves a and b.
Var mul(const Var& a, const Var& b);
/// y = a / b. Saves b and y.
Var div(const Var& a, const Var& b);
/// y = factor * x.
Var scale(const Var& x, double factor);

/// y = a b over the last two axes: (..., M, K) x (..., K, N) -> (..., M, N); leading axes
/// broadcast. Saves a and b.
Var matmul(const Var& a, const Var& b);
/// Swaps two axes.
Var transpose(const Var& x, int axis0, int axis1);
/// The same elements, row-major, in another shape.
Var reshape(const Var& x, const Shape& shape);
/// x[..., begin:end, ...] along `axis`.
Var slice(const Var& x, int axis, std::int64_t begin, std::int64_t end);
/// Joins tensors along `axis`; their other extents are equal.
Var concat(const std::vector<Var>& xs, int axis);

/// Sum over one axis (kept as extent 1 when keep), or over all elements (scalar).
Var sum(const Var& x, int axis, bool keep = false);
Var sum(const Var& x);
/// Mean over one axis, or over all elements. Throws std::invalid_argument on an empty axis.
Var mean(const Var& x, int axis, bool keep = false);
Var mean(const Var& x);

Var exp(const Var& x);
Var log(const Var& x);
Var tanh(const Var& x);
/// erf(x) = 2/sqrt(pi) * integral from 0 to x of exp(-t^2) dt.
Var erf(const Var& x);
/// GELU [Hendrycks & Gimpel 2016]: x Phi(x) = x/2 (1 + erf(x/sqrt 2)), or its tanh form
/// x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))). Saves x.
enum class GeluKind { erf, tanh };
Var gelu(const Var& x, GeluKind kind = GeluKind::erf);
/// max(x, 0); the gradient at 0 is 0.
Var relu(const Var& x);

/// softmax(x)_i = exp(x_i - max x) / sum_j exp(x_j - max x) over the last axis. Saves y.
Var softmax(const Var& x);
/// log softmax(x) over the last axis. Saves y.
Var log_softmax(const Var& x);
/// y = gamma (x - mu)/sqrt(var + eps) + beta over the last axis [Ba et al. 2016]: x (..., C), gamma
/// (C), beta (C). Variance is two-pass, divided by C. Saves xhat and rstd.
Var layer_norm(const Var& x, const Var& gamma, const Var& beta, double eps);

/// Sets elements to zero with probability p = key.threshold/65536 and scales the others by 1/(1-p)
/// [Srivastava et al. 2014]. x (N, C): row n is place (slot, token) = (slots[n], tokens[n]) of
/// `key`'s mask (tensor/random.h); both i32 of N.
Var dropout(const Var& x, const DropoutKey& key, const Tensor& slots, const Tensor& tokens);
/// y[n] = table[ids[n]]: table (V, C), ids (N) i32 -> (N, C). Throws std::invalid_argument for an
/// id outside [0, V).
Var embedding(const Var& table, const Tensor& ids);
/// y[n] = x[rows[n]]: x (N, C), rows (M) i32 -> (M, C). Rows may repeat.
Var gather(const Var& x, const Tensor& rows);
/// Mean over n of -log softmax(logits)[n, labels[n]]: logits (N, K), labels (N) i32 -> scalar;
/// composed of log_softmax.
Var cross_entropy(const Var& logits, const Tensor& labels);

}  // namespace holdfast
