#include "tensor/kernels/squares.h"

#include "tensor/kernels/dispatch.h"

namespace holdfast::kernels::HOLDFAST_ISA {
namespace {

template <class T>
void add_squares(const T* __restrict x, T* __restrict y, std::int64_t n) {
  for (std::int64_t i = 0; i < n; ++i) y[i] += x[i] * x[i];
}

template <class T>
void square(const T* __restrict x, T* __restrict y, std::int64_t n) {
  for (std::int64_t i = 0; i < n; ++i) y[i] = x[i] * x[i];
}

template <class T>
void widen_add(const T* __restrict x, double* __restrict y, std::int64_t n) {
  for (std::int64_t i = 0; i < n; ++i) y[i] += static_cast<double>(x[i]);
}

template <class T>
void widen_add_squares(const T* __restrict x, double* __restrict y, std::int64_t n) {
  for (std::int64_t i = 0; i < n; ++i) {
    y[i] += static_cast<double>(x[i]) * static_cast<double>(x[i]);
  }
}

template <class T>
void column_sums(const T* __restrict a, std::int64_t rows, std::int64_t stride, T* __restrict y,
                 std::int64_t n) {
  for (std::int64_t j = 0; j < n; ++j) y[j] = 0;
  for (std::int64_t t = 0; t < rows; ++t, a += stride) {
    for (std::int64_t j = 0; j < n; ++j) y[j] += a[j];
  }
}

template <class T>
void column_products(const T* __restrict a, const T* __restrict b, std::int64_t rows,
                     std::int64_t stride, T* __restrict y, std::int64_t n) {
  for (std::int64_t j = 0; j < n; ++j) y[j] = 0;
  for (std::int64_t t = 0; t < rows; ++t, a += stride, b += stride) {
    for (std::int64_t j = 0; j < n; ++j) y[j] += a[j] * b[j];
  }
}

template <class T>
constexpr Squares<T> kTable{add_squares<T>,       square<T>,      widen_add<T>,
                            widen_add_squares<T>, column_sums<T>, column_products<T>};

}  // namespace

template <>
const Squares<float>& table<Squares<float>>() {
  return kTable<float>;
}
template <>
const Squares<double>& table<Squares<double>>() {
  return kTable<double>;
}

}  // namespace holdfast::kernels::HOLDFAST_ISA
