// Element by element, as tensor/kernels/elementwise.h.
#pragma once

#include "tensor/cuda/gelu.h"
#include "tensor/cuda/operations.h"
#include "tensor/kernels/elementwise.h"

namespace holdfast::cuda {

template <class T>
struct Accumulate {
  const T* x;
  T* y;
  constexpr void operator()(std::int64_t i) const { y[i] += x[i]; }
};

template <class T>
struct Scale {
  T factor;
  const T* x;
  T* y;
  constexpr void operator()(std::int64_t i) const { y[i] = factor * x[i]; }
};

struct Add {
  template <class T>
  static constexpr T value(T a, T b) {
    return a + b;
  }
};
struct Sub {
  template <class T>
  static constexpr T value(T a, T b) {
    return a - b;
  }
};
struct Mul {
  template <class T>
  static constexpr T value(T a, T b) {
    return a * b;
  }
};
struct Div {
  template <class T>
  static constexpr T value(T a, T b) {
    return a / b;
  }
};

template <class Op, class T>
struct BinaryOf {
  const T* a;
  std::int64_t step_a;
  const T* b;
  std::int64_t step_b;
  T* y;
  constexpr void operator()(std::int64_t i) const {
    y[i] = Op::value(a[i * step_a], b[i * step_b]);
  }
};

template <class Op, class T>
struct BinaryAlong {
  ViewPair pair;
  const T *a, *b;
  T* y;
  constexpr void operator()(std::int64_t i) const {
    const ViewPair::Place place = pair.at(i);
    y[i] = Op::value(a[place.a], b[place.b]);
  }
};

struct Exp {
  template <class T>
  static constexpr T value(T x) {
    return std::exp(x);
  }
  template <class T>
  static constexpr T gradient(T y, T dout) {
    return dout * y;
  }
};
struct Log {
  template <class T>
  static constexpr T value(T x) {
    return std::log(x);
  }
  template <class T>
  static constexpr T gradient(T x, T dout) {
    return dout / x;
  }
};
struct Tanh {
  template <class T>
  static constexpr Point<T> at(T x) {
    const T y = value(x);
    return {y, gradient(y, T(1))};
  }
  template <class T>
  static constexpr T value(T x) {
    return std::tanh(x);
  }
  template <class T>
  static constexpr T gradient(T y, T dout) {
    return dout * (T(1) - y * y);
  }
};
struct Erf {
  template <class T>
  static constexpr T value(T x) {
    return std::erf(x);
  }
  template <class T>
  static constexpr T gradient(T x, T dout) {
    return dout * (T(0x1.20dd750429b6dp0) * std::exp(-x * x));  // 2/sqrt(pi)
  }
};
// Value and slope of one computation: of Form::at(x).
template <class Form>
struct Gelu {
  template <class T>
  static constexpr T value(T x) {
    return Form::at(x).value;
  }
  template <class T>
  static constexpr T gradient(T x, T dout) {
    return dout * Form::at(x).slope;
  }
};
struct GeluErf : Gelu<GeluErf> {
  template <class T>
  static constexpr Point<T> at(T x) {
    return gelu_erf(x);
  }
};
struct GeluTanh : Gelu<GeluTanh> {
  template <class T>
  static constexpr Point<T> at(T x) {
    return gelu_tanh(x);
  }
};
// Compared so that NaN passes.
struct Relu {
  template <class T>
  static constexpr T value(T x) {
    return x < T(0) ? T(0) : x;
  }
  template <class T>
  static constexpr T gradient(T x, T dout) {
    return x <= T(0) ? T(0) : dout;
  }
};

template <class Op, class T>
struct UnaryForward {
  const T* x;
  T* y;
  constexpr void operator()(std::int64_t i) const { y[i] = Op::value(x[i]); }
};
template <class Op, class T>
struct UnaryBackward {
  const T *saved, *dout;
  T* dx;
  constexpr void operator()(std::int64_t i) const { dx[i] = Op::gradient(saved[i], dout[i]); }
};

template <class Launcher, class Op, class T>
void binary(const T* a, std::int64_t step_a, const T* b, std::int64_t step_b, T* y,
            std::int64_t n) {
  for_each<Launcher>(BinaryOf<Op, T>{a, step_a, b, step_b, y}, n);
}

template <class Launcher, class Op, class T>
void binary_along(const ViewPair& pair, const T* a, const T* b, T* y) {
  for_each<Launcher>(BinaryAlong<Op, T>{pair, a, b, y}, pair.numel());
}

template <class Launcher, class T>
constexpr Broadcast<T> broadcast{.add = binary_along<Launcher, Add, T>,
                                 .sub = binary_along<Launcher, Sub, T>,
                                 .mul = binary_along<Launcher, Mul, T>,
                                 .div = binary_along<Launcher, Div, T>};

template <class Launcher, class Op, class T>
constexpr kernels::Unary<T> unary{[](const T* x, T* y, std::int64_t n) {
                                    for_each<Launcher>(UnaryForward<Op, T>{x, y}, n);
                                  },
                                  [](const T* saved, const T* dout, T* dx, std::int64_t n) {
                                    for_each<Launcher>(UnaryBackward<Op, T>{saved, dout, dx}, n);
                                  }};

template <class Launcher, class T>
constexpr kernels::Elementwise<T> elementwise{
    .accumulate =
        [](const T* x, T* y, std::int64_t n) {
          for_each<Launcher>(Accumulate<T>{x, y}, n);
        },
    .scale =
        [](T factor, const T* x, T* y, std::int64_t n) {
          for_each<Launcher>(Scale<T>{factor, x, y}, n);
        },
    .add = binary<Launcher, Add, T>,
    .sub = binary<Launcher, Sub, T>,
    .mul = binary<Launcher, Mul, T>,
    .div = binary<Launcher, Div, T>,
    .exp = unary<Launcher, Exp, T>,
    .tanh = unary<Launcher, Tanh, T>,
    .log = unary<Launcher, Log, T>,
    .erf = unary<Launcher, Erf, T>,
    .gelu_erf = unary<Launcher, GeluErf, T>,
    .gelu_tanh = unary<Launcher, GeluTanh, T>,
    .relu = unary<Launcher, Relu, T>,
};

}  // namespace holdfast::cuda
