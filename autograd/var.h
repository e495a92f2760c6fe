// Reverse-mode automatic differentiation: a Var is a tensor and, where a gradient may be wanted,
// the node that made it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "tensor/tensor.h"

namespace holdfast {

class Node;
class Gradients;

/// A leaf of the graph: a value and a place for its gradient, both usually slices of a flat arena.
/// The gradient is assigned on the first contribution after zero_grad() and added to afterwards, so
/// that a step never clears the arena.
struct Parameter {
  std::string name;       // Hugging Face name
  Tensor value;           // contiguous
  Tensor grad;            // same shape and type
  bool has_grad = false;  // a backward pass has reached this parameter since zero_grad()
  bool trainable = true;  // false, frozen: its Var is a constant, so nothing below that only it
                          // wanted is walked or saved

  void zero_grad() { has_grad = false; }
};

/// A value in a computation. Copies share value and node.
class Var {
 public:
  Var() = default;
  /// A constant: no gradient is wanted.
  explicit Var(Tensor value) : value_(std::move(value)) {}
  /// A leaf whose gradient goes into `parameter.grad`, or a constant when the parameter is frozen.
  /// It must outlive the graph.
  explicit Var(Parameter& parameter);
  /// The result of an operation (used by operations only).
  Var(Tensor value, std::shared_ptr<Node> node)
      : value_(std::move(value)), node_(std::move(node)) {}

  const Tensor& value() const { return value_; }
  const Shape& shape() const { return value_.shape(); }
  std::int64_t size(int axis) const { return value_.size(axis); }
  DType dtype() const { return value_.dtype(); }
  bool defined() const { return value_.defined(); }
  bool requires_grad() const { return node_ != nullptr; }
  const std::shared_ptr<Node>& node() const { return node_; }

 private:
  Tensor value_;
  std::shared_ptr<Node> node_;
};

/// How parameter gradients are formed from what a layer's backward pass knows. The default (see
/// backward()) sums over all rows into Parameter::grad; train/fisher replaces it to square per
/// sample. Rows of x and dout belong to tokens or texts.
class ParameterGradients {
 public:
  virtual ~ParameterGradients() = default;
  /// y = x W^T + b: x (N,I), dout (N,O), weight (O,I), bias (O) or null. Adds dW = dout^T x, db =
  /// sum over rows of dout. Of a product in bf16, x and dout are bf16 and bias is null: it comes
  /// through bias().
  virtual void linear(Parameter& weight, Parameter* bias, const Tensor& x, const Tensor& dout) = 0;
  /// y = gamma * xhat + beta: dout and xhat (N,C). Adds dgamma = sum dout*xhat, dbeta = sum dout.
  virtual void norm(Parameter& gamma, Parameter& beta, const Tensor& xhat, const Tensor& dout) = 0;
  /// The bias alone of a linear layer or norm whose weight is frozen: dout (N,C). Adds dbias = sum
  /// over rows. By default a table of one row that every n looks up: embedding().
  virtual void bias(Parameter& bias, const Tensor& dout);
  /// y[n] = table[ids[n]]: dout (N,C), ids (N) i32. Adds dtable[id] = sum of dout over the rows
  /// with that id.
  virtual void embedding(Parameter& table, const Tensor& ids, const Tensor& dout) = 0;
  /// Any other use of a parameter as an input: its gradient, whole and contiguous.
  virtual void dense(Parameter& parameter, const Tensor& gradient) = 0;
};

/// An input of an operation: where its gradient goes. It does not keep the input's value; a node
/// that needs it in its backward saves the tensor itself, so that the memory of all others is free
/// as soon as the computation has passed.
class Edge {
 public:
  explicit Edge(const Var& input)
      : node_(input.node()), shape_(input.shape()), dtype_(input.dtype()) {}
  const std::shared_ptr<Node>& node() const { return node_; }
  const Shape& shape() const { return shape_; }
  DType dtype() const { return dtype_; }
  bool requires_grad() const { return node_ != nullptr; }

 private:
  friend class Node;
  std::shared_ptr<Node> node_;
  Shape shape_;
  DType dtype_;
};

/// An operation in the graph. Implementations live in autograd/ops. They save tensors, never Vars:
/// a graph of any depth is taken down without recursion through its edges.
class Node {
 public:
  virtual ~Node();
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;

  /// The operation's name, as in error texts.
  virtual std::string_view name() const = 0;

  /// Given dout, the gradient with respect to the output, hands to `gradients` the gradient with
  /// respect to each input that wants one. dout is contiguous. Must not keep or change state: a
  /// graph may be walked several times with different dout.
  virtual void backward(const Tensor& dout, Gradients& gradients) = 0;

  const std::vector<Edge>& inputs() const { return inputs_; }

 protected:
  explicit Node(const std::vector<Var>& inputs) : inputs_(inputs.begin(), inputs.end()) {}
  Node() = default;

 private:
  friend void backward(const Var&, const Tensor&, ParameterGradients&);
  friend class Gradients;
  std::vector<Edge> inputs_;
};

/// What a backward function hands its results to. Adding up is the engine's job alone.
class Gradients {
 public:
  /// Whether input i leads to something trainable; if not, its gradient need not be computed.
  bool wants(std::size_t input) const;
  /// The gradient with respect to input i (same shape). The tensor may be kept: do not write to it
  /// afterwards.
  void add(std::size_t input, Tensor gradient);
  /// The parameter behind input i, or null when that input is not a parameter itself: fused
  /// operations then hand their parameter gradients to parameters() instead of add().
  Parameter* parameter(std::size_t input) const;
  ParameterGradients& parameters() const { return *parameters_; }

 private:
  friend void backward(const Var&, const Tensor&, ParameterGradients&);
  struct Slots;
  Gradients(const Node& node, Slots& slots, ParameterGradients& parameters)
      : node_(&node), slots_(&slots), parameters_(&parameters) {}
  const Node* node_;
  Slots* slots_;
  ParameterGradients* parameters_;
};

/// Sums gradients over all rows into Parameter::grad, straight into its memory (GEMM with beta 0 or
/// 1).
class SummedGradients : public ParameterGradients {
 public:
  void linear(Parameter& weight, Parameter* bias, const Tensor& x, const Tensor& dout) override;
  void norm(Parameter& gamma, Parameter& beta, const Tensor& xhat, const Tensor& dout) override;
  void bias(Parameter& bias, const Tensor& dout) override;
  void embedding(Parameter& table, const Tensor& ids, const Tensor& dout) override;
  void dense(Parameter& parameter, const Tensor& gradient) override;
};

/// Walks the graph from `out` in reverse topological order (iteratively), starting with
/// d(loss)/d(out) = dout, and hands every parameter's gradient to `parameters`. The graph stays and
/// may be walked again. Throws std::invalid_argument when out wants no gradient, or dout has
/// another shape or type.
void backward(const Var& out, const Tensor& dout, ParameterGradients& parameters);
/// The same with summed gradients.
void backward(const Var& out, const Tensor& dout);
/// The same from a scalar loss: dout = 1. Throws std::invalid_argument unless loss has one element.
void backward(const Var& loss);

/// True when recording is on in this thread (the default). Off, operations compute values and keep
/// nothing.
bool recording();
/// Turns recording off for a scope: evaluation, prediction.
class NoGrad {
 public:
  NoGrad();
  ~NoGrad();
  NoGrad(const NoGrad&) = delete;
  NoGrad& operator=(const NoGrad&) = delete;

 private:
  bool before_;
};

/// Makes an operation's result: Var(value, make_node()) when any input wants a gradient and
/// recording is on, else a constant. `make_node` is only then called, so nothing is saved in
/// evaluation.
template <class MakeNode>
Var make_result(Tensor value, std::initializer_list<const Var*> inputs, MakeNode&& make_node) {
  if (recording()) {
    for (const Var* input : inputs) {
      if (input->requires_grad()) return Var(std::move(value), make_node());
    }
  }
  return Var(std::move(value));
}

/// For an operation without a backward: throws std::logic_error naming `op` when a gradient would
/// be wanted, so that gradients never stop silently.
void require_no_grad(std::string_view op, std::initializer_list<const Var*> inputs);

}  // namespace holdfast
