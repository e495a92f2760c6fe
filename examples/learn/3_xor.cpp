// 3. XOR: what one layer cannot do and two can.
//
// One learns why there are hidden layers, and what a classifier's loss is. No line separates the
// four points; softmax over W x + b is such a line. With a hidden layer
//   h = tanh(W1 x + b1),  p = softmax(W2 h + b2),  L = -1/N sum_n log p_n[y_n]
// the points can be bent apart. The gradient of L with respect to the logits is (p - e_y)/N
// (docs/math/loss.md); the rest is the chain rule. Without a hidden layer L ends at log 2: a coin.
#include <cmath>
#include <cstdio>

#include "autograd/fused.h"
#include "examples/learn/toy.h"

using namespace holdfast;

namespace {

const std::vector<double> kPoints = {0, 0, 0, 1, 1, 0, 1, 1};
const std::vector<std::int32_t> kClasses = {0, 1, 1, 0};

struct Fit {
  double loss = 0;
  std::vector<double> logits;  // (4, 2)
};

Fit train(std::int64_t hidden) {
  ParameterArena arena;
  std::size_t w1 = 0, b1 = 0;
  if (hidden > 0) {
    w1 = toy::declare(arena, "hidden.weight", {hidden, 2});
    b1 = toy::declare(arena, "hidden.bias", {hidden});
  }
  const std::size_t w2 = toy::declare(arena, "out.weight", {2, hidden > 0 ? hidden : 2});
  const std::size_t b2 = toy::declare(arena, "out.bias", {2});
  arena.allocate(DType::f64);
  toy::randomize(arena, 1.0, 3);
  const Var x(Tensor::from(kPoints, {4, 2}));
  const Tensor labels = Tensor::from(kClasses, {4}), mean = Tensor::full({4}, DType::f64, 0.25);
  Fit fit;
  for (int step = 0; step < 2000; ++step) {
    const Var h = hidden > 0 ? linear(x, Var(arena[w1]), Var(arena[b1]), Activation::tanh) : x;
    const Var logits = linear(h, Var(arena[w2]), Var(arena[b2]));
    const Var loss = softmax_cross_entropy(logits, labels, mean);
    fit = {loss.value().item(), logits.value().to_vector()};
    backward(loss);
    toy::descend(arena, 0.5);
  }
  return fit;
}

}  // namespace

int main() {
  bool solved = true;
  for (const std::int64_t hidden : {0, 4}) {
    const Fit fit = train(hidden);
    std::printf("%lld hidden: loss %.4f\n", static_cast<long long>(hidden), fit.loss);
    for (std::size_t n = 0; n < 4; ++n) {
      const double p = 1 / (1 + std::exp(fit.logits[2 * n] - fit.logits[2 * n + 1]));
      std::printf("  %.0f xor %.0f = %d: p(1) = %.3f\n", kPoints[2 * n], kPoints[2 * n + 1],
                  kClasses[n], p);
      const bool right = (p > 0.5) == (kClasses[n] == 1) && std::fabs(p - kClasses[n]) < 0.05;
      solved = solved && (right || hidden == 0);
    }
  }
  return solved ? 0 : 1;
}
