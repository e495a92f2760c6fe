#include "tensor/kernels/softmax.h"

#include <algorithm>

#include "autograd/ops/op.h"
#include "tensor/kernels/on.h"

namespace holdfast {
namespace {

struct Rows {
  std::int64_t count, length;
};

Rows rows_of(std::string_view name, const Tensor& x) {
  ops::require_float(name, x);
  if (x.rank() == 0 || x.size(-1) == 0) {
    ops::fail(name, "x has shape " + x.shape().text() + ": the last axis must not be empty");
  }
  return {x.numel() / x.size(-1), x.size(-1)};
}

// Calls row_function(first element, rows) in parallel, or for all rows at once.
template <class RowFunction>
void for_rows(Device on, Rows rows, const RowFunction& row_function) {
  kernels::over(on, rows.count, std::max<std::int64_t>(1, ops::kGrain / rows.length),
                [&](std::int64_t begin, std::int64_t end) {
                  row_function(begin * rows.length, end - begin);
                });
}

}  // namespace

// dy_i/dx_j = y_i (delta_ij - y_j), so dx = y (dout - sum_i dout_i y_i).
Var softmax(const Var& input) {
  const Rows rows = rows_of("softmax", input.value());
  const Tensor x = input.value().contiguous(), y = Tensor::empty(x.shape(), x.dtype());
  const Device on = ops::device_of(x, y);
  dispatch(x.dtype(), "softmax", [&]<class T>() {
    for_rows(on, rows, [&](std::int64_t i, std::int64_t count) {
      kernels::on<kernels::Softmax<T>>(on).softmax(x.data<T>(on) + i, y.data<T>(on) + i, count,
                                                   rows.length);
    });
  });
  return ops::record("softmax", y, {input}, [y, rows](const Tensor& dout, Gradients& gradients) {
    const Tensor dx = Tensor::empty(dout.shape(), dout.dtype());
    const Device there = ops::device_of(y, dout, dx);
    dispatch(dout.dtype(), "softmax", [&]<class T>() {
      for_rows(there, rows, [&](std::int64_t i, std::int64_t count) {
        kernels::on<kernels::Softmax<T>>(there).softmax_backward(
            y.data<T>(there) + i, dout.data<T>(there) + i, dx.data<T>(there) + i, count,
            rows.length);
      });
    });
    gradients.add(0, dx);
  });
}

// y_i = x_i - log sum_j exp x_j; dy_i/dx_j = delta_ij - softmax_j, so dx = dout - exp(y) sum_i
// dout_i.
Var log_softmax(const Var& input) {
  const Rows rows = rows_of("log_softmax", input.value());
  const Tensor x = input.value().contiguous(), y = Tensor::empty(x.shape(), x.dtype());
  const Device on = ops::device_of(x, y);
  dispatch(x.dtype(), "log_softmax", [&]<class T>() {
    for_rows(on, rows, [&](std::int64_t i, std::int64_t count) {
      kernels::on<kernels::Softmax<T>>(on).log_softmax(x.data<T>(on) + i, y.data<T>(on) + i, count,
                                                       rows.length);
    });
  });
  return ops::record("log_softmax", y, {input},
                     [y, rows](const Tensor& dout, Gradients& gradients) {
                       const Tensor dx = Tensor::empty(dout.shape(), dout.dtype());
                       const Device there = ops::device_of(y, dout, dx);
                       dispatch(dout.dtype(), "log_softmax", [&]<class T>() {
                         for_rows(there, rows, [&](std::int64_t i, std::int64_t count) {
                           kernels::on<kernels::Softmax<T>>(there).log_softmax_backward(
                               y.data<T>(there) + i, dout.data<T>(there) + i, dx.data<T>(there) + i,
                               count, rows.length);
                         });
                       });
                       gradients.add(0, dx);
                     });
}

}  // namespace holdfast
