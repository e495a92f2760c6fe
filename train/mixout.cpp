#include "train/mixout.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "autograd/ops/op.h"
#include "base/parallel.h"
#include "tensor/kernels/dispatch.h"
#include "tensor/kernels/dropout.h"
#include "train/device_update.h"

namespace holdfast {
namespace {

bool is_mixed(const NamedSlice& slice, std::string_view shared_head) {
  return slice.decay && slice.layer > 0 && (slice.task.empty() || slice.task == shared_head);
}

kernels::DropoutMask mask_of(const DropoutKey& key) {
  return {{key.key[0], key.key[1]}, key.step, key.threshold, key.scale()};
}

}  // namespace

Mixout::Mixout(const ParameterArena& arena, Tensor theta_old, double p, std::uint64_t seed,
               std::string_view shared_head, std::span<const ArenaSpan> fresh)
    : key_{.key = RandomStream(seed, "mixout").key()},
      old_(std::move(theta_old)),
      aside_(Tensor::empty(arena.values().shape(), arena.dtype())) {
  if (!(p >= 0 && p < 1)) {
    throw std::invalid_argument(fmt::format("[mixout] probability {} must be in [0, 1)", p));
  }
  key_.threshold = static_cast<std::uint32_t>(std::min(65535L, std::lround(p * 65536)));
  if (old_.shape() != aside_.shape() || old_.dtype() != aside_.dtype()) {
    throw std::invalid_argument("[mixout] the old weights are " + old_.shape().text() +
                                ", the model " + aside_.shape().text());
  }
  if (!key_.active()) return;
  const std::vector<NamedSlice>& slices = arena.slices();
  for (std::size_t s = 0; s < slices.size(); ++s) {
    if (!is_mixed(slices[s], shared_head)) continue;
    const ArenaSpan whole{slices[s].offset, slices[s].offset + slices[s].size};
    const std::vector<ArenaSpan> out = intersection({&whole, 1}, fresh);  // the rows at its end
    const std::int64_t C = slices[s].size / slices[s].shape[0];
    const std::int64_t rows = ((out.empty() ? whole.end : out.front().begin) - whole.begin) / C;
    const std::int64_t height = std::max<std::int64_t>(1, kPiece / C);
    for (std::int64_t r = 0; r < rows; r += height) {
      rows_.push_back(
          {slices[s].offset + r * C, std::min(height, rows - r), C, static_cast<std::int32_t>(s)});
    }
  }
}

template <class Body>
void Mixout::for_each_rows(const Body& body) const {
  parallel_for(static_cast<std::int64_t>(rows_.size()), 1, [&](std::int64_t i, std::int64_t) {
    const Rows& rows = rows_[static_cast<std::size_t>(i)];
    const std::vector<std::int32_t> slots(static_cast<std::size_t>(rows.rows), rows.slot);
    const std::vector<std::int32_t> tokens(slots.size(), 0);  // all rows alike
    body(rows, slots.data(), tokens.data());
  });
}

void Mixout::mix(const Tensor& theta, std::uint32_t step) {
  if (mixed_) throw std::logic_error("[mixout] the weights are mixed already");
  mixed_ = true;
  key_.step = step;
  if (const Device on = ops::device_of(theta, old_, aside_); on.is_cuda())
    return mix_on(on, mask_of(key_), rows_, old_, theta, aside_);
  dispatch(theta.dtype(), "mixout", [&]<class T>() {
    const auto& kernel = kernels::best<kernels::Dropout<T>>();
    for_each_rows([&](const Rows& rows, const std::int32_t* slots, const std::int32_t* tokens) {
      const std::int64_t n = rows.rows * rows.C;
      T* W = theta.data<T>() + rows.begin;
      const T* W0 = old_.data<T>() + rows.begin;
      std::copy(W, W + n, aside_.data<T>() + rows.begin);
      for (std::int64_t i = 0; i < n; ++i) W[i] -= W0[i];
      kernel.apply(mask_of(key_), slots, tokens, W, W0, rows.rows, rows.C, W);
    });
  });
}

void Mixout::unmix(const Tensor& theta, const Tensor& gradient) {
  if (!mixed_) throw std::logic_error("[mixout] the weights are not mixed");
  mixed_ = false;
  if (const Device on = ops::device_of(theta, gradient, aside_); on.is_cuda())
    return unmix_on(on, mask_of(key_), rows_, aside_, theta, gradient);
  dispatch(theta.dtype(), "mixout", [&]<class T>() {
    const auto& kernel = kernels::best<kernels::Dropout<T>>();
    for_each_rows([&](const Rows& rows, const std::int32_t* slots, const std::int32_t* tokens) {
      const T* aside = aside_.data<T>() + rows.begin;
      std::copy(aside, aside + rows.rows * rows.C, theta.data<T>() + rows.begin);
      T* g = gradient.data<T>() + rows.begin;
      kernel.apply(mask_of(key_), slots, tokens, g, nullptr, rows.rows, rows.C, g);
    });
  });
}

}  // namespace holdfast
