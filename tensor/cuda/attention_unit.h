// How attention is cut: which rows of which text and head a block computes.
#pragma once

#include <cmath>

#include "tensor/cuda/operations.h"

namespace holdfast::cuda {

/// A block's part: one head of one text, one tile of its rows.
struct AttentionUnit {
  std::int64_t text, head, first;  // first row of the tile, within the text

  constexpr AttentionUnit(std::int64_t block, std::int64_t heads, std::int64_t tiles,
                          std::int64_t tile)
      : text(block / tiles / heads), head(block / tiles % heads), first(block % tiles * tile) {}
};

/// Rows of one text.
struct TextRows {
  std::int64_t begin, count;
  constexpr TextRows(const std::int32_t* offsets, std::int64_t text)
      : begin(offsets[text]), count(offsets[text + 1] - offsets[text]) {}
};

template <class T>
constexpr T attention_scale(std::int64_t channels) {
  return static_cast<T>(1.0 / std::sqrt(static_cast<double>(channels)));
}

}  // namespace holdfast::cuda
