#include "autograd/ops/fused_common.h"

#include <algorithm>

#include "autograd/ops/sums.h"
#include "tensor/kernels/on.h"

namespace holdfast::ops {

bool tracked(const std::vector<Var>& inputs) {
  return recording() && std::ranges::any_of(inputs, &Var::requires_grad);
}

void require_shape(std::string_view op, std::string_view what, const Tensor& x,
                   const Shape& expected, std::string_view why) {
  if (!x.defined()) fail(op, std::string(what) + " is undefined: give it a value first");
  if (x.shape() == expected) return;
  fail(op, std::string(what) + " has shape " + x.shape().text() + ", expected " + expected.text() +
               ": " + std::string(why));
}

void require_places(std::string_view op, std::string_view what, const Tensor& x, std::int64_t N) {
  require_shape(op, what, x, {N}, "one number a row");
  if (x.dtype() != DType::i32)
    fail(op, std::string(what) + " must be i32, not " + std::string(name_of(x.dtype())));
}

void require_packing(std::string_view op, const Packing& packing, std::int64_t N) {
  const Tensor& offsets = packing.offsets;
  if (!offsets.defined() || offsets.rank() != 1 || offsets.numel() < 2 ||
      offsets.dtype() != DType::i32) {
    fail(op, "the batch has no texts: offsets must be i32 of B+1 >= 2 numbers");
  }
  const auto offset = offsets.contiguous().read<std::int32_t>();
  if (offset.front() != 0 || offset.back() != N) {
    fail(op, "offsets run from " + std::to_string(offset.front()) + " to " +
                 std::to_string(offset.back()) + ", expected 0 to " + std::to_string(N) +
                 ", the rows of the batch");
  }
  for (std::size_t b = 1; b < offset.size(); ++b) {
    if (offset[b] > offset[b - 1]) continue;
    fail(op, "text " + std::to_string(b - 1) + " is empty: offsets must rise");
  }
  require_places(op, "slots", packing.slots, N);
  require_places(op, "tokens", packing.tokens, N);
}

kernels::DropoutMask mask_of(const DropoutKey& key) {
  if (key.threshold >= 65536)
    fail("dropout",
         "the threshold is p * 65536 with p below 1, not " + std::to_string(key.threshold));
  return {{key.key[0], key.key[1]}, key.step, key.threshold, key.scale()};
}

std::int64_t rows_per_chunk(std::int64_t C) {
  return std::max<std::int64_t>(1, kGrain / std::max<std::int64_t>(1, C));
}

template <class T>
void dropout_rows(Device on, const DropoutKey& key, const Tensor& slots, const Tensor& tokens,
                  const T* x, const T* residual, std::int64_t begin, std::int64_t end,
                  std::int64_t C, T* y) {
  const kernels::DropoutMask mask = mask_of(key);
  kernels::on<kernels::Dropout<T>>(on).apply(mask, slots.data<std::int32_t>(on) + begin,
                                             tokens.data<std::int32_t>(on) + begin, x + begin * C,
                                             residual == nullptr ? nullptr : residual + begin * C,
                                             end - begin, C, y + begin * C);
}

template void dropout_rows<float>(Device, const DropoutKey&, const Tensor&, const Tensor&,
                                  const float*, const float*, std::int64_t, std::int64_t,
                                  std::int64_t, float*);
template void dropout_rows<double>(Device, const DropoutKey&, const Tensor&, const Tensor&,
                                   const double*, const double*, std::int64_t, std::int64_t,
                                   std::int64_t, double*);

void add_norm_gradients(Gradients& gradients, std::size_t gamma, std::size_t beta,
                        const Tensor& xhat, const Tensor& dout) {
  Parameter* gamma_leaf = gradients.parameter(gamma);
  Parameter* beta_leaf = gradients.parameter(beta);
  if (gamma_leaf != nullptr && beta_leaf != nullptr) {
    return gradients.parameters().norm(*gamma_leaf, *beta_leaf, xhat, dout);
  }
  const std::int64_t N = dout.size(0), C = dout.size(1);
  dispatch(dout.dtype(), "layer_norm", [&]<class T>() {
    if (gradients.wants(gamma)) {
      const Tensor dgamma = Tensor::empty({C}, dout.dtype());
      const Device on = device_of(dout, xhat, dgamma);
      column_dot(on, dout.data<T>(on), xhat.data<T>(on), N, C, dgamma.data<T>(on));
      gradients.add(gamma, dgamma);
    }
    if (beta_leaf != nullptr) {
      gradients.parameters().bias(*beta_leaf, dout);
    } else if (gradients.wants(beta)) {
      gradients.add(beta, column_sums(dout));
    }
  });
}

void add_embedding_gradient(Gradients& gradients, std::size_t table, const Shape& shape,
                            const Tensor& ids, const Tensor& dout) {
  if (!gradients.wants(table)) return;
  if (Parameter* leaf = gradients.parameter(table))
    return gradients.parameters().embedding(*leaf, ids, dout);
  const Tensor dtable = Tensor::zeros(shape, dout.dtype());
  scatter_add(ids, dout, dtable);
  gradients.add(table, dtable);
}

}  // namespace holdfast::ops
