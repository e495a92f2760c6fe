// Rows of `make bench`. A file each for products, row-wise kernels, flat kernels and whole
// operations; add a kernel where it belongs, one line each.
#pragma once

#include <functional>
#include <string>

#include "tensor/tensor.h"

namespace holdfast::bench {

/// What one call does, one of the three: held against the ceiling of f32 arithmetic, of memory, or
/// of bf16 arithmetic. Bytes are those that must move at least once: inputs read, results written.
struct Work {
  double flops = 0, bytes = 0, bf16_flops = 0;
};

/// One call of what is measured, with its operands.
using Call = std::function<void()>;

/// Registers a row. `prepare` makes the operands, when the row's turn has come.
void add_row(const std::string& kernel, const std::string& shape, const Work& work,
             std::function<Call()> prepare);

/// Numbers in [-size, size], always the same.
Tensor noise(const Shape& shape, double size = 1.0);

void add_product_kernels();
void add_row_kernels();
void add_flat_kernels();
void add_operations();

}  // namespace holdfast::bench
