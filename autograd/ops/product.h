// Products of whole matrices, of whatever type.
#pragma once

#include "tensor/blas.h"
#include "tensor/tensor.h"

namespace holdfast::ops {

/// c = op(a) op(b), or c += op(a) op(b) if `add`: contiguous matrices of one type, f32 or f64; c is
/// f32 where a and b are bf16.
void product(Trans ta, const Tensor& a, Trans tb, const Tensor& b, bool add, const Tensor& c);

/// a b or a b^T: (rows of a, columns of op(b)), of the type that products of theirs have.
Tensor product(const Tensor& a, const Tensor& b, Trans tb);

/// y = x weight^T + bias in every row, in one call, where x, weight, bias and y are on a GPU whose
/// products add this bias (cuda::takes_bias); false, and nothing is done, elsewhere.
bool product_plus_bias(const Tensor& x, const Tensor& weight, const Tensor& bias, const Tensor& y);

/// Rows in whole sixteens, on the CPU. Batches differ in N, and oneDNN generates code for every new
/// shape: rounded up, shapes come back soon.
constexpr std::int64_t whole_rows(std::int64_t N) { return (N + 15) / 16 * 16; }

/// Whether Bf16Products is on in this thread.
bool bf16_products();
/// Whether Tf32Products is: a GPU's products of f32 round their operands to TF32 then.
bool tf32_products();

/// x (N, C), f32 and contiguous, rounded to bf16, to nearest, ties to even, where x is: (rows, C),
/// those past N zeros.
Tensor to_bf16(const Tensor& x, std::int64_t rows);

}  // namespace holdfast::ops
