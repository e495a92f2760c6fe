// Bias and activation functions, as tensor/kernels/activation.h.
#pragma once

#include "tensor/cuda/elementwise.h"
#include "tensor/kernels/activation.h"

namespace holdfast::cuda {

struct Identity {
  template <class T>
  static constexpr Point<T> at(T x) {
    return {x, T(1)};
  }
};
// Of the result y, which was saved: NaN counts as 0, as tensor/kernels/activation.h has it.
struct ReluOfResult {
  template <class T>
  static constexpr Point<T> at(T x) {
    const T y = x > T(0) ? x : T(0);
    return {y, gradient(y, T(1))};
  }
  template <class T>
  static constexpr T gradient(T y, T dout) {
    return dout * (y > T(0) ? T(1) : T(0));
  }
};
// The derivative itself was saved.
struct SavedSlope {
  template <class T>
  static constexpr T gradient(T slope, T dout) {
    return dout * slope;
  }
};

template <class F, class T>
struct ActivationForward {
  const T* bias;
  std::int64_t C;
  const T* pre;
  std::int64_t ld_pre;
  T *y, *slope;
  std::int64_t ld;
  constexpr void operator()(std::int64_t i) const {
    const std::int64_t r = i / C, c = i % C;
    const Point<T> point = F::at(pre[r * ld_pre + c] + bias[c]);
    y[r * ld + c] = point.value;
    if (slope != nullptr) slope[r * ld + c] = point.slope;
  }
};

template <class Launcher, class F, class T>
void activation_forward(const T* bias, std::int64_t rows, std::int64_t C, const T* pre,
                        std::int64_t ld_pre, T* y, T* slope, std::int64_t ld) {
  for_each<Launcher>(ActivationForward<F, T>{bias, C, pre, ld_pre, y, slope, ld}, rows * C);
}
template <class Launcher, class F, class T>
void activation_backward(const T* saved, const T* dout, std::int64_t n, T* dpre) {
  for_each<Launcher>(UnaryBackward<F, T>{saved, dout, dpre}, n);
}

template <class Launcher, class T>
constexpr kernels::Activations<T> activations{
    .none = activation_forward<Launcher, Identity, T>,
    .gelu_erf = activation_forward<Launcher, GeluErf, T>,
    .gelu_tanh = activation_forward<Launcher, GeluTanh, T>,
    .gelu_backward = activation_backward<Launcher, SavedSlope, T>,
    .tanh = activation_forward<Launcher, Tanh, T>,
    .tanh_backward = activation_backward<Launcher, Tanh, T>,
    .relu = activation_forward<Launcher, ReluOfResult, T>,
    .relu_backward = activation_backward<Launcher, ReluOfResult, T>,
};

}  // namespace holdfast::cuda
