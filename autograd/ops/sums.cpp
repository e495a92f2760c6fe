#include "autograd/ops/sums.h"

#include <algorithm>
#include <iterator>
#include <span>
#include <utility>
#include <vector>

#include "autograd/ops/op.h"
#include "tensor/kernels/elementwise.h"
#include "tensor/kernels/on.h"
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
  if (blocks > 1) sum_middle(Device(), sums, outer, blocks, inner, y);
}

// The same on a GPU, of x or of x * z.
template <class T>
void sum_on(Device on, const T* x, const T* z, std::int64_t outer, std::int64_t n,
            std::int64_t inner, T* y) {
  const Tensor partial = Tensor::empty({cuda::partial_sums(outer, n, inner)}, dtype_of<T>(), on);
  cuda::table<cuda::Sums<T>>(on.cuda).middle(x, z, outer, n, inner, partial.data<T>(on), y);
}

template <class T>
void add_rows_on(Device on, const Tensor& rows, const RowRuns& sorted, const Tensor& source,
                 const Tensor& destination) {
  const Tensor order = Tensor::from(sorted.order, {std::ssize(sorted.order)}, on),
               starts = Tensor::from(sorted.starts, {std::ssize(sorted.starts)}, on);
  cuda::table<cuda::Lookup<T>>(on.cuda).add(
      rows.data<std::int32_t>(on), order.data<std::int32_t>(on), starts.data<std::int32_t>(on),
      starts.numel() - 1, source.data<T>(on), source.size(1), destination.data<T>(on));
}

template <class T>
void add_rows(const Tensor& rows, const RowRuns& sorted, const Tensor& source,
              const Tensor& destination) {
  const std::int32_t* row = rows.data<std::int32_t>();
  const std::int64_t cols = source.size(1);
  const T* from = source.data<T>();
  T* to = destination.data<T>();
  const auto& kernel = kernels::best<kernels::Elementwise<T>>();
  parallel_for(std::ssize(sorted.starts) - 1, 16, [&](std::int64_t begin, std::int64_t end) {
    const auto first = static_cast<std::size_t>(sorted.starts[static_cast<std::size_t>(begin)]);
    const auto last = static_cast<std::size_t>(sorted.starts[static_cast<std::size_t>(end)]);
    for (std::size_t i = first; i < last; ++i) {
      const std::int32_t m = sorted.order[i];
      kernel.accumulate(from + m * cols, to + row[m] * cols, cols);
    }
  });
}

}  // namespace

RowRuns row_runs(std::span<const std::int32_t> rows, std::int64_t table_rows) {
  RowRuns runs;
  std::vector<std::int32_t> next(static_cast<std::size_t>(table_rows));  // of each row
  for (const std::int32_t row : rows) ++next[static_cast<std::size_t>(row)];
  std::int32_t begin = 0;
  for (std::int32_t& count : next) {
    if (count > 0) runs.starts.push_back(begin);
    begin += std::exchange(count, begin);
  }
  runs.starts.push_back(begin);
  runs.order.resize(rows.size());
  for (std::size_t m = 0; m < rows.size(); ++m) {
    const std::int32_t at = next[static_cast<std::size_t>(rows[m])]++;
    runs.order[static_cast<std::size_t>(at)] = static_cast<std::int32_t>(m);
  }
  return runs;
}

template <class T>
void sum_middle(Device on, const T* x, std::int64_t outer, std::int64_t n, std::int64_t inner,
                T* y) {
  if (on.is_cuda()) return sum_on<T>(on, x, nullptr, outer, n, inner, y);
  const auto& kernel = kernels::best<kernels::Reduce<T>>();
  sum_blocks(outer, n, inner, y, [&](std::int64_t first, std::int64_t rows, T* sums) {
    kernel.column_sum(x + first * inner, rows, inner, sums);
  });
}

template <class T>
void column_dot(Device on, const T* x, const T* z, std::int64_t rows, std::int64_t cols, T* y) {
  if (on.is_cuda()) return sum_on(on, x, z, 1, rows, cols, y);
  const auto& kernel = kernels::best<kernels::Reduce<T>>();
  sum_blocks(std::int64_t{1}, rows, cols, y, [&](std::int64_t first, std::int64_t count, T* sums) {
    kernel.column_dot(x + first * cols, z + first * cols, count, cols, sums);
  });
}

template <class T>
void accumulate(Device on, const T* x, T* y, std::int64_t n) {
  const auto& kernel = kernels::on<kernels::Elementwise<T>>(on);
  kernels::over(on, n, kGrain, [&](std::int64_t begin, std::int64_t end) {
    kernel.accumulate(x + begin, y + begin, end - begin);
  });
}

Tensor column_sums(const Tensor& x) {
  const Tensor sums = Tensor::empty({x.size(1)}, x.dtype());
  const Device on = device_of(x, sums);
  dispatch(x.dtype(), "sum", [&]<class T>() {
    sum_middle(on, x.data<T>(on), 1, x.size(0), x.size(1), sums.data<T>(on));
  });
  return sums;
}

void scatter_add(const Tensor& rows, const Tensor& source, const Tensor& destination) {
  const Tensor dense = rows.contiguous();
  const Device on = device_of(dense, source, destination);
  const RowRuns sorted = row_runs(dense.read<std::int32_t>(), destination.size(0));
  dispatch(source.dtype(), "scatter", [&]<class T>() {
    on.is_cuda() ? add_rows_on<T>(on, dense, sorted, source, destination)
                 : add_rows<T>(dense, sorted, source, destination);
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
    const Device on = device_of(sum, next);
    dispatch(x.dtype(), "sum", [&]<class T>() {
      sum_middle(on, sum.data<T>(on), outer, n, inner, next.data<T>(on));
    });
    sum = next;
  }
  return sum.reshape(shape);
}

template void sum_middle<float>(Device, const float*, std::int64_t, std::int64_t, std::int64_t,
                                float*);
template void sum_middle<double>(Device, const double*, std::int64_t, std::int64_t, std::int64_t,
                                 double*);
template void column_dot<float>(Device, const float*, const float*, std::int64_t, std::int64_t,
                                float*);
template void column_dot<double>(Device, const double*, const double*, std::int64_t, std::int64_t,
                                 double*);
template void accumulate<float>(Device, const float*, float*, std::int64_t);
template void accumulate<double>(Device, const double*, double*, std::int64_t);

}  // namespace holdfast::ops
