// TF32 as a float: 10 bits of fraction, the exponents of f32.
#pragma once

#include <bit>
#include <cstdint>

namespace holdfast {

/// The number of TF32 nearest to a finite x, of two equally near ones the larger in magnitude, as
/// the conversion cvt.rna.tf32.f32 of GPUs has it.
inline float nearest_tf32(float x) {
  constexpr std::uint32_t kHalf = 1 << 12, kDropped = (1 << 13) - 1;
  return std::bit_cast<float>((std::bit_cast<std::uint32_t>(x) + kHalf) & ~kDropped);
}

}  // namespace holdfast
