// Rows by number: y[n] = x[rows[n]], so dx[r] = sum of dout[n] over the n with rows[n] = r.
#include <algorithm>
#include <cstring>

#include "autograd/ops/op.h"
#include "autograd/ops/sums.h"
#include "tensor/cuda/runtime.h"

namespace holdfast {
namespace {

Tensor take_rows(const Tensor& x, const Tensor& rows) {
  const Tensor from = x.contiguous(), numbers = rows.contiguous();
  const std::int64_t C = x.size(1);
  const Tensor y = Tensor::empty({rows.numel(), C}, x.dtype());
  const Device on = ops::device_of(from, numbers, y);
  dispatch(x.dtype(), "gather", [&]<class T>() {
    if (on.is_cuda()) {
      return cuda::table<cuda::Lookup<T>>(on.cuda).take(
          from.data<T>(on), numbers.data<std::int32_t>(on), rows.numel(), C, y.data<T>(on));
    }
    const T* source = from.data<T>();
    const std::int32_t* row = numbers.data<std::int32_t>();
    parallel_for(rows.numel(), std::max<std::int64_t>(1, ops::kGrain / (C + 1)),
                 [&](std::int64_t begin, std::int64_t end) {
                   for (std::int64_t n = begin; n < end; ++n) {
                     std::copy_n(source + row[n] * C, C, y.data<T>() + n * C);
                   }
                 });
  });
  return y;
}

Tensor put_rows(const Tensor& dout, const Tensor& rows, const Shape& shape) {
  const Tensor dx = Tensor::zeros(shape, dout.dtype());
  ops::scatter_add(rows, dout, dx);
  return dx;
}

void require_matrix(std::string_view op, std::string_view what, const Tensor& x) {
  ops::require_float(op, x);
  if (x.rank() != 2)
    ops::fail(op, std::string(what) + " has shape " + x.shape().text() + ", expected two axes");
}

}  // namespace

Var embedding(const Var& table, const Tensor& ids) {
  require_matrix("embedding", "table", table.value());
  ops::require_rows("embedding", "ids", ids, table.size(0));
  return ops::record("embedding", take_rows(table.value(), ids), {table},
                     [ids, shape = table.shape()](const Tensor& dout, Gradients& gradients) {
                       if (Parameter* parameter = gradients.parameter(0)) {
                         gradients.parameters().embedding(*parameter, ids, dout);
                       } else {
                         gradients.add(0, put_rows(dout, ids, shape));
                       }
                     });
}

Var gather(const Var& x, const Tensor& rows) {
  require_matrix("gather", "x", x.value());
  ops::require_rows("gather", "rows", rows, x.size(0));
  return ops::record("gather", take_rows(x.value(), rows), {x},
                     [rows, shape = x.shape()](const Tensor& dout, Gradients& gradients) {
                       gradients.add(0, put_rows(dout, rows, shape));
                     });
}

}  // namespace holdfast
