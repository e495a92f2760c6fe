// 4. Elastic weight consolidation on two toy tasks, and its loss surfaces as a drawing.
//
// One learns what the Fisher information buys. Two weights, p(y=1|x) = sigmoid(w . x). Task A is
// told by x_1 and hardly feels w_2; task B is best told by x_2, though a negative w_1 helps it too.
// After A, B is learnt
//   naive   from the loss of B alone: w_1 turns round, and A is forgotten
//   L2      + lambda m ||w - w_A||^2, m the mean of F: both are held, and B is learnt half
//   EWC     + lambda sum_i F_i (w_i - w_A,i)^2: w_1, which A needs, is held; w_2 is free
// with F_i = 1/N sum_n p_n (1 - p_n) x_ni^2, the Fisher information of A at w_A [docs/math/ewc.md].
// `4_ewc ewc.svg` draws where each goes on the losses of A and of B.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <string>
#include <vector>

#include "autograd/ops.h"
#include "examples/learn/surface.h"
#include "examples/learn/toy.h"
#include "train/penalty.h"

using namespace holdfast;

namespace {

// Points s (a, b) + noise of the deviations (da, db), of class s = +1 and -1 in turn.
struct Task {
  std::vector<double> x, sign;  // (N, 2), (N)
  Task(const char* name, double a, double b, double da, double db) {
    const RandomStream random(5, name);
    for (std::uint64_t n = 0; n < 400; ++n) {
      const double s = n % 2 == 0 ? 1 : -1;
      sign.push_back(s);
      x.push_back(s * a + da * random.normal(0, n));
      x.push_back(s * b + db * random.normal(1, n));
    }
  }
  std::int64_t size() const { return static_cast<std::int64_t>(sign.size()); }
  double logit(std::size_t n, double w1, double w2) const {
    return w1 * x[2 * n] + w2 * x[2 * n + 1];
  }
  double loss(double w1, double w2) const {
    double sum = 0;
    for (std::size_t n = 0; n < sign.size(); ++n)
      sum += std::log1p(std::exp(-sign[n] * logit(n, w1, w2)));
    return sum / static_cast<double>(sign.size());
  }
  double accuracy(double w1, double w2) const {
    double right = 0;
    for (std::size_t n = 0; n < sign.size(); ++n) right += sign[n] * logit(n, w1, w2) > 0 ? 1 : 0;
    return 100 * right / static_cast<double>(sign.size());
  }
};

// F_i = 1/N sum_n p (1 - p) x_ni^2
std::vector<double> fisher(const Task& task, double w1, double w2) {
  std::vector<double> F(2, 0.0);
  for (std::size_t n = 0; n < task.sign.size(); ++n) {
    const double p = 1 / (1 + std::exp(-task.logit(n, w1, w2)));
    for (std::size_t i = 0; i < 2; ++i)
      F[i] +=
          p * (1 - p) * task.x[2 * n + i] * task.x[2 * n + i] / static_cast<double>(task.size());
  }
  return F;
}

// Gradient descent on mean log(1 + exp(-s w.x)) and the penalty; every 10th place is returned.
Path learn(const Task& task, ParameterArena& arena, const EwcPenalty* penalty) {
  const std::int64_t N = task.size();
  const Var x(Tensor::from(task.x, {N, 2})), sign(Tensor::from(task.sign, {N, 1})),
      one(Tensor::full({1}, DType::f64, 1));
  const auto w = arena.values().span<double>();
  Path path;
  for (int step = 0; step < 1000; ++step) {
    if (step % 10 == 0) path.push_back({w[0], w[1]});
    const Var margin = mul(sign, matmul(x, Var(arena[0])));
    backward(mean(log(add(exp(scale(margin, -1)), one))));
    if (penalty != nullptr) penalty->add_gradient(arena.values(), arena.grads());
    toy::descend(arena, 0.2);
  }
  path.push_back({w[0], w[1]});
  return path;
}

}  // namespace

int main(int argc, char** argv) {
  const Task a("A", 1.0, 0.0, 0.7, 0.1), b("B", -0.6, 0.8, 0.5, 0.3);
  ParameterArena arena;
  toy::declare(arena, "w", {2, 1});
  arena.allocate(DType::f64);
  learn(a, arena, nullptr);
  const Tensor at_a = arena.values().clone();
  const std::vector<double> F = fisher(a, at_a.span<double>()[0], at_a.span<double>()[1]);
  const double m = (F[0] + F[1]) / 2;
  std::printf("F = (%.5f, %.5f)\n                     w_1    w_2   A right  loss   B right  loss\n",
              F[0], F[1]);
  const auto report = [&](const std::string& name) {
    const double w1 = arena.values().span<double>()[0], w2 = arena.values().span<double>()[1];
    std::printf("%-17s  %5.2f  %5.2f    %5.1f%%  %.2f    %5.1f%%  %.2f\n", name.c_str(), w1, w2,
                a.accuracy(w1, w2), a.loss(w1, w2), b.accuracy(w1, w2), b.loss(w1, w2));
    return a.loss(w1, w2) + b.loss(w1, w2);
  };
  // From w_A; importance on the diagonal, lambda 0 for none.
  const auto then_b = [&](const std::string& name, double lambda,
                          const std::vector<double>& diagonal, Path& path) {
    arena.values().copy_from(at_a);
    EwcPenalty penalty(lambda, arena);
    const Tensor importance = Tensor::zeros({arena.numel()}, DType::f64);
    std::copy(diagonal.begin(), diagonal.end(), importance.data<double>());
    penalty.add(importance, Normalization::none);
    path = learn(b, arena, lambda > 0 ? &penalty : nullptr);
    return report(name);
  };

  report("after A");
  std::vector<Path> drawn(3);
  then_b("then B, naive", 0, F, drawn[0]);
  bool better = true;
  for (const double lambda : {1, 3, 10}) {
    Path l2, ewc;
    const double of_l2 = then_b(text("  L2,  lambda %g", lambda), lambda, {m, m}, l2);
    const double of_ewc = then_b(text("  EWC, lambda %g", lambda), lambda, F, ewc);
    better = better && of_ewc < of_l2;
    if (lambda == 3) drawn = {drawn[0], l2, ewc};
  }
  if (argc > 1) {
    std::ofstream file(argv[1]);
    file << drawing({{"loss of A", [&](double u, double v) { return a.loss(u, v); }},
                     {"loss of B", [&](double u, double v) { return b.loss(u, v); }}},
                    {"naive", "L2", "EWC"}, drawn)
         << std::flush;
    if (!file) {
      std::fprintf(stderr, "4_ewc: cannot write %s\n", argv[1]);
      return 2;
    }
  }
  return better ? 0 : 1;
}
