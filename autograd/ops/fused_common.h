// What the fused operations share: checks of packed batches, dropout masks, and gradients of inputs
// that may be parameters.
#pragma once

#include "autograd/fused.h"
#include "autograd/ops/op.h"
#include "tensor/kernels/dropout.h"

namespace holdfast::ops {

/// Whether record() will keep a backward function: only then is anything saved.
bool tracked(const std::vector<Var>& inputs);

/// Throws std::invalid_argument unless x is f32 or f64 and has this shape; `what` names it, `why`
/// tells where the shape is from.
void require_shape(std::string_view op, std::string_view what, const Tensor& x,
                   const Shape& expected, std::string_view why);

/// Throws std::invalid_argument unless x is i32 of shape (N).
void require_places(std::string_view op, std::string_view what, const Tensor& x, std::int64_t N);

/// Throws std::invalid_argument unless the offsets begin at 0, rise and end at N > 0, and slots and
/// tokens have N numbers.
void require_packing(std::string_view op, const Packing& packing, std::int64_t N);

kernels::DropoutMask mask_of(const DropoutKey& key);

/// Rows of C channels in a chunk of a parallel loop: 64 kB of f32.
std::int64_t rows_per_chunk(std::int64_t C);

/// y = dropout(x), or residual + dropout(x) unless residual is null: rows [begin, end) of (N, C),
/// on the device where all of it is.
template <class T>
void dropout_rows(Device on, const DropoutKey& key, const Tensor& slots, const Tensor& tokens,
                  const T* x, const T* residual, std::int64_t begin, std::int64_t end,
                  std::int64_t C, T* y);

/// Gradients of gamma and beta, inputs number `gamma` and `beta`: y = gamma * xhat + beta, dout and
/// xhat (N, C).
void add_norm_gradients(Gradients& gradients, std::size_t gamma, std::size_t beta,
                        const Tensor& xhat, const Tensor& dout);

/// Gradient of a table, input number `table`: y[n] = table[ids[n]], dout (N, C).
void add_embedding_gradient(Gradients& gradients, std::size_t table, const Shape& shape,
                            const Tensor& ids, const Tensor& dout);

}  // namespace holdfast::ops
