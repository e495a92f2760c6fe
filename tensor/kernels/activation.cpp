#include "tensor/kernels/activation.h"

#include "tensor/kernels/dispatch.h"
#include "tensor/kernels/math.h"

namespace holdfast::kernels::HOLDFAST_ISA {
namespace {

constexpr double kInverseRoot2 = 0.70710678118654752440;    // 1/sqrt(2)
constexpr double kInverseRoot2Pi = 0.39894228040143267794;  // 1/sqrt(2 pi)
constexpr double kRoot2OverPi = 0.79788456080286535588;     // sqrt(2/pi)
constexpr double kCubic = 0.044715;

// Every function is written once: value and derivative side by side.
struct Identity {
  template <class T>
  static T value(T x) {
    return x;
  }
};

struct GeluErf {
  template <class T>
  static T value(T x) {
    return T(0.5) * x * (T(1) + erf(x * T(kInverseRoot2)));
  }
  template <class T>
  static T derivative(T x) {
    return T(0.5) * (T(1) + erf(x * T(kInverseRoot2))) +
           x * T(kInverseRoot2Pi) * exp(T(-0.5) * x * x);
  }
};

struct GeluTanh {
  template <class T>
  static T inner(T x) {
    return T(kRoot2OverPi) * (x + T(kCubic) * x * x * x);
  }
  template <class T>
  static T value(T x) {
    return T(0.5) * x * (T(1) + HOLDFAST_ISA::tanh(inner(x)));
  }
  template <class T>
  static T derivative(T x) {
    const T t = HOLDFAST_ISA::tanh(inner(x));
    const T slope = T(kRoot2OverPi) * (T(1) + T(3 * kCubic) * x * x);
    return T(0.5) * (T(1) + t) + T(0.5) * x * (T(1) - t * t) * slope;
  }
};

// Derivatives of these two are functions of the value y.
struct Tanh {
  template <class T>
  static T value(T x) {
    return HOLDFAST_ISA::tanh(x);
  }
  template <class T>
  static T derivative(T y) {
    return T(1) - y * y;
  }
};

struct Relu {
  template <class T>
  static T value(T x) {
    return x > T(0) ? x : T(0);
  }
  template <class T>
  static T derivative(T y) {
    return y > T(0) ? T(1) : T(0);
  }
};

template <class F, class T>
void forward(const T* bias, std::int64_t rows, std::int64_t C, std::int64_t ld, T* pre, T* y) {
  for (std::int64_t r = 0; r < rows; ++r, pre += ld, y += ld) {
    if (pre == y) {
      for (std::int64_t i = 0; i < C; ++i) y[i] = F::value(y[i] + bias[i]);
      continue;
    }
#pragma GCC ivdep
    for (std::int64_t i = 0; i < C; ++i) {
      const T x = pre[i] + bias[i];
      pre[i] = x;
      y[i] = F::value(x);
    }
  }
}

template <class F, class T>
void backward(const T* saved, const T* dout, std::int64_t n, T* dpre) {
#pragma GCC ivdep
  for (std::int64_t i = 0; i < n; ++i) dpre[i] = dout[i] * F::derivative(saved[i]);
}

template <class T>
constexpr Activations<T> kTable{forward<Identity, T>, forward<GeluErf, T>,   backward<GeluErf, T>,
                                forward<GeluTanh, T>, backward<GeluTanh, T>, forward<Tanh, T>,
                                backward<Tanh, T>,    forward<Relu, T>,      backward<Relu, T>};

}  // namespace

template <>
const Activations<float>& table<Activations<float>>() {
  return kTable<float>;
}
template <>
const Activations<double>& table<Activations<double>>() {
  return kTable<double>;
}

}  // namespace holdfast::kernels::HOLDFAST_ISA
