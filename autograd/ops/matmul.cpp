#include <algorithm>

#include "autograd/ops/op.h"
#include "autograd/ops/sums.h"
#include "tensor/blas.h"
#include "tensor/cuda/runtime.h"

namespace holdfast {
namespace {

// The last two axes of a tensor as GEMM wants them: rows or columns next to each other. Others are
// copied.
struct Matrices {
  Tensor x;
  Trans trans;
  std::int64_t ld;
};

Matrices matrices(const Tensor& x) {
  const std::int64_t rows = x.size(-2), cols = x.size(-1);
  if (x.stride(-1) == 1 && x.stride(-2) >= cols) return {x, Trans::no, x.stride(-2)};
  if (x.stride(-2) == 1 && x.stride(-1) >= rows) return {x, Trans::yes, x.stride(-1)};
  return {x.contiguous(), Trans::no, cols};
}

Shape leading(const Shape& shape) {
  return Shape(shape.extents().first(static_cast<std::size_t>(shape.rank()) - 2));
}

Shape with_matrix(const Shape& leading, std::int64_t rows, std::int64_t cols) {
  std::vector<std::int64_t> extents(leading.extents().begin(), leading.extents().end());
  extents.insert(extents.end(), {rows, cols});
  return Shape(extents);
}

// The element where matrix `number` of a tensor begins; leading axes are counted row-major.
std::int64_t begin_of(const Tensor& x, std::int64_t number) {
  std::int64_t at = 0;
  for (int axis = x.rank() - 3; axis >= 0; --axis) {
    at += number % x.size(axis) * x.stride(axis);
    number /= x.size(axis);
  }
  return at;
}

// y = a b; leading axes are broadcast already found to fit.
Tensor product(const Tensor& a, const Tensor& b) {
  const std::int64_t M = a.size(-2), N = b.size(-1), K = a.size(-1);
  const Shape batch = broadcast(leading(a.shape()), leading(b.shape()));
  if (K == 0) return Tensor::zeros(with_matrix(batch, M, N), a.dtype());
  const Tensor y = Tensor::empty(with_matrix(batch, M, N), a.dtype());
  if (y.numel() == 0) return y;
  const Matrices left = matrices(a), right = matrices(b);
  const Tensor as = left.x.expand(with_matrix(batch, M, K)),
               bs = right.x.expand(with_matrix(batch, K, N));
  dispatch(a.dtype(), "matmul", [&]<class T>() {
    if (const Device on = ops::device_of(as, bs, y); on.is_cuda()) {
      const auto& products = cuda::table<cuda::Products<T>>(on.cuda);
      for (std::int64_t i = 0; i < batch.numel(); ++i) {
        products.multiply({.transpose_a = left.trans == Trans::yes,
                           .transpose_b = right.trans == Trans::yes,
                           .M = M,
                           .N = N,
                           .K = K,
                           .A = as.data<T>(on) + begin_of(as, i),
                           .lda = left.ld,
                           .B = bs.data<T>(on) + begin_of(bs, i),
                           .ldb = right.ld,
                           .add = false,
                           .C = y.data<T>(on) + i * M * N,
                           .ldc = N});
      }
      return;
    }
    if (batch.numel() == 1) {
      gemm(left.trans, right.trans, M, N, K, T(1), as.data<T>(), left.ld, bs.data<T>(), right.ld,
           T(0), y.data<T>(), N);
      return;
    }
    parallel_for(batch.numel(), std::max<std::int64_t>(1, ops::kGrain / (M * N * K)),
                 [&](std::int64_t begin, std::int64_t end) {
                   for (std::int64_t i = begin; i < end; ++i) {
                     gemm_serial(left.trans, right.trans, M, N, K, T(1),
                                 as.data<T>() + begin_of(as, i), left.ld,
                                 bs.data<T>() + begin_of(bs, i), right.ld, T(0),
                                 y.data<T>() + i * M * N, N);
                   }
                 });
  });
  return y;
}

void require_fit(const Tensor& a, const Tensor& b) {
  ops::require_same_type("matmul", a, b);
  const std::string shapes = a.shape().text() + " and " + b.shape().text();
  if (a.rank() < 2 || b.rank() < 2)
    ops::fail("matmul", "shapes " + shapes + ": each needs two axes or more");
  if (a.size(-1) != b.size(-2)) {
    ops::fail("matmul", "shapes " + shapes + " do not fit: " + std::to_string(a.size(-1)) +
                            " columns meet " + std::to_string(b.size(-2)) + " rows");
  }
  try {
    broadcast(leading(a.shape()), leading(b.shape()));
  } catch (const std::invalid_argument&) {
    ops::fail("matmul", "shapes " + shapes + ": the leading axes do not broadcast");
  }
}

}  // namespace

// y = a b: y_mn = sum_k a_mk b_kn, so da = dout b^T and db = a^T dout, summed over the leading axes
// that were stretched.
Var matmul(const Var& a, const Var& b) {
  require_fit(a.value(), b.value());
  if (a.value().rank() > 2 && b.value().rank() == 2) {
    // Many matrices times one are one tall matrix times one: a single GEMM, in backward too.
    const Var rows = reshape(a, {leading(a.shape()).numel() * a.size(-2), a.size(-1)});
    return reshape(matmul(rows, b), a.shape().with(-1, b.size(-1)));
  }
  return ops::record(
      "matmul", product(a.value(), b.value()), {a, b},
      [x = a.value(), z = b.value()](const Tensor& dout, Gradients& gradients) {
        if (gradients.wants(0)) {
          gradients.add(0, ops::sum_to(product(dout, z.transpose(-1, -2)), x.shape()));
        }
        if (gradients.wants(1)) {
          gradients.add(1, ops::sum_to(product(x.transpose(-1, -2), dout), z.shape()));
        }
      });
}

}  // namespace holdfast
