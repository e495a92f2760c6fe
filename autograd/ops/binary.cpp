// y = a op b with broadcasting: inputs are read through views of the common shape, and a gradient
// of that shape is summed back over the axes that an input was stretched along.
#include <algorithm>
#include <array>

#include "autograd/ops/op.h"
#include "autograd/ops/sums.h"
#include "tensor/kernels/elementwise.h"
#include "tensor/kernels/on.h"
#include "tensor/view_pair.h"

namespace holdfast {
namespace {

enum class Op { add, sub, mul, div };
constexpr std::array<std::string_view, 4> kNames{"add", "sub", "mul", "div"};

template <class T>
kernels::Binary<T> kernel_of(Device on, Op op) {
  const auto& table = kernels::on<kernels::Elementwise<T>>(on);
  return std::array{table.add, table.sub, table.mul, table.div}[static_cast<std::size_t>(op)];
}

template <class T>
cuda::BinaryOfViews<T> device_kernel_of(Device on, Op op) {
  const auto& table = cuda::table<cuda::Broadcast<T>>(on.cuda);
  return std::array{table.add, table.sub, table.mul, table.div}[static_cast<std::size_t>(op)];
}

template <class T>
void apply(Op op, const Tensor& a, const Tensor& b, const Tensor& out) {
  const ViewPair pair = view_pair(a, b);
  const Device on = ops::device_of(a, b, out);
  const T *from_a = a.data<T>(on), *from_b = b.data<T>(on);
  T* y = out.data<T>(on);
  const ViewPair::Axis run = pair.axes.front();
  if (pair.rank > 1 && on.is_cuda())
    return device_kernel_of<T>(on, op)(pair, from_a, from_b, y);
  const kernels::Binary<T> kernel = kernel_of<T>(on, op);
  if (pair.rank == 1) {
    kernels::over(on, run.extent, ops::kGrain, [&](std::int64_t begin, std::int64_t end) {
      kernel(from_a + begin * run.step_a, run.step_a, from_b + begin * run.step_b, run.step_b,
             y + begin, end - begin);
    });
    return;
  }
  const std::int64_t grain = std::max<std::int64_t>(1, ops::kGrain / run.extent);
  parallel_for(a.numel() / run.extent, grain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const auto [at_a, at_b] = pair.at(i, 1);
      kernel(from_a + at_a, run.step_a, from_b + at_b, run.step_b, y + i * run.extent, run.extent);
    }
  });
}

Tensor compute(Op op, const Tensor& a, const Tensor& b) {
  const std::string_view name = kNames[static_cast<std::size_t>(op)];
  ops::require_same_type(name, a, b);
  Shape shape;
  try {
    shape = broadcast(a.shape(), b.shape());
  } catch (const std::invalid_argument&) {
    ops::fail(name, "shapes " + a.shape().text() + " and " + b.shape().text() +
                        " do not broadcast: aligned at the right, extents must be equal or 1");
  }
  const Tensor y = Tensor::empty(shape, a.dtype());
  if (y.numel() == 0) return y;
  dispatch(a.dtype(), name, [&]<class T>() { apply<T>(op, a.expand(shape), b.expand(shape), y); });
  return y;
}

Tensor scaled(const Tensor& x, double factor) {
  const Tensor from = x.contiguous(), y = Tensor::empty(x.shape(), x.dtype());
  const Device on = ops::device_of(from, y);
  dispatch(x.dtype(), "scale", [&]<class T>() {
    const auto& kernel = kernels::on<kernels::Elementwise<T>>(on);
    kernels::over(on, x.numel(), ops::kGrain, [&](std::int64_t begin, std::int64_t end) {
      kernel.scale(static_cast<T>(factor), from.data<T>(on) + begin, y.data<T>(on) + begin,
                   end - begin);
    });
  });
  return y;
}

}  // namespace

// y = a + b: da = dout, db = dout.
Var add(const Var& a, const Var& b) {
  return ops::record(
      "add", compute(Op::add, a.value(), b.value()), {a, b},
      [a_shape = a.shape(), b_shape = b.shape()](const Tensor& dout, Gradients& gradients) {
        if (gradients.wants(0)) gradients.add(0, ops::sum_to(dout, a_shape));
        if (gradients.wants(1)) gradients.add(1, ops::sum_to(dout, b_shape));
      });
}

// y = a - b: da = dout, db = -dout.
Var sub(const Var& a, const Var& b) {
  return ops::record(
      "sub", compute(Op::sub, a.value(), b.value()), {a, b},
      [a_shape = a.shape(), b_shape = b.shape()](const Tensor& dout, Gradients& gradients) {
        if (gradients.wants(0)) gradients.add(0, ops::sum_to(dout, a_shape));
        if (gradients.wants(1)) gradients.add(1, scaled(ops::sum_to(dout, b_shape), -1.0));
      });
}

// y = a b: da = dout b, db = dout a.
Var mul(const Var& a, const Var& b) {
  return ops::record("mul", compute(Op::mul, a.value(), b.value()), {a, b},
                     [x = a.value(), z = b.value()](const Tensor& dout, Gradients& gradients) {
                       if (gradients.wants(0)) {
                         gradients.add(0, ops::sum_to(compute(Op::mul, dout, z), x.shape()));
                       }
                       if (gradients.wants(1)) {
                         gradients.add(1, ops::sum_to(compute(Op::mul, dout, x), z.shape()));
                       }
                     });
}

// y = a / b: da = dout / b, db = -dout a / b^2 = -(dout / b) y.
Var div(const Var& a, const Var& b) {
  const Tensor y = compute(Op::div, a.value(), b.value());
  return ops::record(
      "div", y, {a, b},
      [y, z = b.value(), shape = a.shape()](const Tensor& dout, Gradients& gradients) {
        const Tensor da = compute(Op::div, dout, z);
        if (gradients.wants(0)) gradients.add(0, ops::sum_to(da, shape));
        if (!gradients.wants(1)) return;
        gradients.add(1, scaled(ops::sum_to(compute(Op::mul, da, y), z.shape()), -1.0));
      });
}

// y = factor x: dx = factor dout.
Var scale(const Var& x, double factor) {
  ops::require_float("scale", x.value());
  return ops::record("scale", scaled(x.value(), factor), {x},
                     [factor](const Tensor& dout, Gradients& gradients) {
                       gradients.add(0, scaled(dout, factor));
                     });
}

}  // namespace holdfast
