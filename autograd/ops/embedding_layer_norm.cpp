#include "autograd/ops/fused_common.h"
#include "tensor/kernels/embedding_sum.h"
#include "tensor/kernels/layer_norm.h"
#include "tensor/kernels/on.h"

namespace holdfast {
namespace {

constexpr std::string_view kName = "embedding_layer_norm";

struct Saved {
  Tensor ids, pos, type_ids;      // (N)
  Shape words, positions, types;  // of the tables
  Tensor gamma, xhat, rstd;       // (C), (N, C), (N)
  Tensor slots, tokens;           // (N)
  DropoutKey dropout;
};

struct Tables {
  Tensor words, positions, types;  // (V, C), (P, C), (Y, C)
};

// Chunk by chunk, rows in cache: the sum of three look-ups goes to y and is normalised and dropped
// there.
template <class T>
void forward(const Saved& saved, const Tables& tables, const Tensor& beta, double eps,
             const Tensor& y) {
  const std::int64_t N = y.size(0), C = y.size(1);
  const bool keep = saved.xhat.defined();
  const Device on = ops::device_of(tables.words, tables.positions, tables.types, beta, y, saved.ids,
                                   saved.pos, saved.type_ids, saved.gamma, saved.xhat, saved.rstd,
                                   saved.slots, saved.tokens);
  kernels::over(on, N, ops::rows_per_chunk(C), [&](std::int64_t begin, std::int64_t end) {
    T* rows = y.data<T>(on) + begin * C;
    kernels::on<kernels::EmbeddingSum<T>>(on).forward(
        tables.words.data<T>(on), tables.positions.data<T>(on), tables.types.data<T>(on),
        saved.ids.data<std::int32_t>(on) + begin, saved.pos.data<std::int32_t>(on) + begin,
        saved.type_ids.data<std::int32_t>(on) + begin, end - begin, C, rows);
    kernels::on<kernels::LayerNorm<T>>(on).forward(
        rows, saved.gamma.data<T>(on), beta.data<T>(on), eps, end - begin, C,
        keep ? saved.xhat.data<T>(on) + begin * C : nullptr,
        keep ? saved.rstd.data<T>(on) + begin : nullptr, rows);
    if (saved.dropout.active()) {
      ops::dropout_rows<T>(on, saved.dropout, saved.slots, saved.tokens, y.data<T>(on), nullptr,
                           begin, end, C, y.data<T>(on));
    }
  });
}

// forward: y = (gamma xhat + beta) * factor; so dnorm = dout * factor and dsum = LN'(dnorm). dsum
// is undefined when no table wants a gradient.
template <class T>
void backward(const Saved& saved, const Tensor& dout, const Tensor& dnorm, const Tensor& dsum) {
  const std::int64_t N = dout.size(0), C = dout.size(1);
  const Device on = ops::device_of(dout, dnorm, dsum, saved.gamma, saved.xhat, saved.rstd,
                                   saved.slots, saved.tokens);
  kernels::over(on, N, ops::rows_per_chunk(C), [&](std::int64_t begin, std::int64_t end) {
    if (saved.dropout.active()) {
      ops::dropout_rows<T>(on, saved.dropout, saved.slots, saved.tokens, dout.data<T>(on), nullptr,
                           begin, end, C, dnorm.data<T>(on));
    }
    if (!dsum.defined()) return;
    kernels::on<kernels::LayerNorm<T>>(on).backward(
        dnorm.data<T>(on) + begin * C, saved.gamma.data<T>(on), saved.xhat.data<T>(on) + begin * C,
        saved.rstd.data<T>(on) + begin, end - begin, C, dsum.data<T>(on) + begin * C);
  });
}

void check(const std::vector<Var>& inputs, const Saved& saved, const Packing& packing) {
  const Tensor& words = inputs[0].value();
  for (const Var& other : inputs) ops::require_same_type(kName, words, other.value());
  if (words.rank() != 2 || words.size(1) < 1) {
    ops::fail(kName, "words has shape " + words.shape().text() + ", expected (V,C)");
  }
  const std::int64_t C = words.size(1);
  const std::string why = "words has shape " + words.shape().text();
  for (const std::size_t i : {std::size_t{1}, std::size_t{2}}) {
    const Tensor& table = inputs[i].value();
    if (table.rank() == 2 && table.size(1) == C) continue;
    ops::fail(kName, std::string(i == 1 ? "positions" : "types") + " has shape " +
                         table.shape().text() + ", expected rows of " + std::to_string(C) + ": " +
                         why);
  }
  ops::require_shape(kName, "gamma", inputs[3].value(), {C}, why);
  ops::require_shape(kName, "beta", inputs[4].value(), {C}, why);
  ops::require_rows(kName, "ids (words)", saved.ids, words.size(0));
  const std::int64_t N = saved.ids.numel();
  ops::require_places(kName, "pos", saved.pos, N);
  ops::require_places(kName, "type_ids", saved.type_ids, N);
  ops::require_rows(kName, "pos (positions)", saved.pos, inputs[1].size(0));
  ops::require_rows(kName, "type_ids (types)", saved.type_ids, inputs[2].size(0));
  ops::require_places(kName, "slots", packing.slots, N);
  ops::require_places(kName, "tokens", packing.tokens, N);
}

}  // namespace

Var embedding_layer_norm(const Var& words, const Var& positions, const Var& types,
                         const Tensor& ids, const Tensor& pos, const Tensor& type_ids,
                         const Var& gamma, const Var& beta, double eps, const DropoutKey& dropout,
                         const Packing& packing) {
  const std::vector<Var> inputs{words, positions, types, gamma, beta};
  Saved saved{.ids = ids,
              .pos = pos,
              .type_ids = type_ids,
              .words = words.shape(),
              .positions = positions.shape(),
              .types = types.shape(),
              .gamma = gamma.value(),
              .xhat = {},
              .rstd = {},
              .slots = packing.slots,
              .tokens = packing.tokens,
              .dropout = dropout};
  check(inputs, saved, packing);
  for (Tensor* tensor :
       {&saved.ids, &saved.pos, &saved.type_ids, &saved.gamma, &saved.slots, &saved.tokens}) {
    *tensor = tensor->contiguous();
  }
  const std::int64_t N = ids.numel(), C = words.size(1);
  if (ops::tracked(inputs)) {
    saved.xhat = Tensor::empty({N, C}, words.dtype());
    saved.rstd = Tensor::empty({N}, words.dtype());
  }
  const Tensor y = Tensor::empty({N, C}, words.dtype());
  const Tables tables{words.value().contiguous(), positions.value().contiguous(),
                      types.value().contiguous()};
  dispatch(words.dtype(), kName,
           [&]<class T>() { forward<T>(saved, tables, beta.value().contiguous(), eps, y); });
  return ops::record(kName, y, inputs, [saved](const Tensor& dout, Gradients& gradients) {
    const Tensor dnorm = saved.dropout.active() ? Tensor::empty(dout.shape(), dout.dtype()) : dout;
    const bool looked_up = gradients.wants(0) || gradients.wants(1) || gradients.wants(2);
    const Tensor dsum = looked_up ? Tensor::empty(dout.shape(), dout.dtype()) : Tensor();
    dispatch(dout.dtype(), kName, [&]<class T>() { backward<T>(saved, dout, dnorm, dsum); });
    ops::add_norm_gradients(gradients, 3, 4, saved.xhat, dnorm);
    ops::add_embedding_gradient(gradients, 0, saved.words, saved.ids, dsum);
    ops::add_embedding_gradient(gradients, 1, saved.positions, saved.pos, dsum);
    ops::add_embedding_gradient(gradients, 2, saved.types, saved.type_ids, dsum);
  });
}

}  // namespace holdfast
