// y = f(x), element by element; formulas and slopes are in tensor/kernels/elementwise.cpp and
// gelu.h.
#include "autograd/ops/op.h"
#include "tensor/kernels/elementwise.h"
#include "tensor/kernels/on.h"

namespace holdfast {
namespace {

// Which tensor an operation's gradient is computed from.
enum class Saved { x, y };

template <class T>
using Member = kernels::Unary<T> kernels::Elementwise<T>::*;

Var unary(std::string_view name, const Var& input, Saved saved, Member<float> f32,
          Member<double> f64) {
  ops::require_float(name, input.value());
  const auto kernel = [f32, f64]<class T>(Device on) -> const kernels::Unary<T>& {
    if constexpr (std::is_same_v<T, float>)
      return kernels::on<kernels::Elementwise<T>>(on).*f32;
    else
      return kernels::on<kernels::Elementwise<T>>(on).*f64;
  };
  const Tensor x = input.value().contiguous(), y = Tensor::empty(x.shape(), x.dtype());
  const Device on = ops::device_of(x, y);
  dispatch(x.dtype(), name, [&]<class T>() {
    const auto& f = kernel.template operator()<T>(on);
    kernels::over(on, x.numel(), ops::kGrain, [&](std::int64_t begin, std::int64_t end) {
      f.forward(x.data<T>(on) + begin, y.data<T>(on) + begin, end - begin);
    });
  });
  return ops::record(
      name, y, {input},
      [kernel, name, kept = saved == Saved::x ? x : y](const Tensor& dout, Gradients& gradients) {
        const Tensor dx = Tensor::empty(dout.shape(), dout.dtype());
        const Device there = ops::device_of(kept, dout, dx);
        dispatch(dout.dtype(), name, [&]<class T>() {
          const auto& f = kernel.template operator()<T>(there);
          kernels::over(there, dx.numel(), ops::kGrain, [&](std::int64_t begin, std::int64_t end) {
            f.backward(kept.data<T>(there) + begin, dout.data<T>(there) + begin,
                       dx.data<T>(there) + begin, end - begin);
          });
        });
        gradients.add(0, dx);
      });
}

using F = kernels::Elementwise<float>;
using D = kernels::Elementwise<double>;

}  // namespace

Var exp(const Var& x) { return unary("exp", x, Saved::y, &F::exp, &D::exp); }
Var log(const Var& x) { return unary("log", x, Saved::x, &F::log, &D::log); }
Var tanh(const Var& x) { return unary("tanh", x, Saved::y, &F::tanh, &D::tanh); }
Var erf(const Var& x) { return unary("erf", x, Saved::x, &F::erf, &D::erf); }
Var relu(const Var& x) { return unary("relu", x, Saved::x, &F::relu, &D::relu); }
Var gelu(const Var& x, GeluKind kind) {
  return kind == GeluKind::erf ? unary("gelu", x, Saved::x, &F::gelu_erf, &D::gelu_erf)
                               : unary("gelu", x, Saved::x, &F::gelu_tanh, &D::gelu_tanh);
}

}  // namespace holdfast
