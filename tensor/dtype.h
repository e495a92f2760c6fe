// Element types of tensors.
#pragma once

#include <cstdint>
#include <string_view>
#include <type_traits>

namespace holdfast {

enum class DType { f32, f64, i32 };

constexpr std::int64_t size_of(DType dtype) { return dtype == DType::f64 ? 8 : 4; }

constexpr std::string_view name_of(DType dtype) {
  return dtype == DType::f32 ? "f32" : dtype == DType::f64 ? "f64" : "i32";
}

template <class T>
constexpr DType dtype_of() {
  static_assert(std::is_same_v<T, float> || std::is_same_v<T, double> || std::is_same_v<T, std::int32_t>);
  if constexpr (std::is_same_v<T, float>) return DType::f32;
  if constexpr (std::is_same_v<T, double>) return DType::f64;
  return DType::i32;
}

}  // namespace holdfast
