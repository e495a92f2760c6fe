#include "tensor/kernels/embedding_sum.h"

#include "tensor/kernels/dispatch.h"

namespace holdfast::kernels::HOLDFAST_ISA {
namespace {

template <class T>
void forward(const T* words, const T* positions, const T* types, const std::int32_t* ids,
             const std::int32_t* pos, const std::int32_t* type_ids, std::int64_t rows,
             std::int64_t C, T* y) {
  for (std::int64_t n = 0; n < rows; ++n) {
    const T* word = words + ids[n] * C;
    const T* position = positions + pos[n] * C;
    const T* type = types + type_ids[n] * C;
    T* y_n = y + n * C;
#pragma GCC ivdep
    for (std::int64_t c = 0; c < C; ++c) y_n[c] = word[c] + type[c] + position[c];
  }
}

template <class T>
constexpr EmbeddingSum<T> kTable{forward<T>};

}  // namespace

template <>
const EmbeddingSum<float>& table<EmbeddingSum<float>>() {
  return kTable<float>;
}
template <>
const EmbeddingSum<double>& table<EmbeddingSum<double>>() {
  return kTable<double>;
}

}  // namespace holdfast::kernels::HOLDFAST_ISA
