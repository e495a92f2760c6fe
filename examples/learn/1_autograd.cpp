// 1. Automatic differentiation, by hand and by holdfast.
//
// One learns that a gradient is bookkeeping. Every operation knows its own derivative; the chain
// rule
//   d out / d x = sum over uses y of x of  (d out / d y) (d y / d x)
// is then one walk over the operations, last to first, that adds up what each input gets. Below is
// the whole of it for single numbers, beside the same expression in holdfast
// (autograd/backward.cpp) and beside central differences (f(x+h) - f(x-h)) / 2h.
#include <cmath>
#include <cstdio>
#include <functional>
#include <vector>

#include "autograd/ops.h"

namespace {

// A number, and how it was made: for each input its place on the tape and d(this)/d(input).
struct Entry {
  double value = 0, gradient = 0;
  struct Input {
    std::size_t place;
    double derivative;
  };
  std::vector<Input> inputs{};
};

// Operations append to the tape, so its order is an order of computation.
class Tape {
 public:
  std::size_t number(double value) { return push({.value = value}); }
  std::size_t add(std::size_t a, std::size_t b) {
    return push({.value = at(a) + at(b), .inputs = {{a, 1}, {b, 1}}});
  }
  std::size_t mul(std::size_t a, std::size_t b) {
    return push({.value = at(a) * at(b), .inputs = {{a, at(b)}, {b, at(a)}}});
  }
  std::size_t tanh(std::size_t a) {
    const double y = std::tanh(at(a));
    return push({.value = y, .inputs = {{a, 1 - y * y}}});
  }
  std::size_t exp(std::size_t a) {
    const double y = std::exp(at(a));
    return push({.value = y, .inputs = {{a, y}}});
  }

  // The chain rule. An entry's gradient is complete before it is passed on: all who use it are
  // later.
  void backward(std::size_t out) {
    entries_[out].gradient = 1;
    for (std::size_t i = out + 1; i-- > 0;)
      for (const Entry::Input& input : entries_[i].inputs)
        entries_[input.place].gradient += entries_[i].gradient * input.derivative;
  }

  double at(std::size_t place) const { return entries_[place].value; }
  double gradient(std::size_t place) const { return entries_[place].gradient; }

 private:
  std::size_t push(Entry entry) {
    entries_.push_back(std::move(entry));
    return entries_.size() - 1;
  }
  std::vector<Entry> entries_;
};

// f(a, b, c) = tanh(a b + c) a + exp(b): a and b are used twice, so their gradients are sums.
double f(double a, double b, double c) { return std::tanh(a * b + c) * a + std::exp(b); }

std::vector<double> by_hand(const std::vector<double>& x) {
  Tape tape;
  const std::size_t a = tape.number(x[0]), b = tape.number(x[1]), c = tape.number(x[2]);
  const std::size_t inner = tape.tanh(tape.add(tape.mul(a, b), c));
  tape.backward(tape.add(tape.mul(inner, a), tape.exp(b)));
  return {tape.gradient(a), tape.gradient(b), tape.gradient(c)};
}

std::vector<double> by_holdfast(const std::vector<double>& x) {
  using namespace holdfast;
  std::vector<Parameter> leaves;
  for (const double value : x)
    leaves.push_back({.name = "x",
                      .value = Tensor::full({1}, DType::f64, value),
                      .grad = Tensor::zeros({1}, DType::f64)});
  const Var a(leaves[0]), b(leaves[1]), c(leaves[2]);
  backward(add(mul(tanh(add(mul(a, b), c)), a), exp(b)));
  return {leaves[0].grad.item(), leaves[1].grad.item(), leaves[2].grad.item()};
}

double by_differences(std::vector<double> x, std::size_t i) {
  constexpr double h = 1e-5;
  x[i] += h;
  const double above = f(x[0], x[1], x[2]);
  x[i] -= 2 * h;
  return (above - f(x[0], x[1], x[2])) / (2 * h);
}

}  // namespace

int main() {
  const std::vector<double> x = {0.7, -1.3, 0.4};
  const std::vector<double> hand = by_hand(x), ours = by_holdfast(x);
  std::printf("f = tanh(a b + c) a + exp(b) at a = 0.7, b = -1.3, c = 0.4: %.6f\n",
              f(x[0], x[1], x[2]));
  std::printf("      by hand   holdfast  differences\n");
  bool same = true;
  for (std::size_t i = 0; i < 3; ++i) {
    const double near = by_differences(x, i);
    std::printf("df/d%c %9.6f  %9.6f  %9.6f\n", "abc"[i], hand[i], ours[i], near);
    same = same && std::fabs(hand[i] - ours[i]) < 1e-14 && std::fabs(hand[i] - near) < 1e-9;
  }
  std::printf("%s\n", same ? "by hand and holdfast agree to 1e-14" : "they differ");
  return same ? 0 : 1;
}
