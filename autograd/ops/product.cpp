#include "autograd/ops/product.h"

#include <algorithm>

#include "autograd/ops/op.h"
#include "tensor/kernels/on.h"
#include "tensor/kernels/round.h"

namespace holdfast::ops {

namespace {

// All of it on one GPU, no axis empty; bias may be undefined.
void product_on(Device on, Trans ta, const Tensor& a, Trans tb, const Tensor& b, bool add,
                const Tensor& c, const Tensor& bias) {
  const std::int64_t M = c.size(0), N = c.size(1), K = a.size(ta == Trans::no ? 1 : 0);
  if (ta == Trans::no) count_gemm_rows(M);
  const auto multiply = [&]<class T>() {
    using Sum = typename cuda::Product<T>::Sum;
    cuda::table<cuda::Products<T>>(on.cuda).multiply(
        {.transpose_a = ta == Trans::yes,
         .transpose_b = tb == Trans::yes,
         .M = M,
         .N = N,
         .K = K,
         .A = a.data<T>(on),
         .lda = a.size(1),
         .B = b.data<T>(on),
         .ldb = b.size(1),
         .add = add,
         .C = c.data<Sum>(on),
         .ldc = N,
         .bias = bias.defined() ? bias.data<Sum>(on) : nullptr,
         .tf32 = tf32_products()});
  };
  if (a.dtype() == DType::bf16) return multiply.template operator()<Bf16>();
  dispatch(a.dtype(), "product", multiply);
}

}  // namespace

void product(Trans ta, const Tensor& a, Trans tb, const Tensor& b, bool add, const Tensor& c) {
  const std::int64_t M = c.size(0), N = c.size(1), K = a.size(ta == Trans::no ? 1 : 0);
  const std::int64_t lda = a.size(1), ldb = b.size(1);
  if (c.numel() == 0) return;
  if (const Device on = device_of(a, b, c); on.is_cuda() && K > 0)
    return product_on(on, ta, a, tb, b, add, c, {});
  if (a.dtype() == DType::bf16) {
    return gemm(ta, tb, M, N, K, a.data<Bf16>(), lda, b.data<Bf16>(), ldb, add, c.data<float>(), N);
  }
  dispatch(a.dtype(), "product", [&]<class T>() {
    gemm(ta, tb, M, N, K, T{1}, a.data<T>(), lda, b.data<T>(), ldb, add ? T{1} : T{0}, c.data<T>(),
         N);
  });
}

Tensor product(const Tensor& a, const Tensor& b, Trans tb) {
  const DType type = a.dtype() == DType::bf16 ? DType::f32 : a.dtype();
  const Tensor c = Tensor::empty({a.size(0), b.size(tb == Trans::no ? 1 : 0)}, type);
  product(Trans::no, a, tb, b, false, c);
  return c;
}

bool product_plus_bias(const Tensor& x, const Tensor& weight, const Tensor& bias, const Tensor& y) {
  const Device on = device_of(x, weight, bias, y);
  if (!on.is_cuda() || y.numel() == 0 || x.size(1) == 0 || bias.dtype() != DType::f32 ||
      !cuda::takes_bias(bias.data<float>(on))) {
    return false;
  }
  product_on(on, Trans::no, x, Trans::yes, weight, false, y, bias);
  return true;
}

Tensor to_bf16(const Tensor& x, std::int64_t rows) {
  const Device on = x.device();
  const Tensor y = Tensor::empty({rows, x.size(1)}, DType::bf16, on);
  if (y.numel() > x.numel())
    std::fill(y.data<Bf16>() + x.numel(), y.data<Bf16>() + y.numel(), Bf16());
  const auto* from = x.data<float>(on);
  auto* to = y.data<Bf16>(on);
  kernels::over(on, x.numel(), kGrain, [&](std::int64_t begin, std::int64_t end) {
    kernels::on<kernels::Round>(on).to_bf16(from + begin, end - begin, to + begin);
  });
  return y;
}

}  // namespace holdfast::ops
