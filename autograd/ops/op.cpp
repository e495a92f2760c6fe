#include "autograd/ops/op.h"

#include <algorithm>

#include "tensor/cuda/runtime.h"

namespace holdfast::ops {
namespace {

// Of linear(): x (N, I), weight (O, I), bias (O).
void lap_of(std::string_view phase, std::string_view name, const std::vector<Edge>& inputs,
            std::int64_t products) {
  if (const Device on = current_device(); on.is_cuda())
    cuda::runtime()->wait(on.cuda);  // or whoever waits next is given its time
  if (name != "linear") return lap(phase, name);
  const std::int64_t N = inputs[0].shape()[0], I = inputs[0].shape()[1], O = inputs[2].shape()[0];
  const std::string label = "linear " + std::to_string(I) + "->" + std::to_string(O);
  lap(phase, label, 2 * N * I * O * products);
}

}  // namespace

void lap_forward(std::string_view name, const std::vector<Var>& inputs) {
  lap_of("forward", name, {inputs.begin(), inputs.end()}, 1);
}

void lap_backward(const Node& node) {
  const auto is_product = [&](const Edge& input) {
    return input.requires_grad() && input.shape().rank() == 2;  // dx and dweight, not dbias
  };
  lap_of("backward", node.name(), node.inputs(), std::ranges::count_if(node.inputs(), is_product));
}

void fail(std::string_view op, const std::string& text) {
  throw std::invalid_argument("[" + std::string(op) + "] " + text);
}

void require_float(std::string_view op, const Tensor& x) {
  if (!x.defined()) fail(op, "an input is undefined: give it a value first");
  if (x.dtype() == DType::i32) fail(op, "needs f32 or f64, not i32: convert with to()");
}

void require_same_type(std::string_view op, const Tensor& a, const Tensor& b) {
  require_float(op, a);
  require_float(op, b);
  if (a.dtype() != b.dtype()) {
    fail(op, "inputs are " + std::string(name_of(a.dtype())) + " " + a.shape().text() + " and " +
                 std::string(name_of(b.dtype())) + " " + b.shape().text() +
                 ": convert one with to()");
  }
}

void require_rows(std::string_view op, std::string_view what, const Tensor& rows,
                  std::int64_t count) {
  if (!rows.defined() || rows.rank() != 1 || rows.dtype() != DType::i32) {
    fail(op, std::string(what) + " must be i32 of one axis" +
                 (rows.defined()
                      ? ", not " + std::string(name_of(rows.dtype())) + " " + rows.shape().text()
                      : std::string()));
  }
  std::int64_t n = 0;
  for (const std::int32_t row : rows.contiguous().read<std::int32_t>()) {
    if (row < 0 || row >= count) {
      fail(op, std::string(what) + "[" + std::to_string(n) + "] = " + std::to_string(row) +
                   " is outside [0," + std::to_string(count) + ")");
    }
    ++n;
  }
}

}  // namespace holdfast::ops
