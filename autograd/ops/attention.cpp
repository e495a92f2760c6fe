#include "tensor/kernels/attention.h"

#include <algorithm>
#include <numeric>

#include "autograd/ops/fused_common.h"
#include "tensor/kernels/dispatch.h"

namespace holdfast {
namespace {

using ops::fail;

// One head of one text: the unit of work, computed by one worker.
struct Unit {
  std::int64_t begin, tokens, head;
};

// Longest texts first: workers take units in order, so the last ones are short and all finish
// together.
std::vector<Unit> units_of(const Tensor& offsets, std::int64_t heads) {
  const auto offset = offsets.span<std::int32_t>();
  std::vector<std::size_t> texts(offset.size() - 1);
  std::iota(texts.begin(), texts.end(), std::size_t{0});
  const auto tokens = [&](std::size_t b) { return std::int64_t{offset[b + 1]} - offset[b]; };
  std::ranges::stable_sort(texts, std::ranges::greater{}, tokens);
  std::vector<Unit> units;
  units.reserve(texts.size() * static_cast<std::size_t>(heads));
  for (const std::size_t b : texts) {
    for (std::int64_t h = 0; h < heads; ++h) units.push_back({offset[b], tokens(b), h});
  }
  return units;
}

// What forward saves, and where a unit finds its parts.
struct Saved {
  Tensor qkv, offsets, slots, tokens;  // (N, 3C), (B+1), (N), (N)
  std::int64_t heads;
  DropoutKey dropout;

  std::int64_t channels() const { return qkv.size(1) / 3; }

  template <class T>
  kernels::AttentionHead<T> head(const Unit& unit, const kernels::DropoutMask& mask) const {
    const std::int64_t C = channels(), D = C / heads;
    const T* q = qkv.data<T>() + unit.begin * 3 * C + unit.head * D;
    return {.tokens = unit.tokens,
            .channels = D,
            .q = q,
            .k = q + C,
            .v = q + 2 * C,
            .ld = 3 * C,
            .dropout = dropout.active() ? &mask : nullptr,
            .first_octet = unit.head * 65536 / 8,
            .slots = slots.data<std::int32_t>() + unit.begin,
            .places = tokens.data<std::int32_t>() + unit.begin};
  }

  /// Asks for the memory of a unit's part of x (N, width): its rows lie far apart, where the
  /// processor does not foresee them.
  template <class T>
  void prefetch(const Unit& unit, const Tensor& x, std::int64_t first_channel) const {
    constexpr std::int64_t kLine = 64 / static_cast<std::int64_t>(sizeof(T));
    const std::int64_t D = channels() / heads, width = x.size(1);
    const T* row = x.data<T>() + unit.begin * width + first_channel + unit.head * D;
    for (std::int64_t t = 0; t < unit.tokens; ++t, row += width) {
      for (std::int64_t d = 0; d < D; d += kLine) __builtin_prefetch(row + d, 0, 2);
    }
  }

  /// Calls work(unit, kernel's view of it, scratch memory) for every unit, in parallel, and
  /// fetch(unit) one unit ahead.
  template <class T, class Fetch, class Work>
  void for_each_unit(Fetch&& fetch, Work&& work) const {
    const std::vector<Unit> units = units_of(offsets, heads);
    const kernels::DropoutMask mask = ops::mask_of(dropout);
    const auto& kernel = kernels::best<kernels::Attention<T>>();
    const auto count = static_cast<std::int64_t>(units.size());
    const std::int64_t grain = std::clamp<std::int64_t>(count / 32, 1, heads);
    parallel_for(count, grain, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        const Unit& unit = units[static_cast<std::size_t>(i)];
        if (i + 1 < end) fetch(units[static_cast<std::size_t>(i + 1)]);
        const auto view = head<T>(unit, mask);
        const Tensor scratch =
            Tensor::empty({kernel.scratch(view.tokens, view.channels)}, dtype_of<T>());
        work(unit, view, scratch.data<T>());
      }
    });
  }
};

template <class T>
void forward(const Saved& saved, const Tensor& y, const Tensor& lse) {
  const std::int64_t C = saved.channels(), H = saved.heads;
  const auto fetch = [&](const Unit& unit) {
    for (const std::int64_t part : {0, 1, 2}) saved.prefetch<T>(unit, saved.qkv, part * C);
  };
  saved.for_each_unit<T>(
      fetch, [&](const Unit& unit, const kernels::AttentionHead<T>& head, T* scratch) {
        kernels::best<kernels::Attention<T>>().forward(
            head, y.data<T>() + unit.begin * C + unit.head * head.channels, C,
            lse.defined() ? lse.data<T>() + unit.begin * H + unit.head : nullptr, H, scratch);
      });
}

template <class T>
void backward(const Saved& saved, const Tensor& y, const Tensor& lse, const Tensor& dout,
              const Tensor& dqkv) {
  const std::int64_t C = saved.channels(), H = saved.heads;
  const auto fetch = [&](const Unit& unit) {
    for (const std::int64_t part : {0, 1, 2}) saved.prefetch<T>(unit, saved.qkv, part * C);
    saved.prefetch<T>(unit, y, 0);
    saved.prefetch<T>(unit, dout, 0);
  };
  saved.for_each_unit<T>(
      fetch, [&](const Unit& unit, const kernels::AttentionHead<T>& head, T* scratch) {
        const std::int64_t place = unit.begin * C + unit.head * head.channels;
        T* dq = dqkv.data<T>() + unit.begin * 3 * C + unit.head * head.channels;
        kernels::best<kernels::Attention<T>>().backward(
            head, y.data<T>() + place, dout.data<T>() + place, C,
            lse.data<T>() + unit.begin * H + unit.head, H, dq, dq + C, dq + 2 * C, scratch);
      });
}

void check(const Tensor& qkv, std::int64_t heads, const Packing& packing) {
  ops::require_float("attention", qkv);
  if (qkv.rank() != 2 || heads < 1 || qkv.size(1) == 0 || qkv.size(1) % (3 * heads) != 0) {
    fail("attention", "qkv has shape " + qkv.shape().text() +
                          ", expected (N,3C) with C a multiple of " + std::to_string(heads) +
                          " heads");
  }
  ops::require_packing("attention", packing, qkv.size(0));
  const auto offset = packing.offsets.contiguous().span<std::int32_t>();
  for (std::size_t b = 1; b < offset.size(); ++b) {
    if (offset[b] - offset[b - 1] <= 65536) continue;
    fail("attention", "text " + std::to_string(b - 1) +
                          " has more than 65536 tokens, the channels of a head's mask");
  }
}

}  // namespace

Var attention(const Var& qkv, std::int64_t heads, const Packing& packing,
              const DropoutKey& dropout) {
  check(qkv.value(), heads, packing);
  const Saved saved{.qkv = qkv.value().contiguous(),
                    .offsets = packing.offsets.contiguous(),
                    .slots = packing.slots.contiguous(),
                    .tokens = packing.tokens.contiguous(),
                    .heads = heads,
                    .dropout = dropout};
  const std::int64_t N = qkv.size(0);
  const Tensor y = Tensor::empty({N, saved.channels()}, qkv.dtype());
  const Tensor lse = ops::tracked({qkv}) ? Tensor::empty({N, heads}, qkv.dtype()) : Tensor();
  dispatch(qkv.dtype(), "attention", [&]<class T>() { forward<T>(saved, y, lse); });
  return ops::record("attention", y, {qkv},
                     [saved, y, lse](const Tensor& dout, Gradients& gradients) {
                       const Tensor dqkv = Tensor::empty(saved.qkv.shape(), dout.dtype());
                       dispatch(dout.dtype(), "attention",
                                [&]<class T>() { backward<T>(saved, y, lse, dout, dqkv); });
                       gradients.add(0, dqkv);
                     });
}

}  // namespace holdfast
