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
  const std::int64_t first = x.storage_offset() * size_of(x.dtype()),
                     size = x.numel() * size_of(x.dtype());
  if (x.device().is_cuda()) return x.storage()->clear(first, size);
  auto* bytes = reinterpret_cast<char*>(x.storage()->data()) + first;
  parallel_for(size, 1 << 20, [&](std::int64_t begin, std::int64_t end) {
    for (char* at = bytes + begin; at < bytes + end; at += sizeof(kZeros)) {
      const std::size_t n = std::min(sizeof(kZeros), static_cast<std::size_t>(bytes + end - at));
      if (std::memcmp(at, kZeros, n) != 0) std::memset(at, 0, n);
    }
  });
}

// sum += more, contiguous
void add(const Tensor& more, const Tensor& sum) {
  const Device on = ops::device_of(more, sum);
  dispatch(more.dtype(), "gradients", [&]<class T>() {
    ops::accumulate(on, more.data<T>(on), sum.data<T>(on), more.numel());
  });
}

// Calls compute(y) with memory for the gradient, which it assigns: the parameter's own at the first
// contribution, else a buffer that is then added.
template <class Compute>
void assign_or_add(Parameter& parameter, Compute&& compute) {
  if (!parameter.has_grad) {
    compute(parameter.grad);
  } else {
    const Tensor more = Tensor::empty(parameter.grad.shape(), parameter.grad.dtype());
    compute(more);
    add(more, parameter.grad);
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
  assign_or_add(gamma, [&](const Tensor& dgamma) {
    const Device on = ops::device_of(drows, normed, dgamma);
    dispatch(dout.dtype(), "norm", [&]<class T>() {
      ops::column_dot(on, drows.data<T>(on), normed.data<T>(on), N, C, dgamma.data<T>(on));
    });
  });
  this->bias(beta, drows);
}

void SummedGradients::bias(Parameter& bias, const Tensor& dout) {
  const Tensor drows = dout.contiguous();
  assign_or_add(bias, [&](const Tensor& db) {
    const Device on = ops::device_of(drows, db);
    dispatch(dout.dtype(), "bias", [&]<class T>() {
      ops::sum_middle(on, drows.data<T>(on), 1, dout.size(0), dout.size(1), db.data<T>(on));
    });
  });
}

void SummedGradients::embedding(Parameter& table, const Tensor& ids, const Tensor& dout) {
  if (!table.has_grad) clear(table.grad);
  table.has_grad = true;
  ops::scatter_add(ids, dout.contiguous(), table.grad);
}

void SummedGradients::dense(Parameter& parameter, const Tensor& gradient) {
  if (!parameter.has_grad) {
    parameter.grad.copy_from(gradient);
  } else {
    add(gradient.contiguous(), parameter.grad);
  }
  parameter.has_grad = true;
}

}  // namespace holdfast
