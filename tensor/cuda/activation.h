// Bias and activation functions, as tensor/kernels/activation.h.
#pragma once

#include "tensor/cuda/gelu.h"
#include "tensor/kernels/activation.h"

namespace holdfast::cuda {

struct Identity {
  template <class T>
  static constexpr Point<T> at(T x) {
    return {x, T(1)};
  }
};
struct GeluErfPoint {
  template <class T>
  static constexpr Point<T> at(T x) {
    return gelu_erf(x);
  }
};
struct GeluTanhPoint {
  template <class T>
  static constexpr Point<T> at(T x) {
    return gelu_tanh(x);
  }
};
struct TanhPoint {
  template <class T>
  static constexpr T slope(T y) {
    return T(1) - y * y;
  }
  template <class T>
  static constexpr Point<T> at(T x) {
    const T y = std::tanh(x);
    return {y, slope(y)};
  }
};
struct ReluPoint {
  template <class T>
  static constexpr T slope(T y) {
    return y > T(0) ? T(1) : T(0);
  }
  template <class T>
  static constexpr Point<T> at(T x) {
    const T y = x > T(0) ? x : T(0);
    return {y, slope(y)};
  }
};
// The derivative itself was saved.
struct SavedSlope {
  template <class T>
  static constexpr T slope(T saved) {
    return saved;
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

template <class F, class T>
struct ActivationBackward {
  const T *saved, *dout;
  T* dpre;
  constexpr void operator()(std::int64_t i) const { dpre[i] = dout[i] * F::slope(saved[i]); }
};

template <class Launcher, class F, class T>
void activation_forward(const T* bias, std::int64_t rows, std::int64_t C, const T* pre,
                        std::int64_t ld_pre, T* y, T* slope, std::int64_t ld) {
  for_each<Launcher>(ActivationForward<F, T>{bias, C, pre, ld_pre, y, slope, ld}, rows * C);
}
template <class Launcher, class F, class T>
void activation_backward(const T* saved, const T* dout, std::int64_t n, T* dpre) {
  for_each<Launcher>(ActivationBackward<F, T>{saved, dout, dpre}, n);
}

template <class Launcher, class T>
constexpr kernels::Activations<T> activations{
    .none = activation_forward<Launcher, Identity, T>,
    .gelu_erf = activation_forward<Launcher, GeluErfPoint, T>,
    .gelu_tanh = activation_forward<Launcher, GeluTanhPoint, T>,
    .gelu_backward = activation_backward<Launcher, SavedSlope, T>,
    .tanh = activation_forward<Launcher, TanhPoint, T>,
    .tanh_backward = activation_backward<Launcher, TanhPoint, T>,
    .relu = activation_forward<Launcher, ReluPoint, T>,
    .relu_backward = activation_backward<Launcher, ReluPoint, T>,
};

}  // namespace holdfast::cuda
