// Sums and means. y = sum_i x_i: dx_i = dout for every i, so the gradient is dout stretched back
// along the axis.
#include "autograd/ops/op.h"
#include "autograd/ops/sums.h"

namespace holdfast {
namespace {

void require_axis(std::string_view op, const Tensor& x, int axis) {
  ops::require_float(op, x);
  if (axis < -x.rank() || axis >= x.rank()) {
    ops::fail(op, "axis " + std::to_string(axis) + " is outside x of shape " + x.shape().text());
  }
}

Shape without(const Shape& shape, int axis) {
  std::vector<std::int64_t> extents(shape.extents().begin(), shape.extents().end());
  extents.erase(extents.begin() + shape.wrap(axis));
  return Shape(extents);
}

}  // namespace

Var sum(const Var& x, int axis, bool keep) {
  require_axis("sum", x.value(), axis);
  const Shape kept = x.shape().with(axis, 1), shape = keep ? kept : without(x.shape(), axis);
  return ops::record("sum", ops::sum_to(x.value(), kept).reshape(shape), {x},
                     [kept, before = x.shape()](const Tensor& dout, Gradients& gradients) {
                       gradients.add(0, dout.reshape(kept).expand(before));
                     });
}

Var sum(const Var& x) {
  ops::require_float("sum", x.value());
  return ops::record("sum", ops::sum_to(x.value(), Shape{}), {x},
                     [before = x.shape()](const Tensor& dout, Gradients& gradients) {
                       gradients.add(0, dout.expand(before));
                     });
}

Var mean(const Var& x, int axis, bool keep) {
  require_axis("mean", x.value(), axis);
  if (x.size(axis) == 0) {
    ops::fail("mean", "axis " + std::to_string(axis) + " of x " + x.shape().text() + " is empty");
  }
  return scale(sum(x, axis, keep), 1.0 / static_cast<double>(x.size(axis)));
}

Var mean(const Var& x) {
  ops::require_float("mean", x.value());
  if (x.value().numel() == 0) ops::fail("mean", "x " + x.shape().text() + " has no elements");
  return scale(sum(x), 1.0 / static_cast<double>(x.value().numel()));
}

}  // namespace holdfast
