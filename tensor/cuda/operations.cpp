#include "tensor/cuda/operations.h"

#include "tensor/cuda/attention_tile.h"
#include "tensor/cuda/sums.h"

namespace holdfast::cuda {

std::int64_t partial_sums(std::int64_t outer, std::int64_t n, std::int64_t inner) {
  std::int64_t elements = 0;
  while (n > kSumRows) {
    n = pieces(n, kSumRows);
    elements += outer * n * inner;
  }
  return elements;
}

bool attention_fits(std::int64_t channels, std::int64_t element_bytes) {
  return attention_tile(channels, element_bytes) > 0;
}

}  // namespace holdfast::cuda
