// Element types of tensors.
#pragma once

#include <bit>
#include <cstdint>
#include <string_view>
#include <type_traits>

namespace holdfast {

/// bfloat16: the upper half of an f32, so 8 bits of exponent and 7 of fraction. Operands of matrix
/// products alone (tensor/blas.h); there is no arithmetic on it.
struct Bf16 {
  std::uint16_t bits = 0;

  Bf16() = default;
  /// Rounded to f32 and from there to nearest, ties to even; beyond the largest bf16 infinity. A
  /// NaN stays one, quiet.
  template <class T>
  explicit constexpr Bf16(T value)
      : bits(rounded(std::bit_cast<std::uint32_t>(static_cast<float>(value)))) {}
  /// Exact for f32 and f64.
  template <class T>
  explicit constexpr operator T() const {
    return static_cast<T>(std::bit_cast<float>(std::uint32_t{bits} << 16));
  }

 private:
  static constexpr std::uint16_t rounded(std::uint32_t x) {
    if ((x & 0x7FFFFFFF) > 0x7F800000) return static_cast<std::uint16_t>(x >> 16 | 0x40);
    return static_cast<std::uint16_t>((x + 0x7FFF + (x >> 16 & 1)) >> 16);
  }
};

enum class DType { f32, f64, i32, bf16 };

constexpr std::int64_t size_of(DType dtype) {
  return dtype == DType::f64 ? 8 : dtype == DType::bf16 ? 2 : 4;
}

constexpr std::string_view name_of(DType dtype) {
  return dtype == DType::f32    ? "f32"
         : dtype == DType::f64  ? "f64"
         : dtype == DType::bf16 ? "bf16"
                                : "i32";
}

template <class T>
constexpr DType dtype_of() {
  static_assert(std::is_same_v<T, float> || std::is_same_v<T, double> ||
                std::is_same_v<T, std::int32_t> || std::is_same_v<T, Bf16>);
  if constexpr (std::is_same_v<T, float>) return DType::f32;
  if constexpr (std::is_same_v<T, double>) return DType::f64;
  if constexpr (std::is_same_v<T, Bf16>) return DType::bf16;
  return DType::i32;
}

/// Calls function.template operator()<T>() with the elements' type.
template <class Function>
constexpr void with_type(DType dtype, Function&& function) {
  switch (dtype) {
    case DType::f32:
      return function.template operator()<float>();
    case DType::f64:
      return function.template operator()<double>();
    case DType::i32:
      return function.template operator()<std::int32_t>();
    case DType::bf16:
      return function.template operator()<Bf16>();
  }
}

}  // namespace holdfast
