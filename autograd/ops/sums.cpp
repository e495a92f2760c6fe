#include "autograd/ops/sums.h"

#include <algorithm>
#include <numeric>

#include "autograd/ops/op.h"
#include "tensor/kernels/dispatch.h"
#include "tensor/kernels/elementwise.h"
#include "tensor/kernels/reduce.h"

namespace holdfast::ops {
namespace {

// A single column is summed in vector lanes and may be long; a block of many columns stays in the
// second-level cache.
std::int64_t block_rows(std::int64_t cols) { return cols == 1 ? 4096 : 128; }

// y (outer, inner) from blocks of the n rows; sum_block(first, rows, y) sums `rows` rows from row
// `first` of all outer * n.
template <class T, class SumBlock>
void sum_blocks(std::int64_t outer, std::int64_t n, std::int64_t inner, T* y,
                const SumBlock& sum_block) {
  if (outer * inner == 0) return;
  const std::int64_t block = block_rows(inner);
  const std::int64_t blocks = std::max<std::int64_t>(1, (n + block - 1) / block);
  Tensor partial;
  if (blocks > 1) partial = Tensor::empty({outer * blocks * inner}, dtype_of<T>());
  T* sums = blocks > 1 ? partial.data<T>() : y;
  const std::int64_t grain = std::max<std::int64_t>(1, kGrain / (std::min(n, block) * inner + 1));
  parallel_for(outer * blocks, grain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const std::int64_t row = i % blocks * block;
      sum_block(i / blocks * n + row, std::min(block, n - row), sums + i * inner);
    }
  });
  if (blocks > 1) sum_middle(sums, outer, blocks, inner, y);
}

}  // namespace

template <class T>
void sum_middle(const T* x, std::int64_t outer, std::int64_t n, std::int64_t inner, T* y) {
  const auto& kernel = kernels::best<kernels::Reduce<T>>();
  sum_blocks(outer, n, inner, y, [&](std::int64_t first, std::int64_t rows, T* sums) {
    kernel.column_sum(x + first * inner, rows, inner, sums);
  });
}

template <class T>
void column_dot(const T* x, const T* z, std::int64_t rows, std::int64_t cols, T* y) {
  const auto& kernel = kernels::best<kernels::Reduce<T>>();
  sum_blocks(std::int64_t{1}, rows, cols, y, [&](std::int64_t first, std::int64_t count, T* sums) {
    kernel.column_dot(x + first * cols, z + first * cols, count, cols, sums);
  });
}

template <class T>
void accumulate(const T* x, T* y, std::int64_t n) {
  const auto& kernel = kernels::best<kernels::Elementwise<T>>();
  parallel_for(n, kGrain, [&](std::int64_t begin, std::int64_t end) {
    kernel.accumulate(x + begin, y + begin, end - begin);
  });
}

template <class T>
void scatter_add(const Tensor& rows, const T* source, std::int64_t cols, T* destination) {
  const Tensor dense = rows.contiguous();
  const std::int32_t* row = dense.data<std::int32_t>();
  std::vector<std::int64_t> order(static_cast<std::size_t>(rows.numel()));
  std::iota(order.begin(), order.end(), std::int64_t{0});
  std::ranges::stable_sort(order, {}, [row](std::int64_t m) { return row[m]; });
  std::vector<std::size_t> starts;  // of the runs of equal rows
  for (std::size_t i = 0; i < order.size(); ++i) {
    if (i == 0 || row[order[i]] != row[order[i - 1]]) starts.push_back(i);
  }
  const auto runs = static_cast<std::int64_t>(starts.size());
  starts.push_back(order.size());
  const auto& kernel = kernels::best<kernels::Elementwise<T>>();
  parallel_for(runs, 16, [&](std::int64_t begin, std::int64_t end) {
    for (std::size_t i = starts[static_cast<std::size_t>(begin)];
         i < starts[static_cast<std::size_t>(end)]; ++i) {
      kernel.accumulate(source + order[i] * cols, destination + row[order[i]] * cols, cols);
    }
  });
}

Tensor sum_to(const Tensor& x, const Shape& shape) {
  if (x.shape() == shape) return x;
  const auto summed = [&](int axis) {  // counted from the right, from 1
    return axis > shape.rank() || (shape[-axis] == 1 && x.size(-axis) != 1);
  };
  Tensor sum = x.contiguous();
  // Groups of neighbouring summed axes, from the left: what lies left of a group is summed or kept
  // already.
  std::int64_t outer = 1;
  for (int axis = x.rank(); axis > 0;) {
    if (!summed(axis)) {
      outer *= x.size(-axis--);
      continue;
    }
    std::int64_t n = 1;
    for (; axis > 0 && summed(axis); --axis) n *= x.size(-axis);
    std::int64_t inner = 1;
    for (int right = axis; right > 0; --right) inner *= x.size(-right);
    Tensor next = Tensor::empty({outer * inner}, x.dtype());
    dispatch(x.dtype(), "sum",
             [&]<class T>() { sum_middle(sum.data<T>(), outer, n, inner, next.data<T>()); });
    sum = next;
  }
  return sum.reshape(shape);
}

template void sum_middle<float>(const float*, std::int64_t, std::int64_t, std::int64_t, float*);
template void sum_middle<double>(const double*, std::int64_t, std::int64_t, std::int64_t, double*);
template void column_dot<float>(const float*, const float*, std::int64_t, std::int64_t, float*);
template void column_dot<double>(const double*, const double*, std::int64_t, std::int64_t, double*);
template void accumulate<float>(const float*, float*, std::int64_t);
template void accumulate<double>(const double*, double*, std::int64_t);
template void scatter_add<float>(const Tensor&, const float*, std::int64_t, float*);
template void scatter_add<double>(const Tensor&, const double*, std::int64_t, double*);

}  // namespace holdfast::ops
