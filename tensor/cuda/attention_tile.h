// Tiles of attention: B queries meet B keys, with what both need in a block's shared memory.
#pragma once

#include "tensor/cuda/launch.h"

namespace holdfast::cuda {

/// Elements that a tile of B rows and D channels takes: six matrices (B, D), rows one element
/// longer so that a column lies in different banks; scores, their gradients and dropout factors (B,
/// B); four numbers a row.
constexpr std::int64_t attention_elements(std::int64_t B, std::int64_t D) {
  return 6 * B * (D + 1) + 3 * B * B + 4 * B;
}

/// Rows of a tile: 32, 16 or 8 (whole octets of dropout decisions), the most that fit; 0: none do.
/// 32 only where several blocks fit a multiprocessor; with 8 most threads have no score to compute.
constexpr std::int64_t attention_tile(std::int64_t D, std::int64_t element_bytes) {
  for (std::int64_t B = 32; B >= 8; B /= 2) {
    const std::int64_t most = B == 32 ? kMaxSharedBytes : kMostSharedBytes;
    if (D <= most && attention_elements(B, D) * element_bytes <= most) return B;
  }
  return 0;
}

}  // namespace holdfast::cuda
