// 2. A line through points, by gradient descent.
//
// One learns what training is: a loss, its gradient, a step against it, again. The loss
//   L(w, b) = 1/N sum_n (w x_n + b - y_n)^2
// is a bowl, so descent ends where the normal equations say: w = cov(x, y) / var(x), b = mean(y) -
// w mean(x). The rate decides: each step multiplies the distance to the end by 1 - 2 rate
// curvature.
#include <cmath>
#include <cstdio>
#include <vector>

#include "autograd/ops.h"
#include "examples/learn/toy.h"

using namespace holdfast;

int main() {
  constexpr std::int64_t N = 50;
  const RandomStream random(1, "line");
  std::vector<double> x, y;
  for (std::uint64_t n = 0; n < N; ++n) {
    x.push_back(2 * random.uniform(0, n) - 1);
    y.push_back(3 * x.back() - 0.5 + 0.2 * random.normal(1, n));
  }
  const Var inputs(Tensor::from(x, {N})), targets(Tensor::from(y, {N}));

  ParameterArena arena;
  const std::size_t w = toy::declare(arena, "w", {1}), b = toy::declare(arena, "b", {1});
  arena.allocate(DType::f64);
  for (int step = 0; step <= 200; ++step) {
    const Var error = sub(add(mul(inputs, Var(arena[w])), Var(arena[b])), targets);
    const Var loss = mean(mul(error, error));
    if (step % 50 == 0)
      std::printf("step %3d  loss %.6f  w %.4f  b %.4f\n", step, loss.value().item(),
                  arena[w].value.item(), arena[b].value.item());
    backward(loss);
    toy::descend(arena, 0.1);
  }

  double mean_x = 0, mean_y = 0, xx = 0, xy = 0;
  for (std::size_t n = 0; n < N; ++n) {
    mean_x += x[n] / N;
    mean_y += y[n] / N;
  }
  for (std::size_t n = 0; n < N; ++n) {
    xx += (x[n] - mean_x) * (x[n] - mean_x);
    xy += (x[n] - mean_x) * (y[n] - mean_y);
  }
  const double best_w = xy / xx, best_b = mean_y - best_w * mean_x;
  std::printf("normal equations         w %.4f  b %.4f\n", best_w, best_b);
  const bool there = std::fabs(arena[w].value.item() - best_w) < 1e-4 &&
                     std::fabs(arena[b].value.item() - best_b) < 1e-4;
  return there ? 0 : 1;
}
