// The engine: topological order, accumulation of gradients, and nothing else. Operations compute;
// only this file adds up.
#include <stdexcept>
#include <unordered_map>

#include "autograd/ops/op.h"
#include "autograd/ops/sums.h"
#include "autograd/var.h"

namespace holdfast {
namespace {

thread_local bool recording_now = true;

class LeafNode : public Node {
 public:
  explicit LeafNode(Parameter& parameter) : parameter_(&parameter) {}
  std::string_view name() const override { return "parameter"; }
  void backward(const Tensor&, Gradients&) override {}
  Parameter& parameter() const { return *parameter_; }

 private:
  Parameter* parameter_;
};

// Depth-first post-order with an explicit stack: inputs before outputs.
std::vector<Node*> topological_order(Node* root) {
  std::vector<Node*> order;
  std::unordered_map<Node*, std::size_t> next_input;  // also marks visited nodes
  std::vector<Node*> stack{root};
  next_input[root] = 0;
  while (!stack.empty()) {
    Node* node = stack.back();
    std::size_t& next = next_input[node];
    if (next == node->inputs().size()) {
      order.push_back(node);
      stack.pop_back();
      continue;
    }
    Node* input = node->inputs()[next++].node().get();
    if (input != nullptr && next_input.try_emplace(input, 0).second) stack.push_back(input);
  }
  return order;
}

}  // namespace

// Releases the inputs one after another: a node that was kept alive by this one alone first hands
// over its own inputs, so that a chain of a million nodes is not a million nested destructor calls.
Node::~Node() {
  std::vector<std::shared_ptr<Node>> released;
  const auto take_inputs = [&](Node& node) {
    for (Edge& edge : node.inputs_) {
      if (edge.node_ != nullptr) released.push_back(std::move(edge.node_));
    }
  };
  take_inputs(*this);
  while (!released.empty()) {
    const std::shared_ptr<Node> node = std::move(released.back());
    released.pop_back();
    if (node.use_count() == 1) take_inputs(*node);
  }
}

struct Gradients::Slots {
  struct Slot {
    Tensor gradient;
    bool owned = false;  // made here by an addition, so it may be added to in place
  };
  std::unordered_map<const Node*, Slot> of;
};

Var::Var(Parameter& parameter)
    : value_(parameter.value),
      node_(parameter.trainable ? std::make_shared<LeafNode>(parameter) : nullptr) {}

void ParameterGradients::bias(Parameter& bias, const Tensor& dout) {
  embedding(bias, Tensor::zeros({dout.size(0)}, DType::i32), dout);
}

bool Gradients::wants(std::size_t input) const { return node_->inputs().at(input).requires_grad(); }

Parameter* Gradients::parameter(std::size_t input) const {
  const auto* leaf = dynamic_cast<const LeafNode*>(node_->inputs().at(input).node().get());
  return leaf == nullptr ? nullptr : &leaf->parameter();
}

void Gradients::add(std::size_t input, Tensor gradient) {
  const Edge& edge = node_->inputs().at(input);
  if (!edge.requires_grad()) return;
  if (gradient.shape() != edge.shape() || gradient.dtype() != edge.dtype()) {
    throw std::logic_error("[" + std::string(node_->name()) + "] gradient of input " +
                           std::to_string(input) + " has shape " + gradient.shape().text() +
                           ", the input has " + edge.shape().text());
  }
  if (Parameter* leaf = parameter(input)) return parameters_->dense(*leaf, gradient.contiguous());
  Slots::Slot& slot = slots_->of[edge.node().get()];
  if (!slot.gradient.defined()) {
    slot.gradient = std::move(gradient);
    return;
  }
  if (!slot.owned) slot.gradient = slot.gradient.clone(), slot.owned = true;
  const Tensor dense = gradient.contiguous();
  dispatch(edge.dtype(), node_->name(), [&]<class T>() {
    const Device on = ops::device_of(dense, slot.gradient);
    ops::accumulate(on, dense.data<T>(on), slot.gradient.data<T>(on), dense.numel());
  });
}

void backward(const Var& out, const Tensor& dout, ParameterGradients& parameters) {
  if (!out.requires_grad()) {
    throw std::invalid_argument(
        "[backward] nothing trainable led to this value: no input wanted a gradient, or recording "
        "was off");
  }
  if (dout.shape() != out.shape() || dout.dtype() != out.dtype()) {
    throw std::invalid_argument("[backward] the gradient has shape " + dout.shape().text() +
                                ", the value " + out.shape().text());
  }
  if (const auto* leaf = dynamic_cast<LeafNode*>(out.node().get()))
    return parameters.dense(leaf->parameter(), dout.contiguous());
  Gradients::Slots slots;
  slots.of[out.node().get()].gradient = dout;
  std::vector<Node*> order = topological_order(out.node().get());
  for (auto node = order.rbegin(); node != order.rend(); ++node) {
    const auto slot = slots.of.find(*node);
    if (slot == slots.of.end()) continue;
    const Tensor gradient = slot->second.gradient.contiguous();
    slots.of.erase(slot);
    Gradients gradients(**node, slots, parameters);
    (*node)->backward(gradient, gradients);
    if (profiling()) ops::lap_backward(**node);
  }
}

void backward(const Var& out, const Tensor& dout) {
  SummedGradients summed;
  backward(out, dout, summed);
}

void backward(const Var& loss) {
  if (loss.value().numel() != 1) {
    throw std::invalid_argument("[backward] a loss has one element, this has shape " +
                                loss.shape().text());
  }
  backward(loss, Tensor::full(loss.shape(), loss.dtype(), 1.0));
}

bool recording() { return recording_now; }
NoGrad::NoGrad() : before_(recording_now) { recording_now = false; }
NoGrad::~NoGrad() { recording_now = before_; }

void require_no_grad(std::string_view op, std::initializer_list<const Var*> inputs) {
  if (!recording()) return;
  for (const Var* input : inputs) {
    if (input->requires_grad()) {
      throw std::logic_error(
          "[" + std::string(op) +
          "] has no backward, but a gradient is wanted: its gradient would stop silently");
    }
  }
}

}  // namespace holdfast
