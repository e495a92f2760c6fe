#include "tensor/kernels/dropout.h"

#include "tensor/kernels/dispatch.h"
#include "tensor/kernels/philox.h"

namespace holdfast::kernels::HOLDFAST_ISA {
namespace {

template <class T>
void apply(const DropoutMask& mask, const std::int32_t* slots, const std::int32_t* tokens,
           const T* x, const T* residual, std::int64_t rows, std::int64_t C, T* y) {
  // Factors of a few rows at a time, or of a part of a wide row: they stay in the first-level
  // cache.
  constexpr std::int64_t kTile = 2048;
  alignas(64) T factors[kTile + kFactorsSlack];
  if (mask.threshold == 0) {
    for (T& factor : factors) factor = 1;
  }
  for (std::int64_t c = 0; c < C; c += kTile) {
    const std::int64_t width = C - c < kTile ? C - c : kTile;
    const std::int64_t octets = (width + 7) / 8, height = kTile / (8 * octets);
    for (std::int64_t r0 = 0; r0 < rows; r0 += height) {
      const std::int64_t r1 = r0 + height < rows ? r0 + height : rows;
      if (mask.threshold > 0)
        dropout_factors(mask, c / 8, slots + r0, tokens + r0, r1 - r0, octets, factors);
      for (std::int64_t r = r0; r < r1; ++r) {
        const T* factor = factors + (r - r0) * 8 * octets;
        const T* x_r = x + r * C + c;
        T* y_r = y + r * C + c;
        if (residual == nullptr) {
#pragma GCC ivdep
          for (std::int64_t i = 0; i < width; ++i) y_r[i] = x_r[i] * factor[i];
        } else {
          const T* residual_r = residual + r * C + c;
#pragma GCC ivdep
          for (std::int64_t i = 0; i < width; ++i) y_r[i] = residual_r[i] + x_r[i] * factor[i];
        }
      }
    }
  }
}

template <class T>
constexpr Dropout<T> kTable{apply<T>};

}  // namespace

template <>
const Dropout<float>& table<Dropout<float>>() {
  return kTable<float>;
}
template <>
const Dropout<double>& table<Dropout<double>>() {
  return kTable<double>;
}

}  // namespace holdfast::kernels::HOLDFAST_ISA
