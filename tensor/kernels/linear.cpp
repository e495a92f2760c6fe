#include "tensor/kernels/linear.h"

#include "tensor/kernels/dispatch.h"
#include "tensor/kernels/multiply.h"

namespace holdfast::kernels::HOLDFAST_ISA {
namespace {

constexpr int kVectors = kVectorRegisters == 32 ? 4 : 2;  // of a block of 6 rows, in registers
template <class T>
constexpr std::int64_t kPanel = kVectors* kLanes<T>;

constexpr std::int64_t least(std::int64_t a, std::int64_t b) { return a < b ? a : b; }

template <class T>
void pack(const T* weight, std::int64_t I, std::int64_t O, std::int64_t begin, std::int64_t end,
          T* packed) {
  for (std::int64_t p = begin; p < end; ++p) {
    const std::int64_t first = p * kPanel<T>;
    transpose(least(kPanel<T>, O - first), I, weight + first * I, I, T{1}, packed + first * I,
              kPanel<T>);
  }
}

template <class T>
void forward(const T* x, const T* packed, const T* bias, std::int64_t rows, std::int64_t I,
             std::int64_t O, typename Activations<T>::Forward activation, T* y, T* slope) {
  // A block of results and its depth: together with a panel of W they stay in the caches nearest to
  // the core.
  constexpr std::int64_t kRows = 96, kDepth = 384;
  alignas(64) T block[kRows * kPanel<T>];
  for (std::int64_t r = 0; r < rows; r += kRows) {
    const std::int64_t height = least(kRows, rows - r);
    for (std::int64_t o = 0; o < O; o += kPanel<T>) {
      for (std::int64_t i = 0; i < I; i += kDepth) {
        multiply_panel<6, kVectors, false>(height, least(kDepth, I - i), x + r * I + i, I,
                                           packed + o * I + i * kPanel<T>, kPanel<T>, block,
                                           kPanel<T>, i > 0);
      }
      activation(bias + o, height, least(kPanel<T>, O - o), block, kPanel<T>, y + r * O + o,
                 slope == nullptr ? nullptr : slope + r * O + o, O);
    }
  }
}

template <class T>
constexpr Linear<T> kTable{kPanel<T>, pack<T>, forward<T>};

}  // namespace

template <>
const Linear<float>& table<Linear<float>>() {
  return kTable<float>;
}
template <>
const Linear<double>& table<Linear<double>>() {
  return kTable<double>;
}

}  // namespace holdfast::kernels::HOLDFAST_ISA
