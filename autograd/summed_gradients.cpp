#include <algorithm>
#include <cstring>

#include "autograd/ops/op.h"
#include "autograd/ops/product.h"
#include "autograd/ops/sums.h"
#include "autograd/var.h"

namespace holdfast {
namespace {

// Writes where there is something: rows of words that no text has had never take memory.
void clear(const Tensor& x) {
  static constexpr char kZeros[4096] = {};
  auto* bytes =
      reinterpret_cast<char*>(x.storage()->data()) + x.storage_offset() * size_of(x.dtype());
  parallel_for(x.numel() * size_of(x.dtype()), 1 << 20, [&](std::int64_t begin, std::int64_t end) {
    for (char* at = bytes + begin; at < bytes + end; at += sizeof(kZeros)) {
      const std::size_t n = std::min(sizeof(kZeros), static_cast<std::size_t>(bytes + end - at));
      if (std::memcmp(at, kZeros, n) != 0) std::memset(at, 0, n);
    }
  });
}

// Calls compute(y) with memory for the gradient's elements, which it assigns: the parameter's own
// at the first contribution, else a buffer that is then added.
template <class T, class Compute>
void assign_or_add(Parameter& parameter, Compute&& compute) {
  T* grad = parameter.grad.data<T>();
  if (!parameter.has_grad) {
    compute(grad);
  } else {
    const Tensor more = Tensor::empty(parameter.grad.shape(), parameter.grad.dtype());
    compute(more.data<T>());
    ops::accumulate(more.data<T>(), grad, more.numel());
  }
  parameter.has_grad = true;
}

}  // namespace

void SummedGradients::linear(Parameter& weight, Parameter* bias, const Tensor& x,
                             const Tensor& dout) {
  if (x.size(0) > 0) {
    ops::product(Trans::yes, dout.contiguous(), Trans::no, x.contiguous(), weight.has_grad,
                 weight.grad);
  } else if (!weight.has_grad) {
    clear(weight.grad);
  }
  weight.has_grad = true;
  if (bias != nullptr) this->bias(*bias, dout);
}

void SummedGradients::norm(Parameter& gamma, Parameter& beta, const Tensor& xhat,
                           const Tensor& dout) {
  const std::int64_t N = dout.size(0), C = dout.size(1);
  const Tensor normed = xhat.contiguous(), drows = dout.contiguous();
  dispatch(dout.dtype(), "norm", [&]<class T>() {
    assign_or_add<T>(gamma, [&](T* dgamma) {
      ops::column_dot(drows.data<T>(), normed.data<T>(), N, C, dgamma);
    });
    assign_or_add<T>(beta, [&](T* dbeta) { ops::sum_middle(drows.data<T>(), 1, N, C, dbeta); });
  });
}

void SummedGradients::bias(Parameter& bias, const Tensor& dout) {
  const Tensor drows = dout.contiguous();
  dispatch(dout.dtype(), "bias", [&]<class T>() {
    assign_or_add<T>(
        bias, [&](T* db) { ops::sum_middle(drows.data<T>(), 1, dout.size(0), dout.size(1), db); });
  });
}

void SummedGradients::embedding(Parameter& table, const Tensor& ids, const Tensor& dout) {
  if (!table.has_grad) clear(table.grad);
  table.has_grad = true;
  const Tensor drows = dout.contiguous();
  dispatch(dout.dtype(), "embedding", [&]<class T>() {
    ops::scatter_add(ids, drows.data<T>(), dout.size(1), table.grad.data<T>());
  });
}

void SummedGradients::dense(Parameter& parameter, const Tensor& gradient) {
  if (!parameter.has_grad) {
    parameter.grad.copy_from(gradient);
  } else {
    const Tensor more = gradient.contiguous();
    dispatch(more.dtype(), "dense", [&]<class T>() {
      ops::accumulate(more.data<T>(), parameter.grad.data<T>(), more.numel());
    });
  }
  parameter.has_grad = true;
}

}  // namespace holdfast
