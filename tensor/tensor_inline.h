// Template members of tensor.h.
#pragma once

#include <algorithm>
#include <stdexcept>
#include <string>

namespace holdfast {

namespace detail {
[[noreturn]] void throw_wrong_dtype(DType wanted, DType found);
[[noreturn]] void throw_not_contiguous(const Shape& shape);
[[noreturn]] void throw_no_float(std::string_view op, DType found);
[[noreturn]] void throw_wrong_count(std::size_t count, const Shape& shape);
}  // namespace detail

template <class T>
T* Tensor::data() const {
  if (dtype_ != dtype_of<T>()) detail::throw_wrong_dtype(dtype_of<T>(), dtype_);
  return storage_ ? reinterpret_cast<T*>(storage_->data()) + offset_ : nullptr;
}

template <class T>
T* Tensor::data(Device on) const {
  if (dtype_ != dtype_of<T>()) detail::throw_wrong_dtype(dtype_of<T>(), dtype_);
  return storage_ ? reinterpret_cast<T*>(storage_->data(on)) + offset_ : nullptr;
}

template <class T>
std::span<T> Tensor::span() const {
  if (!is_contiguous()) detail::throw_not_contiguous(shape_);
  return {data<T>(), static_cast<std::size_t>(numel_)};
}

template <class T>
std::span<const T> Tensor::read() const {
  if (dtype_ != dtype_of<T>()) detail::throw_wrong_dtype(dtype_of<T>(), dtype_);
  if (!is_contiguous()) detail::throw_not_contiguous(shape_);
  if (!storage_) return {};
  return {reinterpret_cast<const T*>(storage_->read()) + offset_, static_cast<std::size_t>(numel_)};
}

template <class T>
Tensor Tensor::from(std::span<const T> values, const Shape& shape, Device device) {
  if (static_cast<std::int64_t>(values.size()) != shape.numel())
    detail::throw_wrong_count(values.size(), shape);
  Tensor out = empty(shape, dtype_of<T>(), device);
  out.storage_->write(values.data(), out.numel_ * size_of(out.dtype_));
  return out;
}

template <class Function>
decltype(auto) dispatch(DType dtype, std::string_view op, Function&& function) {
  switch (dtype) {
    case DType::f32:
      return function.template operator()<float>();
    case DType::f64:
      return function.template operator()<double>();
    default:
      detail::throw_no_float(op, dtype);
  }
}

}  // namespace holdfast
