// What the operation files share: recording a result with its backward function, and checks.
#pragma once

#include <stdexcept>
#include <string>
#include <utility>

#include "autograd/ops.h"
#include "base/parallel.h"
#include "base/profile.h"

namespace holdfast::ops {

/// Elements that a chunk of a parallel loop over cheap arithmetic takes: 64 kB of f32.
inline constexpr std::int64_t kGrain = 16384;

template <class Backward>
class FunctionNode : public Node {
 public:
  FunctionNode(std::string_view name, const std::vector<Var>& inputs, Backward backward)
      : Node(inputs), name_(name), backward_(std::move(backward)) {}
  std::string_view name() const override { return name_; }
  void backward(const Tensor& dout, Gradients& gradients) override { backward_(dout, gradients); }

 private:
  std::string_view name_;  // of static storage
  Backward backward_;
};

/// An operation's forward, or its node's backward, has just ended: lap() of the profiled step, by
/// the operation's name; of linear() also its width, as in "linear 384->1536", and the 2 N I O
/// floating point operations of each product.
void lap_forward(std::string_view name, const std::vector<Var>& inputs);
void lap_backward(const Node& node);

/// An operation's result: `value`, and behind it `backward(dout, gradients)` when an input wants a
/// gradient and recording is on. What backward captures is what the operation saves.
template <class Backward>
Var record(std::string_view name, Tensor value, const std::vector<Var>& inputs, Backward backward) {
  if (profiling()) lap_forward(name, inputs);
  if (recording()) {
    for (const Var& input : inputs) {
      if (!input.requires_grad()) continue;
      auto node = std::make_shared<FunctionNode<Backward>>(name, inputs, std::move(backward));
      return Var(std::move(value), std::move(node));
    }
  }
  return Var(std::move(value));
}

/// Where an operation on these tensors runs: the GPU that all of them are on; else the CPU, which
/// reads and writes any memory. Undefined ones do not count.
template <class... Tensors>
Device device_of(const Tensors&... tensors) {
  Device device;
  bool found = false, same = true;
  const auto look = [&](const Tensor& tensor) {
    if (!tensor.defined()) return;
    if (!found) device = tensor.device();
    same = same && tensor.device() == device;
    found = true;
  };
  (look(tensors), ...);
  return same ? device : Device();
}

/// Throws std::invalid_argument "[op] text".
[[noreturn]] void fail(std::string_view op, const std::string& text);

/// Throws std::invalid_argument unless x is f32 or f64.
void require_float(std::string_view op, const Tensor& x);

/// Throws std::invalid_argument unless both have the same element type, f32 or f64.
void require_same_type(std::string_view op, const Tensor& a, const Tensor& b);

/// Throws std::invalid_argument unless `rows` is i32 of rank 1 with numbers in [0, count); `what`
/// names them.
void require_rows(std::string_view op, std::string_view what, const Tensor& rows,
                  std::int64_t count);

}  // namespace holdfast::ops
