#include "tensor/kernels/attention.h"

#include <algorithm>
#include <numeric>

#include "autograd/ops/fused_common.h"
#include "autograd/ops/product.h"
#include "tensor/cuda/runtime.h"
#include "tensor/kernels/dispatch.h"

namespace holdfast {
namespace {

using ops::fail;

// Rows [begin, begin + count) of a matrix.
struct Rows {
  std::int64_t begin, count;
};

// One head of one text: the unit of work, computed by one worker.
struct Unit {
  Rows queries, tokens;
  std::int64_t head;
};

// Longest texts first: workers take units in order, so the last ones are short and all finish
// together.
std::vector<Unit> units_of(const Packing& queries, const Packing& packing, std::int64_t heads) {
  const auto rows = [](const Packing& of, std::size_t b) {
    const auto offset = of.offsets.read<std::int32_t>();
    return Rows{offset[b], std::int64_t{offset[b + 1]} - offset[b]};
  };
  std::vector<std::size_t> texts(static_cast<std::size_t>(packing.texts()));
  std::iota(texts.begin(), texts.end(), std::size_t{0});
  std::ranges::stable_sort(texts, std::ranges::greater{},
                           [&](std::size_t b) { return rows(packing, b).count; });
  std::vector<Unit> units;
  units.reserve(texts.size() * static_cast<std::size_t>(heads));
  for (const std::size_t b : texts) {
    for (std::int64_t h = 0; h < heads; ++h)
      units.push_back({rows(queries, b), rows(packing, b), h});
  }
  return units;
}

// Queries (M, C), keys and values (N, 2C), or their gradients: rows may lie apart, as those of a
// slice do.
struct Operands {
  Tensor q, kv;

  static Operands of_qkv(const Tensor& qkv) {
    const std::int64_t C = qkv.size(1) / 3;
    return {qkv.slice(1, 0, C), qkv.slice(1, C, 3 * C)};
  }
};

template <class T>
T* row_of(const Tensor& x, std::int64_t row) {
  return x.data<T>() + row * x.stride(0);
}

// What forward saves, and where a unit finds its parts.
struct Saved {
  Operands in;
  Packing queries, packing;  // of the rows of q, of the rows of kv
  std::int64_t heads;
  DropoutKey dropout;
  bool bf16;          // products on a GPU, forward and backward
  Tensor y{}, lse{};  // (M, C), (M, H); lse only when there will be a backward pass

  std::int64_t channels() const { return in.q.size(1); }
  /// Where it is computed: on the GPU that has all of it, if its heads fit there.
  template <class T>
  Device device() const {
    if (!cuda::attention_fits(channels() / heads, sizeof(T))) return {};
    return ops::device_of(in.q, in.kv, y, lse, queries.offsets, queries.slots, queries.tokens,
                          packing.offsets);
  }
  std::int64_t first_channel(const Unit& unit) const { return unit.head * (channels() / heads); }

  template <class T>
  kernels::AttentionHead<T> head(const Unit& unit, const kernels::DropoutMask& mask) const {
    const std::int64_t first = first_channel(unit);
    const T* k = row_of<T>(in.kv, unit.tokens.begin) + first;
    return {.queries = unit.queries.count,
            .tokens = unit.tokens.count,
            .channels = channels() / heads,
            .q = row_of<T>(in.q, unit.queries.begin) + first,
            .k = k,
            .v = k + channels(),
            .ld_q = in.q.stride(0),
            .ld = in.kv.stride(0),
            .dropout = dropout.active() ? &mask : nullptr,
            .first_octet = unit.head * 65536 / 8,
            .slots = queries.slots.data<std::int32_t>() + unit.queries.begin,
            .places = queries.tokens.data<std::int32_t>() + unit.queries.begin};
  }

  /// Asks for the memory of a head's channels of x, from `channel` on: its rows lie far apart,
  /// where the processor does not foresee them.
  template <class T>
  void prefetch(const Rows& rows, const Tensor& x, std::int64_t channel) const {
    constexpr std::int64_t kLine = 64 / static_cast<std::int64_t>(sizeof(T));
    const std::int64_t D = channels() / heads;
    const T* row = row_of<T>(x, rows.begin) + channel;
    for (std::int64_t t = 0; t < rows.count; ++t, row += x.stride(0)) {
      for (std::int64_t d = 0; d < D; d += kLine) __builtin_prefetch(row + d, 0, 2);
    }
  }

  template <class T>
  void prefetch_operands(const Unit& unit) const {
    const std::int64_t first = first_channel(unit);
    prefetch<T>(unit.queries, in.q, first);
    for (const std::int64_t part : {first, channels() + first})
      prefetch<T>(unit.tokens, in.kv, part);
  }

  /// Calls work(unit, kernel's view of it, scratch memory) for every unit, in parallel, and
  /// fetch(unit) one unit ahead.
  template <class T, class Fetch, class Work>
  void for_each_unit(Fetch&& fetch, Work&& work) const {
    const std::vector<Unit> units = units_of(queries, packing, heads);
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
            Tensor::empty({kernel.scratch(view.queries, view.tokens, view.channels)},
                          dtype_of<T>(), Device());
        work(unit, view, scratch.data<T>());
      }
    });
  }
};

template <class T>
void forward(const Saved& saved) {
  const Tensor &y = saved.y, &lse = saved.lse;
  saved.for_each_unit<T>(
      [&](const Unit& unit) { saved.prefetch_operands<T>(unit); },
      [&](const Unit& unit, const kernels::AttentionHead<T>& head, T* scratch) {
        kernels::best<kernels::Attention<T>>().forward(
            head, row_of<T>(y, unit.queries.begin) + saved.first_channel(unit), saved.channels(),
            lse.defined() ? row_of<T>(lse, unit.queries.begin) + unit.head : nullptr, saved.heads,
            scratch);
      });
}

template <class T>
void backward(const Saved& saved, const Tensor& dout, const Operands& gradient) {
  const auto fetch = [&](const Unit& unit) {
    saved.prefetch_operands<T>(unit);
    for (const Tensor* x : {&saved.y, &dout})
      saved.prefetch<T>(unit.queries, *x, saved.first_channel(unit));
  };
  saved.for_each_unit<T>(
      fetch, [&](const Unit& unit, const kernels::AttentionHead<T>& head, T* scratch) {
        const std::int64_t row = unit.queries.begin, first = saved.first_channel(unit);
        T* dk = row_of<T>(gradient.kv, unit.tokens.begin) + first;
        kernels::best<kernels::Attention<T>>().backward(
            head, row_of<T>(saved.y, row) + first, row_of<T>(dout, row) + first, saved.channels(),
            row_of<T>(saved.lse, row) + unit.head, saved.heads, row_of<T>(gradient.q, row) + first,
            dk, dk + saved.channels(), scratch);
      });
}

std::int64_t longest(const Packing& packing) {
  const auto offset = packing.offsets.read<std::int32_t>();
  std::int64_t most = 0;
  for (std::size_t b = 1; b < offset.size(); ++b)
    most = std::max<std::int64_t>(most, offset[b] - offset[b - 1]);
  return most;
}

template <class T>
cuda::AttentionBatch<T> batch_of(Device on, const Saved& saved) {
  const std::int64_t C = saved.channels();
  const T* k = saved.in.kv.data<T>(on);
  return {.texts = saved.packing.texts(),
          .heads = saved.heads,
          .channels = C / saved.heads,
          .rows = saved.in.q.size(0),
          .most_queries = longest(saved.queries),
          .most_tokens = longest(saved.packing),
          .query_offsets = saved.queries.offsets.data<std::int32_t>(on),
          .offsets = saved.packing.offsets.data<std::int32_t>(on),
          .q = saved.in.q.data<T>(on),
          .k = k,
          .v = k + C,
          .ld_q = saved.in.q.stride(0),
          .ld = saved.in.kv.stride(0),
          .dropout = ops::mask_of(saved.dropout),
          .slots = saved.queries.slots.data<std::int32_t>(on),
          .places = saved.queries.tokens.data<std::int32_t>(on),
          .ld_out = C,
          .lse = saved.lse.defined() ? saved.lse.data<T>(on) : nullptr,
          .bf16 = saved.bf16};
}

template <class T>
void forward_on(Device on, const Saved& saved) {
  cuda::table<cuda::AttentionOfBatch<T>>(on.cuda).forward(batch_of<T>(on, saved),
                                                          saved.y.data<T>(on));
}

template <class T>
void backward_on(Device on, const Saved& saved, const Tensor& dout, const Operands& gradient) {
  const Tensor delta = Tensor::empty(saved.lse.shape(), saved.lse.dtype(), on);
  T* dk = gradient.kv.data<T>(on);
  cuda::table<cuda::AttentionOfBatch<T>>(on.cuda).backward(
      batch_of<T>(on, saved), saved.y.data<T>(on), dout.data<T>(on), delta.data<T>(on),
      gradient.q.data<T>(on), dk, dk + saved.channels());
}

void check_texts(const Packing& packing, std::int64_t rows) {
  ops::require_packing("attention", packing, rows);
  const auto offset = packing.offsets.contiguous().read<std::int32_t>();
  for (std::size_t b = 1; b < offset.size(); ++b) {
    if (offset[b] - offset[b - 1] <= 65536) continue;
    fail("attention", "text " + std::to_string(b - 1) +
                          " has more than 65536 tokens, the channels of a head's mask");
  }
}

void check_heads(std::string_view what, const Tensor& x, std::int64_t parts, std::int64_t heads) {
  ops::require_float("attention", x);
  if (x.rank() == 2 && heads >= 1 && x.size(1) > 0 && x.size(1) % (parts * heads) == 0) return;
  fail("attention", std::string(what) + " has shape " + x.shape().text() + ", expected (" +
                        (parts == 3 ? "N,3C" : "M,C") + ") with C a multiple of " +
                        std::to_string(heads) + " heads");
}

Packing dense(const Packing& packing) {
  return {packing.offsets.contiguous(), packing.slots.contiguous(), packing.tokens.contiguous()};
}

// The result is in y of what is returned.
Saved attend(const Operands& in, std::int64_t heads, const Packing& queries, const Packing& packing,
             const DropoutKey& dropout, bool track) {
  Saved saved{.in = in,
              .queries = dense(queries),
              .packing = dense(packing),
              .heads = heads,
              .dropout = dropout,
              .bf16 = ops::bf16_products()};
  const std::int64_t M = in.q.size(0);
  saved.y = Tensor::empty(in.q.shape(), in.q.dtype());
  if (track) saved.lse = Tensor::empty({M, heads}, in.q.dtype());
  dispatch(in.q.dtype(), "attention", [&]<class T>() {
    const Device on = saved.device<T>();
    on.is_cuda() ? forward_on<T>(on, saved) : forward<T>(saved);
  });
  return saved;
}

void differentiate(const Saved& saved, const Tensor& dout, const Operands& gradient) {
  dispatch(dout.dtype(), "attention", [&]<class T>() {
    const Device on = saved.device<T>();
    on.is_cuda() && ops::device_of(saved.y, dout, gradient.q, gradient.kv) == on
        ? backward_on<T>(on, saved, dout, gradient)
        : backward<T>(saved, dout, gradient);
  });
}

}  // namespace

Var attention(const Var& qkv, std::int64_t heads, const Packing& packing,
              const DropoutKey& dropout) {
  check_heads("qkv", qkv.value(), 3, heads);
  check_texts(packing, qkv.size(0));
  const Saved saved = attend(Operands::of_qkv(qkv.value().contiguous()), heads, packing, packing,
                             dropout, ops::tracked({qkv}));
  return ops::record("attention", saved.y, {qkv},
                     [saved, shape = qkv.shape()](const Tensor& dout, Gradients& gradients) {
                       const Tensor dqkv = Tensor::empty(shape, dout.dtype());
                       differentiate(saved, dout, Operands::of_qkv(dqkv));
                       gradients.add(0, dqkv);
                     });
}

Var attention(const Var& q, const Var& kv, std::int64_t heads, const Packing& queries,
              const Packing& packing, const DropoutKey& dropout) {
  check_heads("q", q.value(), 1, heads);
  ops::require_same_type("attention", q.value(), kv.value());
  ops::require_shape("attention", "kv", kv.value(), {packing.rows(), 2 * q.size(1)},
                     "keys and values of every token, q has shape " + q.shape().text());
  check_texts(packing, kv.size(0));
  ops::require_packing("attention", queries, q.size(0));
  if (queries.texts() != packing.texts()) {
    fail("attention", "the queries are of " + std::to_string(queries.texts()) +
                          " texts, keys and values of " + std::to_string(packing.texts()));
  }
  const Saved saved = attend({q.value().contiguous(), kv.value().contiguous()}, heads, queries,
                             packing, dropout, ops::tracked({q, kv}));
  return ops::record("attention", saved.y, {q, kv},
                     [saved](const Tensor& dout, Gradients& gradients) {
                       const Operands gradient{Tensor::empty(saved.in.q.shape(), dout.dtype()),
                                               Tensor::empty(saved.in.kv.shape(), dout.dtype())};
                       differentiate(saved, dout, gradient);
                       gradients.add(0, gradient.q);
                       gradients.add(1, gradient.kv);
                     });
}

}  // namespace holdfast
