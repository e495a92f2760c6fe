#include "tensor/kernels/layer_norm.h"

#include "autograd/ops/fused_common.h"
#include "tensor/kernels/on.h"

namespace holdfast {

Var layer_norm(const Var& x, const Var& gamma, const Var& beta, double eps) {
  ops::require_same_type("layer_norm", x.value(), gamma.value());
  ops::require_same_type("layer_norm", x.value(), beta.value());
  if (x.value().rank() < 1 || x.size(-1) < 1) {
    ops::fail("layer_norm",
              "x has shape " + x.shape().text() + ", expected a last axis of at least one element");
  }
  const std::int64_t C = x.size(-1), N = x.value().numel() / C;
  const std::string why = "the last axis of x " + x.shape().text();
  ops::require_shape("layer_norm", "gamma", gamma.value(), {C}, why);
  ops::require_shape("layer_norm", "beta", beta.value(), {C}, why);

  const std::vector<Var> inputs{x, gamma, beta};
  const Tensor x_rows = x.value().contiguous(), g = gamma.value().contiguous(),
               b = beta.value().contiguous();
  const Tensor y = Tensor::empty(x.shape(), x.dtype());
  Tensor xhat, rstd;
  if (ops::tracked(inputs))
    xhat = Tensor::empty({N, C}, x.dtype()), rstd = Tensor::empty({N}, x.dtype());
  const Device on = ops::device_of(x_rows, g, b, y, xhat, rstd);
  dispatch(x.dtype(), "layer_norm", [&]<class T>() {
    kernels::over(on, N, ops::rows_per_chunk(C), [&](std::int64_t begin, std::int64_t end) {
      kernels::on<kernels::LayerNorm<T>>(on).forward(
          x_rows.data<T>(on) + begin * C, g.data<T>(on), b.data<T>(on), eps, end - begin, C,
          xhat.defined() ? xhat.data<T>(on) + begin * C : nullptr,
          rstd.defined() ? rstd.data<T>(on) + begin : nullptr, y.data<T>(on) + begin * C);
    });
  });
  return ops::record(
      "layer_norm", y, inputs, [N, C, g, xhat, rstd](const Tensor& dout, Gradients& gradients) {
        const Tensor dout_rows = dout.reshape({N, C});
        ops::add_norm_gradients(gradients, 1, 2, xhat, dout_rows);
        if (!gradients.wants(0)) return;
        const Tensor dx = Tensor::empty(dout.shape(), dout.dtype());
        const Device there = ops::device_of(dout_rows, g, xhat, rstd, dx);
        dispatch(dout.dtype(), "layer_norm", [&]<class T>() {
          kernels::over(there, N, ops::rows_per_chunk(C),
                        [&](std::int64_t begin, std::int64_t end) {
                          kernels::on<kernels::LayerNorm<T>>(there).backward(
                              dout_rows.data<T>(there) + begin * C, g.data<T>(there),
                              xhat.data<T>(there) + begin * C, rstd.data<T>(there) + begin,
                              end - begin, C, dx.data<T>(there) + begin * C);
                        });
        });
        gradients.add(0, dx);
      });
}

}  // namespace holdfast
