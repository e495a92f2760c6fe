#include "autograd/ops/product.h"

#include <algorithm>

#include "autograd/ops/op.h"
#include "tensor/kernels/gemm.h"
#include "tensor/kernels/on.h"
#include "tensor/kernels/round.h"

namespace holdfast::ops {

namespace {

void product_on(Device on, Trans ta, const Tensor& a, Trans tb, const Tensor& b, bool add,
                const Tensor& c) {
  const std::int64_t M = c.size(0), N = c.size(1), K = a.size(ta == Trans::no ? 1 : 0);
  if (ta == Trans::no) count_gemm_rows(M);
  dispatch(a.dtype(), "product", [&]<class T>() {
    kernels::on<kernels::Gemm<T>>(on).multiply(ta == Trans::yes, tb == Trans::yes, M, N, K, T{1},
                                               a.data<T>(on), a.size(1), b.data<T>(on), b.size(1),
                                               add ? T{1} : T{0}, c.data<T>(on), N);
  });
}

}  // namespace

void product(Trans ta, const Tensor& a, Trans tb, const Tensor& b, bool add, const Tensor& c) {
  const std::int64_t M = c.size(0), N = c.size(1), K = a.size(ta == Trans::no ? 1 : 0);
  const std::int64_t lda = a.size(1), ldb = b.size(1);
  if (const Device on = device_of(a, b, c); on.is_cuda() && M > 0 && N > 0 && K > 0)
    return product_on(on, ta, a, tb, b, add, c);
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

Tensor to_bf16(const Tensor& x, std::int64_t rows) {
  const Tensor y = Tensor::empty({rows, x.size(1)}, DType::bf16);
  const auto* from = x.data<float>();
  auto* to = y.data<Bf16>();
  std::fill(to + x.numel(), to + y.numel(), Bf16());
  parallel_for(x.numel(), kGrain, [&](std::int64_t begin, std::int64_t end) {
    kernels::best<kernels::Round>().to_bf16(from + begin, end - begin, to + begin);
  });
  return y;
}

}  // namespace holdfast::ops
