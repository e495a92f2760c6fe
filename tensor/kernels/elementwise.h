// Element-wise arithmetic over spans.
#pragma once

#include <cstdint>

namespace holdfast::kernels {

/// y = f(x), and dx = dout f'(x) from what forward saves: x or y, as said below.
template <class T>
struct Unary {
  void (*forward)(const T* x, T* y, std::int64_t n);
  void (*backward)(const T* saved, const T* dout, T* dx, std::int64_t n);
};

/// y[i] = f(a[i * step_a], b[i * step_b]); loops with steps of 0 and 1 are vectorised.
template <class T>
using Binary = void (*)(const T* a, std::int64_t step_a, const T* b, std::int64_t step_b, T* y,
                        std::int64_t n);

template <class T>
struct Elementwise {
  /// y += x
  void (*accumulate)(const T* x, T* y, std::int64_t n);
  /// y = factor * x
  void (*scale)(T factor, const T* x, T* y, std::int64_t n);
  Binary<T> add, sub, mul, div;
  Unary<T> exp, tanh;                            // save y
  Unary<T> log, erf, gelu_erf, gelu_tanh, relu;  // save x
};

}  // namespace holdfast::kernels
