#include "train/gradient_projection.h"

#include <cmath>
#include <stdexcept>
#include <vector>

#include "base/parallel.h"
#include "tensor/kernels/dispatch.h"
#include "tensor/kernels/update.h"

namespace holdfast {

Projection project(const Tensor& g, const Tensor& r, std::span<const ArenaSpan> spans) {
  if (g.shape() != r.shape() || g.dtype() != r.dtype()) {
    throw std::invalid_argument("[a-gem] the gradient is " + g.shape().text() +
                                ", that of the memory " + r.shape().text());
  }
  const std::vector<ArenaSpan> pieces = pieces_of(spans);
  const auto count = static_cast<std::int64_t>(pieces.size());
  std::vector<kernels::Dots> partial(pieces.size());
  Projection projection;
  dispatch(g.dtype(), "a-gem", [&]<class T>() {
    const auto& kernels = kernels::best<kernels::Update<T>>();
    T* x = g.data<T>();
    const T* y = r.data<T>();
    parallel_for(count, 1, [&](std::int64_t p, std::int64_t) {
      const auto& [begin, end] = pieces[static_cast<std::size_t>(p)];
      partial[static_cast<std::size_t>(p)] = kernels.dots(x + begin, y + begin, end - begin);
    });
    kernels::Dots sums;
    for (const auto& [xx, xy, yy] : partial) sums.xx += xx, sums.xy += xy, sums.yy += yy;
    if (!(sums.xx > 0) || !(sums.yy > 0)) return;
    projection.cosine = sums.xy / (std::sqrt(sums.xx) * std::sqrt(sums.yy));
    projection.acted = sums.xy < 0 && std::isfinite(projection.cosine);
    if (!projection.acted) return;
    const double factor = sums.xy / sums.yy;
    parallel_for(count, 1, [&](std::int64_t p, std::int64_t) {
      const auto& [begin, end] = pieces[static_cast<std::size_t>(p)];
      for (std::int64_t i = begin; i < end; ++i) {
        x[i] = static_cast<T>(static_cast<double>(x[i]) - factor * static_cast<double>(y[i]));
      }
    });
  });
  return projection;
}

}  // namespace holdfast
