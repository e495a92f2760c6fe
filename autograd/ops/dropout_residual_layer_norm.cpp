#include "autograd/ops/fused_common.h"
#include "tensor/cuda/runtime.h"
#include "tensor/kernels/dispatch.h"
#include "tensor/kernels/layer_norm.h"

namespace holdfast {
namespace {

constexpr std::string_view kName = "dropout_residual_layer_norm";

struct Saved {
  Tensor gamma, xhat, rstd;  // (C), (N, C), (N)
  Tensor slots, tokens;      // (N)
  DropoutKey dropout;
};

// Rows are in cache from the sum to the end: chunk by chunk, sum = residual + dropout(x) goes to y,
// then is normalised there.
template <class T>
void forward(const Saved& saved, const Tensor& x, const Tensor& residual, const Tensor& beta,
             double eps, const Tensor& y) {
  const std::int64_t N = x.size(0), C = x.size(1);
  const bool keep = saved.xhat.defined();
  const Device on = ops::device_of(x, residual, beta, y, saved.gamma, saved.xhat, saved.rstd,
                                   saved.slots, saved.tokens);
  if (on.is_cuda()) {
    return cuda::table<cuda::DropoutNorm<T>>(on.cuda).forward(
        ops::mask_of(saved.dropout), saved.slots.data<std::int32_t>(on),
        saved.tokens.data<std::int32_t>(on), x.data<T>(on), residual.data<T>(on),
        saved.gamma.data<T>(on), beta.data<T>(on), eps, N, C,
        keep ? saved.xhat.data<T>(on) : nullptr, keep ? saved.rstd.data<T>(on) : nullptr,
        y.data<T>(on));
  }
  parallel_for(N, ops::rows_per_chunk(C), [&](std::int64_t begin, std::int64_t end) {
    ops::dropout_rows<T>(on, saved.dropout, saved.slots, saved.tokens, x.data<T>(),
                         residual.data<T>(), begin, end, C, y.data<T>());
    T* rows = y.data<T>() + begin * C;
    kernels::best<kernels::LayerNorm<T>>().forward(
        rows, saved.gamma.data<T>(), beta.data<T>(), eps, end - begin, C,
        keep ? saved.xhat.data<T>() + begin * C : nullptr,
        keep ? saved.rstd.data<T>() + begin : nullptr, rows);
  });
}

// dresidual = LN'(dout); dx = dresidual * factor. dx may be undefined.
template <class T>
void backward(const Saved& saved, const Tensor& dout, const Tensor& dresidual, const Tensor& dx) {
  const std::int64_t N = dout.size(0), C = dout.size(1);
  const Device on = ops::device_of(dout, dresidual, dx, saved.gamma, saved.xhat, saved.rstd,
                                   saved.slots, saved.tokens);
  if (on.is_cuda()) {
    return cuda::table<cuda::DropoutNorm<T>>(on.cuda).backward(
        ops::mask_of(saved.dropout), saved.slots.data<std::int32_t>(on),
        saved.tokens.data<std::int32_t>(on), dout.data<T>(on), saved.gamma.data<T>(on),
        saved.xhat.data<T>(on), saved.rstd.data<T>(on), N, C, dresidual.data<T>(on),
        dx.defined() ? dx.data<T>(on) : nullptr);
  }
  parallel_for(N, ops::rows_per_chunk(C), [&](std::int64_t begin, std::int64_t end) {
    kernels::best<kernels::LayerNorm<T>>().backward(
        dout.data<T>() + begin * C, saved.gamma.data<T>(), saved.xhat.data<T>() + begin * C,
        saved.rstd.data<T>() + begin, end - begin, C, dresidual.data<T>() + begin * C);
    if (dx.defined()) {
      ops::dropout_rows<T>(on, saved.dropout, saved.slots, saved.tokens, dresidual.data<T>(),
                           nullptr, begin, end, C, dx.data<T>());
    }
  });
}

void check(const Tensor& x, const Tensor& residual, const Tensor& gamma, const Tensor& beta,
           const Packing& packing) {
  for (const Tensor* other : {&residual, &gamma, &beta}) ops::require_same_type(kName, x, *other);
  if (x.rank() != 2 || x.size(1) < 1)
    ops::fail(kName, "x has shape " + x.shape().text() + ", expected (N,C)");
  const std::string why = "x has shape " + x.shape().text();
  ops::require_shape(kName, "residual", residual, x.shape(), why);
  ops::require_shape(kName, "gamma", gamma, {x.size(1)}, why);
  ops::require_shape(kName, "beta", beta, {x.size(1)}, why);
  ops::require_places(kName, "slots", packing.slots, x.size(0));
  ops::require_places(kName, "tokens", packing.tokens, x.size(0));
}

}  // namespace

Var dropout_residual_layer_norm(const Var& x, const Var& residual, const Var& gamma,
                                const Var& beta, double eps, const DropoutKey& dropout,
                                const Packing& packing) {
  check(x.value(), residual.value(), gamma.value(), beta.value(), packing);
  const std::vector<Var> inputs{x, residual, gamma, beta};
  Saved saved{.gamma = gamma.value().contiguous(),
              .xhat = {},
              .rstd = {},
              .slots = packing.slots.contiguous(),
              .tokens = packing.tokens.contiguous(),
              .dropout = dropout};
  if (ops::tracked(inputs)) {
    saved.xhat = Tensor::empty(x.shape(), x.dtype());
    saved.rstd = Tensor::empty({x.size(0)}, x.dtype());
  }
  const Tensor y = Tensor::empty(x.shape(), x.dtype());
  dispatch(x.dtype(), kName, [&]<class T>() {
    forward<T>(saved, x.value().contiguous(), residual.value().contiguous(),
               beta.value().contiguous(), eps, y);
  });
  return ops::record(kName, y, inputs, [saved](const Tensor& dout, Gradients& gradients) {
    ops::add_norm_gradients(gradients, 2, 3, saved.xhat, dout);
    if (!gradients.wants(0) && !gradients.wants(1)) return;
    const Tensor dresidual = Tensor::empty(dout.shape(), dout.dtype());
    const bool masked = gradients.wants(0) && saved.dropout.active();
    const Tensor dx = masked ? Tensor::empty(dout.shape(), dout.dtype()) : Tensor();
    dispatch(dout.dtype(), kName, [&]<class T>() { backward<T>(saved, dout, dresidual, dx); });
    gradients.add(0, masked ? dx : dresidual);
    gradients.add(1, dresidual);
  });
}

}  // namespace holdfast
