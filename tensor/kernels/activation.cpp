#include "tensor/kernels/activation.h"

#include "tensor/kernels/dispatch.h"
#include "tensor/kernels/math.h"

namespace holdfast::kernels::HOLDFAST_ISA {
namespace {

constexpr double kInverseRoot2 = 0.70710678118654752440;    // 1/sqrt(2)
constexpr double kInverseRoot2Pi = 0.39894228040143267794;  // 1/sqrt(2 pi)
constexpr double kRoot2OverPi = 0.79788456080286535588;     // sqrt(2/pi)
constexpr double kCubic = 0.044715;

// f(x) and f'(x) together: erf or tanh, the dear part, is shared.
template <class T>
struct Point {
  T value, slope;
};

struct Identity {
  template <class T>
  static Point<T> at(T x) {
    return {x, T(1)};
  }
};

// Distribution function and density of the standard normal.
template <class T>
struct Normal {
  T distribution, density;
};

// Phi(-z) = exp(-z^2/2) R(z) for z >= 0, R a polynomial of degree 6 in 1/(1 + 0.28 z) fitted to
// within 1.2e-8 of Phi: the exponential serves both. Accuracy: 2e-7, in float arithmetic.
inline Normal<float> normal(float x) {
  const float t = 1.0f / (1.0f + 0.28f * __builtin_fabsf(x));
  float r = -1.063278579e-01f;
  r = r * t + 3.920642227e-01f;
  r = r * t - 2.406649934e-01f;
  r = r * t + 2.719688097e-01f;
  r = r * t + 6.623089385e-02f;
  r = r * t + 1.167289139e-01f;
  const float e = exp(-0.5f * x * x);
  const float tail = e * (r * t);
  return {x < 0.0f ? tail : 1.0f - tail, e * static_cast<float>(kInverseRoot2Pi)};
}
inline Normal<double> normal(double x) {
  return {0.5 * (1.0 + erf(x * kInverseRoot2)), kInverseRoot2Pi * exp(-0.5 * x * x)};
}

struct GeluErf {
  template <class T>
  static Point<T> at(T x) {
    const Normal<T> n = normal(x);
    return {x * n.distribution, n.distribution + x * n.density};
  }
};

struct GeluTanh {
  template <class T>
  static Point<T> at(T x) {
    const T t = HOLDFAST_ISA::tanh(T(kRoot2OverPi) * (x + T(kCubic) * x * x * x));
    const T du = T(kRoot2OverPi) * (T(1) + T(3 * kCubic) * x * x);
    return {T(0.5) * x * (T(1) + t), T(0.5) * (T(1) + t) + T(0.5) * x * (T(1) - t * t) * du};
  }
};

struct Tanh {
  template <class T>
  static Point<T> at(T x) {
    const T y = HOLDFAST_ISA::tanh(x);
    return {y, slope(y)};
  }
  template <class T>
  static T slope(T y) {
    return T(1) - y * y;
  }
};

struct Relu {
  template <class T>
  static Point<T> at(T x) {
    const T y = x > T(0) ? x : T(0);
    return {y, slope(y)};
  }
  template <class T>
  static T slope(T y) {
    return y > T(0) ? T(1) : T(0);
  }
};

// The derivative itself was saved.
struct Saved {
  template <class T>
  static T slope(T saved) {
    return saved;
  }
};

template <class F, class T>
void forward(const T* bias, std::int64_t rows, std::int64_t C, const T* pre, std::int64_t ld_pre,
             T* y, T* slope, std::int64_t ld) {
  for (std::int64_t r = 0; r < rows; ++r, pre += ld_pre, y += ld) {
    if (slope == nullptr) {
#pragma GCC ivdep
      for (std::int64_t i = 0; i < C; ++i) y[i] = F::at(pre[i] + bias[i]).value;
      continue;
    }
    T* slope_r = slope + r * ld;
#pragma GCC ivdep
    for (std::int64_t i = 0; i < C; ++i) {
      const Point<T> point = F::at(pre[i] + bias[i]);
      y[i] = point.value;
      slope_r[i] = point.slope;
    }
  }
}

template <class F, class T>
void backward(const T* saved, const T* dout, std::int64_t n, T* dpre) {
#pragma GCC ivdep
  for (std::int64_t i = 0; i < n; ++i) dpre[i] = dout[i] * F::slope(saved[i]);
}

template <class T>
constexpr Activations<T> kTable{forward<Identity, T>, forward<GeluErf, T>, forward<GeluTanh, T>,
                                backward<Saved, T>,   forward<Tanh, T>,    backward<Tanh, T>,
                                forward<Relu, T>,     backward<Relu, T>};

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
