#include "train/gradient_projection.h"

#include <cmath>
#include <iterator>
#include <stdexcept>
#include <vector>

#include "autograd/ops/op.h"
#include "base/parallel.h"
#include "tensor/kernels/dispatch.h"
#include "tensor/kernels/element.h"
#include "tensor/kernels/update.h"
#include "train/device_update.h"

namespace holdfast {
namespace {

template <class Body>
void for_each_piece(std::span<const ArenaSpan> pieces, const Body& body) {
  parallel_for(std::ssize(pieces), 1, [&](std::int64_t p, std::int64_t) {
    body(static_cast<std::size_t>(p), pieces[static_cast<std::size_t>(p)]);
  });
}

std::vector<kernels::Dots> dots(std::span<const ArenaSpan> pieces, const Tensor& g,
                                const Tensor& r) {
  std::vector<kernels::Dots> sums(pieces.size());
  dispatch(g.dtype(), "a-gem", [&]<class T>() {
    const auto& kernels = kernels::best<kernels::Update<T>>();
    for_each_piece(pieces, [&](std::size_t p, ArenaSpan piece) {
      sums[p] = kernels.dots(g.data<T>() + piece.begin, r.data<T>() + piece.begin, piece.size());
    });
  });
  return sums;
}

// g -= factor r
void subtract(std::span<const ArenaSpan> pieces, double factor, const Tensor& r, const Tensor& g) {
  dispatch(g.dtype(), "a-gem", [&]<class T>() {
    T* x = g.data<T>();
    const T* y = r.data<T>();
    for_each_piece(pieces, [&](std::size_t, ArenaSpan piece) {
      for (std::int64_t i = piece.begin; i < piece.end; ++i)
        x[i] = kernels::less(x[i], factor, y[i]);
    });
  });
}

}  // namespace

Projection project(const Tensor& g, const Tensor& r, std::span<const ArenaSpan> spans) {
  if (g.shape() != r.shape() || g.dtype() != r.dtype()) {
    throw std::invalid_argument("[a-gem] the gradient is " + g.shape().text() +
                                ", that of the memory " + r.shape().text());
  }
  const std::vector<ArenaSpan> pieces = pieces_of(spans);
  const Device on = ops::device_of(g, r);
  kernels::Dots sums;
  for (const auto& [xx, xy, yy] : on.is_cuda() ? dots_on(on, pieces, g, r) : dots(pieces, g, r))
    sums.xx += xx, sums.xy += xy, sums.yy += yy;
  Projection projection;
  if (!(sums.xx > 0) || !(sums.yy > 0)) return projection;
  projection.cosine = sums.xy / (std::sqrt(sums.xx) * std::sqrt(sums.yy));
  projection.acted = sums.xy < 0 && std::isfinite(projection.cosine);
  if (!projection.acted) return projection;
  const double factor = sums.xy / sums.yy;
  on.is_cuda() ? subtract_on(on, pieces, factor, r, g) : subtract(pieces, factor, r, g);
  return projection;
}

}  // namespace holdfast
