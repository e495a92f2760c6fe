#include "tensor/kernels/elementwise.h"

#include "tensor/kernels/dispatch.h"
#include "tensor/kernels/gelu.h"

namespace holdfast::kernels::HOLDFAST_ISA {
namespace {

template <class T>
void accumulate(const T* x, T* y, std::int64_t n) {
  for (std::int64_t i = 0; i < n; ++i) y[i] += x[i];
}

template <class T>
void scale(T factor, const T* x, T* y, std::int64_t n) {
  for (std::int64_t i = 0; i < n; ++i) y[i] = factor * x[i];
}

struct Add {
  template <class T>
  static T value(T a, T b) {
    return a + b;
  }
};
struct Sub {
  template <class T>
  static T value(T a, T b) {
    return a - b;
  }
};
struct Mul {
  template <class T>
  static T value(T a, T b) {
    return a * b;
  }
};
struct Div {
  template <class T>
  static T value(T a, T b) {
    return a / b;
  }
};

template <class Op, class T>
void binary(const T* a, std::int64_t step_a, const T* b, std::int64_t step_b, T* y,
            std::int64_t n) {
  if (step_a == 1 && step_b == 1) {
    for (std::int64_t i = 0; i < n; ++i) y[i] = Op::value(a[i], b[i]);
  } else if (step_a == 1 && step_b == 0) {
    for (std::int64_t i = 0; i < n; ++i) y[i] = Op::value(a[i], *b);
  } else if (step_a == 0 && step_b == 1) {
    for (std::int64_t i = 0; i < n; ++i) y[i] = Op::value(*a, b[i]);
  } else {
    for (std::int64_t i = 0; i < n; ++i) y[i] = Op::value(a[i * step_a], b[i * step_b]);
  }
}

struct Exp {
  template <class T>
  static T value(T x) {
    return exp(x);
  }
  template <class T>
  static T gradient(T y, T dout) {
    return dout * y;
  }
};
struct Log {
  template <class T>
  static T value(T x) {
    return log(x);
  }
  template <class T>
  static T gradient(T x, T dout) {
    return dout / x;
  }
};
struct Tanh {
  template <class T>
  static T value(T x) {
    return tanh(x);
  }
  template <class T>
  static T gradient(T y, T dout) {
    return dout * (T(1) - y * y);
  }
};
struct Erf {
  template <class T>
  static T value(T x) {
    return erf(x);
  }
  template <class T>
  static T gradient(T x, T dout) {
    constexpr T kTwoOverSqrtPi = T(0x1.20dd750429b6dp0);
    return dout * (kTwoOverSqrtPi * exp(-x * x));
  }
};
struct GeluErf {
  template <class T>
  static T value(T x) {
    return gelu_erf(x);
  }
  template <class T>
  static T gradient(T x, T dout) {
    return dout * gelu_erf_slope(x);
  }
};
struct GeluTanh {
  template <class T>
  static T value(T x) {
    return gelu_tanh(x);
  }
  template <class T>
  static T gradient(T x, T dout) {
    return dout * gelu_tanh_slope(x);
  }
};
// Compared so that NaN passes.
struct Relu {
  template <class T>
  static T value(T x) {
    return x < T(0) ? T(0) : x;
  }
  template <class T>
  static T gradient(T x, T dout) {
    return x <= T(0) ? T(0) : dout;
  }
};

template <class Op, class T>
void forward(const T* x, T* y, std::int64_t n) {
  for (std::int64_t i = 0; i < n; ++i) y[i] = Op::value(x[i]);
}

template <class Op, class T>
void backward(const T* saved, const T* dout, T* dx, std::int64_t n) {
  for (std::int64_t i = 0; i < n; ++i) dx[i] = Op::gradient(saved[i], dout[i]);
}

template <class Op, class T>
constexpr Unary<T> kUnary{forward<Op, T>, backward<Op, T>};

template <class T>
constexpr Elementwise<T> kTable{
    .accumulate = accumulate<T>,
    .scale = scale<T>,
    .add = binary<Add, T>,
    .sub = binary<Sub, T>,
    .mul = binary<Mul, T>,
    .div = binary<Div, T>,
    .exp = kUnary<Exp, T>,
    .tanh = kUnary<Tanh, T>,
    .log = kUnary<Log, T>,
    .erf = kUnary<Erf, T>,
    .gelu_erf = kUnary<GeluErf, T>,
    .gelu_tanh = kUnary<GeluTanh, T>,
    .relu = kUnary<Relu, T>,
};

}  // namespace

template <>
const Elementwise<float>& table<Elementwise<float>>() {
  return kTable<float>;
}
template <>
const Elementwise<double>& table<Elementwise<double>>() {
  return kTable<double>;
}

}  // namespace holdfast::kernels::HOLDFAST_ISA
