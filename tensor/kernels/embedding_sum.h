// The sum of three table look-ups.
#pragma once

#include <cstdint>

namespace holdfast::kernels {

template <class T>
struct EmbeddingSum {
  /// y[n] = words[ids[n]] + positions[pos[n]] + types[type_ids[n]]: tables have rows of C, y (rows,
  /// C). Ids are within tables.
  void (*forward)(const T* words, const T* positions, const T* types, const std::int32_t* ids,
                  const std::int32_t* pos, const std::int32_t* type_ids, std::int64_t rows,
                  std::int64_t C, T* y);
};

}  // namespace holdfast::kernels
