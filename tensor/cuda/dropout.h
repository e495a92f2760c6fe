// Dropout, as tensor/kernels/dropout.h: the same decisions, from the Philox of tensor/random.h.
#pragma once

#include "tensor/cuda/team.h"
#include "tensor/kernels/dropout.h"
#include "tensor/random.h"

namespace holdfast::cuda {

/// The eight decisions of channels [8 octet, 8 octet + 8) of row (slot, token).
struct DropoutOctet {
  PhiloxCounter numbers;
  std::uint32_t threshold;

  constexpr DropoutOctet(const kernels::DropoutMask& mask, std::int64_t octet, std::int32_t slot,
                         std::int32_t token)
      : numbers(philox({static_cast<std::uint32_t>(octet), static_cast<std::uint32_t>(token),
                        static_cast<std::uint32_t>(slot), mask.step},
                       {mask.key[0], mask.key[1]})),
        threshold(mask.threshold) {}
  constexpr bool kept(int channel) const {
    const std::uint32_t word = numbers[static_cast<std::size_t>(channel / 2)];
    return (channel % 2 == 0 ? word & 0xffff : word >> 16) >= threshold;
  }
};

template <class T>
struct DropoutRows {
  kernels::DropoutMask mask;
  const std::int32_t *slots, *tokens;
  const T *x, *residual;
  std::int64_t C;
  T* y;
  // Octet i of all rows.
  constexpr void operator()(std::int64_t i) const {
    const std::int64_t octets = pieces(C, 8), r = i / octets, octet = i % octets;
    const DropoutOctet decisions(mask, octet, slots[r], tokens[r]);
    const T scale = static_cast<T>(mask.keep_scale);
    const int width = static_cast<int>(least(8, C - 8 * octet));
    for (int c = 0; c < width; ++c) {
      const std::int64_t at = r * C + 8 * octet + c;
      const T kept = x[at] * (decisions.kept(c) ? scale : T(0));
      y[at] = residual == nullptr ? kept : residual[at] + kept;
    }
  }
};

template <class Launcher, class T>
constexpr kernels::Dropout<T> dropout{[](const kernels::DropoutMask& mask,
                                         const std::int32_t* slots, const std::int32_t* tokens,
                                         const T* x, const T* residual, std::int64_t rows,
                                         std::int64_t C, T* y) {
  for_each<Launcher>(DropoutRows<T>{mask, slots, tokens, x, residual, C, y}, rows * pieces(C, 8));
}};

}  // namespace holdfast::cuda
