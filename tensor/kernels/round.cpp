#include "tensor/kernels/round.h"

#include "tensor/kernels/dispatch.h"

namespace holdfast::kernels::HOLDFAST_ISA {
namespace {

// The upper half, plus one when the lower half is more than half, or half and the upper one is odd.
// What is beyond infinity is a NaN: rounding might carry it away, so its quiet bit is set instead.
void to_bf16(const float* x, std::int64_t n, Bf16* y) {
  for (std::int64_t i = 0; i < n; ++i) {
    const auto bits = __builtin_bit_cast(std::uint32_t, x[i]);
    const std::uint32_t rounded = bits + 0x7FFF + (bits >> 16 & 1);
    const bool nan = (bits & 0x7FFFFFFF) > 0x7F800000;
    y[i].bits = static_cast<std::uint16_t>((nan ? bits | 0x400000 : rounded) >> 16);
  }
}

}  // namespace

template <>
const Round& table<Round>() {
  static constexpr Round kTable{to_bf16};
  return kTable;
}

}  // namespace holdfast::kernels::HOLDFAST_ISA
