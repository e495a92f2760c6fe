// 7. Learning rates over layers and over time, and the size of Adam's steps.
//
// One learns three habits of fine-tuning. Layer l of L gets bottom (top/bottom)^(l/(L+1)): what all
// tasks share moves slowly, the new head fast. Every rate then rises linearly and falls as a
// cosine, r + (1-r)(1 + cos(pi t))/2. And Adam divides a gradient by its own running size, so that
// its first step is the rate, whatever the gradient's scale [docs/math/optimizer.md].
#include <cmath>
#include <cstdio>

#include "examples/learn/toy.h"
#include "train/optimizer.h"
#include "train/schedule.h"

using namespace holdfast;

int main() {
  bool as_said = true;
  std::printf("layers  embeddings  L/2 + 1      head  each layer times\n");
  for (const std::int64_t L : {2, 4, 6, 12}) {
    const std::vector<double> rates = layer_rates(1e-5, 5e-4, L);
    const double ratio = rates[0] / rates[1];
    std::printf("%6d     %.1e  %.1e   %.1e             %.3f\n", static_cast<int>(L), rates[0],
                rates[rates.size() / 2], rates.back(), ratio);
    as_said = as_said && std::fabs(rates.back() - 5e-4) < 1e-18;
  }

  const Schedule schedule(ScheduleKind::cosine, 1000, 0.06, 0.05);
  std::printf("\nstep       0     30     60    295    530    765    999\ntimes");
  for (const std::int64_t step : {0, 30, 60, 295, 530, 765, 999})
    std::printf("  %.3f", schedule.factor(step));

  std::printf("\n\ngradient        first step of AdamW at rate 0.001\n");
  for (const double gradient : {1e-6, 1e-3, 1.0, 1e3}) {
    ParameterArena arena;
    toy::declare(arena, "w", {1});
    arena.allocate(DType::f64);
    arena.grads().fill(0);
    arena.grads().span<double>()[0] = gradient;
    AdamW adam(arena.numel(), DType::f64, {{.begin = 0, .end = 1, .learning_rate = 1e-3}});
    adam.step(arena.values(), arena.grads(), 1.0, 1.0);
    const double step = arena[0].value.item();
    std::printf("%8g        %.6f\n", gradient, step);
    as_said = as_said && std::fabs(step + 1e-3 * gradient / (gradient + 1e-8)) < 1e-15;
  }
  return as_said ? 0 : 1;
}
