// Operations that move elements without arithmetic. Results of the first three share memory with
// their input.
#include "autograd/ops/op.h"

namespace holdfast {
namespace {

void require_axis(std::string_view op, const Tensor& x, int axis) {
  if (axis >= -x.rank() && axis < x.rank()) return;
  ops::fail(op, "axis " + std::to_string(axis) + " is outside x of shape " + x.shape().text());
}

}  // namespace

// A permutation; its inverse is itself.
Var transpose(const Var& x, int axis0, int axis1) {
  ops::require_float("transpose", x.value());
  require_axis("transpose", x.value(), axis0);
  require_axis("transpose", x.value(), axis1);
  return ops::record("transpose", x.value().transpose(axis0, axis1), {x},
                     [axis0, axis1](const Tensor& dout, Gradients& gradients) {
                       gradients.add(0, dout.transpose(axis0, axis1));
                     });
}

Var reshape(const Var& x, const Shape& shape) {
  ops::require_float("reshape", x.value());
  return ops::record("reshape", x.value().reshape(shape), {x},
                     [before = x.shape()](const Tensor& dout, Gradients& gradients) {
                       gradients.add(0, dout.reshape(before));
                     });
}

// dx is zero outside the slice.
Var slice(const Var& x, int axis, std::int64_t begin, std::int64_t end) {
  ops::require_float("slice", x.value());
  require_axis("slice", x.value(), axis);
  return ops::record(
      "slice", x.value().slice(axis, begin, end), {x},
      [axis, begin, end, shape = x.shape()](const Tensor& dout, Gradients& gradients) {
        const Tensor dx = Tensor::zeros(shape, dout.dtype());
        dx.slice(axis, begin, end).copy_from(dout);
        gradients.add(0, dx);
      });
}

// Each input's gradient is its slice of dout.
Var concat(const std::vector<Var>& xs, int axis) {
  if (xs.empty()) ops::fail("concat", "no tensors given");
  const Tensor& first = xs.front().value();
  ops::require_float("concat", first);
  require_axis("concat", first, axis);
  std::vector<std::int64_t> ends;
  for (const Var& x : xs) {
    ops::require_same_type("concat", first, x.value());
    if (x.value().rank() != first.rank() ||
        x.shape().with(axis, 0) != first.shape().with(axis, 0)) {
      ops::fail("concat", "shapes " + first.shape().text() + " and " + x.shape().text() +
                              " differ beside axis " + std::to_string(axis));
    }
    ends.push_back((ends.empty() ? 0 : ends.back()) + x.size(axis));
  }
  const Tensor y = Tensor::empty(first.shape().with(axis, ends.back()), first.dtype());
  for (std::size_t i = 0; i < xs.size(); ++i) {
    y.slice(axis, ends[i] - xs[i].size(axis), ends[i]).copy_from(xs[i].value());
  }
  return ops::record("concat", y, xs, [axis, ends](const Tensor& dout, Gradients& gradients) {
    for (std::size_t i = 0; i < ends.size(); ++i) {
      if (gradients.wants(i)) gradients.add(i, dout.slice(axis, i == 0 ? 0 : ends[i - 1], ends[i]));
    }
  });
}

}  // namespace holdfast
