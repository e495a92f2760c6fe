#include "tensor/kernels/reduce.h"

#include "tensor/kernels/dispatch.h"
#include "tensor/kernels/lanes.h"

namespace holdfast::kernels::HOLDFAST_ISA {
namespace {

template <class T>
void column_sum(const T* x, std::int64_t rows, std::int64_t cols, T* y) {
  if (cols == 1) {
    *y = sum<T>(
        rows, [=](std::int64_t r) { return load(x + r); }, [=](std::int64_t r) { return x[r]; });
    return;
  }
  for (std::int64_t c = 0; c < cols; ++c) y[c] = 0;
  for (std::int64_t r = 0; r < rows; ++r, x += cols) {
    for (std::int64_t c = 0; c < cols; ++c) y[c] += x[c];
  }
}

template <class T>
void column_dot(const T* x, const T* z, std::int64_t rows, std::int64_t cols, T* y) {
  if (cols == 1) {
    *y = sum<T>(
        rows, [=](std::int64_t r) { return load(x + r) * load(z + r); },
        [=](std::int64_t r) { return x[r] * z[r]; });
    return;
  }
  for (std::int64_t c = 0; c < cols; ++c) y[c] = 0;
  for (std::int64_t r = 0; r < rows; ++r, x += cols, z += cols) {
    for (std::int64_t c = 0; c < cols; ++c) y[c] += x[c] * z[c];
  }
}

template <class T>
constexpr Reduce<T> kTable{.column_sum = column_sum<T>, .column_dot = column_dot<T>};

}  // namespace

template <>
const Reduce<float>& table<Reduce<float>>() {
  return kTable<float>;
}
template <>
const Reduce<double>& table<Reduce<double>>() {
  return kTable<double>;
}

}  // namespace holdfast::kernels::HOLDFAST_ISA
