#include "tensor/kernels/per_sample.h"

#include "tensor/kernels/dispatch.h"

namespace holdfast::kernels::HOLDFAST_ISA {
namespace {

struct Square {
  template <class T>
  static T of(T x) {
    return x * x;
  }
};

struct Absolute {
  template <class T>
  static T of(T x) {
    return x < 0 ? -x : x;
  }
};

template <class F, class T>
void assign(const T* __restrict x, T* __restrict y, std::int64_t n) {
  for (std::int64_t i = 0; i < n; ++i) y[i] = F::of(x[i]);
}

template <class F, class T>
void add(const T* __restrict x, T* __restrict y, std::int64_t n) {
  for (std::int64_t i = 0; i < n; ++i) y[i] += F::of(x[i]);
}

template <class F, class T>
void widen_add_of(const T* __restrict x, double* __restrict y, std::int64_t n) {
  for (std::int64_t i = 0; i < n; ++i) y[i] += F::of(static_cast<double>(x[i]));
}

template <class T>
void widen_add(const T* __restrict x, double* __restrict y, std::int64_t n) {
  for (std::int64_t i = 0; i < n; ++i) y[i] += static_cast<double>(x[i]);
}

template <class T>
void column_sums(const T* __restrict a, std::int64_t rows, std::int64_t stride, T* __restrict y,
                 std::int64_t n) {
  for (std::int64_t t = 0; t < rows; ++t, a += stride) {
    for (std::int64_t j = 0; j < n; ++j) y[j] += a[j];
  }
}

template <class T>
void column_products(const T* __restrict a, const T* __restrict b, std::int64_t rows,
                     std::int64_t stride, T* __restrict y, std::int64_t n) {
  for (std::int64_t t = 0; t < rows; ++t, a += stride, b += stride) {
    for (std::int64_t j = 0; j < n; ++j) y[j] += a[j] * b[j];
  }
}

template <class F, class T>
constexpr Magnitude<T> kMagnitude{assign<F, T>, add<F, T>, widen_add_of<F, T>};

template <class T>
constexpr PerSample<T> kTable{kMagnitude<Square, T>, kMagnitude<Absolute, T>, widen_add<T>,
                              column_sums<T>, column_products<T>};

}  // namespace

template <>
const PerSample<float>& table<PerSample<float>>() {
  return kTable<float>;
}
template <>
const PerSample<double>& table<PerSample<double>>() {
  return kTable<double>;
}

}  // namespace holdfast::kernels::HOLDFAST_ISA
