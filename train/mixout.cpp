#include "train/mixout.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "base/parallel.h"

namespace holdfast {
namespace {

bool is_mixed(const NamedSlice& slice) {
  return slice.decay && slice.layer > 0 && slice.task.empty() && !slice.adapter;
}

// visit(i, old) for the elements of a piece: 16-bit number i % 8 of the Philox block i / 8.
template <class Visit>
void for_each_choice(const RandomStream& stream, std::uint32_t step, std::uint32_t threshold,
                     ArenaSpan piece, Visit visit) {
  for (std::int64_t i = piece.begin; i < piece.end;) {
    const PhiloxCounter block = stream.bits(step, static_cast<std::uint64_t>(i / 8));
    for (const std::int64_t end = std::min(piece.end, (i / 8 + 1) * 8); i < end; ++i) {
      const auto j = static_cast<unsigned>(i % 8);
      visit(i, (block[j / 2] >> (16 * (j % 2)) & 0xffff) < threshold);
    }
  }
}

}  // namespace

Mixout::Mixout(const ParameterArena& arena, Tensor theta_old, double p, std::uint64_t seed)
    : stream_(seed, "mixout"),
      threshold_(0),
      old_(std::move(theta_old)),
      aside_(Tensor::empty(arena.values().shape(), arena.dtype())),
      pieces_(pieces_of(spans_of(arena, is_mixed))) {
  if (!(p >= 0 && p < 1)) {
    throw std::invalid_argument(fmt::format("[mixout] probability {} must be in [0, 1)", p));
  }
  threshold_ = static_cast<std::uint32_t>(std::min(65535L, std::lround(p * 65536)));
  if (old_.shape() != aside_.shape() || old_.dtype() != aside_.dtype()) {
    throw std::invalid_argument("[mixout] the old weights are " + old_.shape().text() +
                                ", the model " + aside_.shape().text());
  }
}

void Mixout::mix(const Tensor& theta, std::uint32_t step) {
  if (mixed_) throw std::logic_error("[mixout] the weights are mixed already");
  mixed_ = step;
  if (threshold_ == 0) return;
  const double further = threshold_ / (65536.0 - threshold_);  // p / (1 - p)
  dispatch(theta.dtype(), "mixout", [&]<class T>() {
    T* W = theta.data<T>();
    T* aside = aside_.data<T>();
    const T* W0 = old_.data<T>();
    parallel_for(static_cast<std::int64_t>(pieces_.size()), 1, [&](std::int64_t p, std::int64_t) {
      const ArenaSpan& piece = pieces_[static_cast<std::size_t>(p)];
      std::copy(W + piece.begin, W + piece.end, aside + piece.begin);
      for_each_choice(stream_, step, threshold_, piece, [&](std::int64_t i, bool old) {
        W[i] = old ? W0[i] : W[i] + static_cast<T>(further) * (W[i] - W0[i]);
      });
    });
  });
}

void Mixout::unmix(const Tensor& theta, const Tensor& gradient) {
  if (!mixed_) throw std::logic_error("[mixout] the weights are not mixed");
  const std::uint32_t step = *mixed_;
  mixed_.reset();
  if (threshold_ == 0) return;
  const double scale = 65536.0 / (65536.0 - threshold_);  // 1 / (1 - p)
  dispatch(theta.dtype(), "mixout", [&]<class T>() {
    T* W = theta.data<T>();
    T* g = gradient.data<T>();
    const T* aside = aside_.data<T>();
    parallel_for(static_cast<std::int64_t>(pieces_.size()), 1, [&](std::int64_t p, std::int64_t) {
      const ArenaSpan& piece = pieces_[static_cast<std::size_t>(p)];
      std::copy(aside + piece.begin, aside + piece.end, W + piece.begin);
      for_each_choice(stream_, step, threshold_, piece, [&](std::int64_t i, bool old) {
        g[i] = old ? T{0} : g[i] * static_cast<T>(scale);
      });
    });
  });
}

}  // namespace holdfast
