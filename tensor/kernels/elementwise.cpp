#include "tensor/kernels/elementwise.h"

#include "tensor/kernels/dispatch.h"

namespace holdfast::kernels::HOLDFAST_ISA {
namespace {

template <class T>
void accumulate(const T* x, T* y, std::int64_t n) {
  for (std::int64_t i = 0; i < n; ++i) y[i] += x[i];
}

template <class T>
constexpr Elementwise<T> kTable{accumulate<T>};

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
