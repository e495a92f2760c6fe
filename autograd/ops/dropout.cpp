#include "autograd/ops/fused_common.h"
#include "tensor/kernels/on.h"

namespace holdfast {
namespace {

Tensor dropped(const Tensor& x, const DropoutKey& key, const Tensor& slots, const Tensor& tokens) {
  const Tensor y = Tensor::empty(x.shape(), x.dtype());
  const std::int64_t N = x.size(0), C = x.size(1);
  const Device on = ops::device_of(x, y, slots, tokens);
  dispatch(x.dtype(), "dropout", [&]<class T>() {
    kernels::over(on, N, ops::rows_per_chunk(C), [&](std::int64_t begin, std::int64_t end) {
      ops::dropout_rows<T>(on, key, slots, tokens, x.data<T>(on), nullptr, begin, end, C,
                           y.data<T>(on));
    });
  });
  return y;
}

}  // namespace

// forward: y = x * factor; so dx = dout * factor. The factors are computed anew: Philox costs less
// than memory traffic.
Var dropout(const Var& x, const DropoutKey& key, const Tensor& slots, const Tensor& tokens) {
  ops::require_float("dropout", x.value());
  if (x.value().rank() != 2)
    ops::fail("dropout", "x has shape " + x.shape().text() + ", expected (N,C)");
  ops::require_places("dropout", "slots", slots, x.size(0));
  ops::require_places("dropout", "tokens", tokens, x.size(0));
  if (!key.active()) return x;
  const Tensor s = slots.contiguous(), t = tokens.contiguous();
  return ops::record("dropout", dropped(x.value().contiguous(), key, s, t), {x},
                     [key, s, t](const Tensor& dout, Gradients& gradients) {
                       gradients.add(0, dropped(dout, key, s, t));
                     });
}

}  // namespace holdfast
