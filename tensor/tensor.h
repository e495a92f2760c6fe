// A tensor: a strided view of shared storage. Copies share memory; clone() copies.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "tensor/dtype.h"
#include "tensor/shape.h"
#include "tensor/storage.h"

namespace holdfast {

class Tensor {
 public:
  Tensor() = default;  // undefined: no storage; defined() is false

  /// A new contiguous tensor on the current device, elements unspecified / zero / all equal to
  /// `value`. Integers (i32) on a device are the host's: operations there read them, none writes
  /// them (Storage::Writer).
  static Tensor empty(const Shape& shape, DType dtype, Device device = current_device());
  static Tensor zeros(const Shape& shape, DType dtype);
  static Tensor full(const Shape& shape, DType dtype, double value);
  /// Copies `values` (row-major). Throws std::invalid_argument when their number is not
  /// shape.numel().
  template <class T>
  static Tensor from(std::span<const T> values, const Shape& shape,
                     Device device = current_device());
  template <class T>
  static Tensor from(const std::vector<T>& values, const Shape& shape,
                     Device device = current_device()) {
    return from(std::span<const T>(values), shape, device);
  }
  /// A contiguous view of `storage` that begins `offset` elements in. Throws std::invalid_argument
  /// outside the storage.
  static Tensor view(std::shared_ptr<Storage> storage, std::int64_t offset, const Shape& shape,
                     DType dtype);

  bool defined() const { return storage_ != nullptr; }
  const Shape& shape() const { return shape_; }
  int rank() const { return shape_.rank(); }
  std::int64_t size(int axis) const { return shape_[axis]; }
  std::int64_t numel() const { return numel_; }
  DType dtype() const { return dtype_; }
  std::int64_t stride(int axis) const {
    return strides_[static_cast<std::size_t>(shape_.wrap(axis))];
  }
  bool is_contiguous() const;
  const std::shared_ptr<Storage>& storage() const { return storage_; }
  /// Where its memory is; of an undefined tensor the CPU.
  Device device() const { return storage_ ? storage_->device() : Device(); }
  std::int64_t storage_offset() const { return offset_; }

  /// The first element. Throws std::invalid_argument when T is not the element type. Constness is
  /// shallow, as for a span.
  template <class T>
  T* data() const;
  /// The same for an operation that runs on `on`: does not wait where the tensor is there
  /// (Storage::data).
  template <class T>
  T* data(Device on) const;
  /// All elements in row-major order; the tensor must be contiguous, else std::invalid_argument.
  template <class T>
  std::span<T> span() const;
  /// The same, to read only: does not wait for integers that a device was given.
  template <class T>
  std::span<const T> read() const;
  /// The only element, converted. Throws std::invalid_argument unless numel() == 1.
  double item() const;
  /// All elements in row-major order, copied and converted (tests, printing).
  std::vector<double> to_vector() const;

  // Views: no element is copied, except by reshape and contiguous where the strides demand it.
  Tensor reshape(const Shape& shape) const;
  Tensor transpose(int axis0, int axis1) const;
  Tensor slice(int axis, std::int64_t begin, std::int64_t end) const;
  /// A view with this (broadcast-compatible) larger shape; new or stretched axes have stride 0.
  Tensor expand(const Shape& shape) const;
  Tensor contiguous() const;     // itself if contiguous already
  Tensor clone() const;          // always a copy, contiguous
  Tensor to(DType dtype) const;  // itself if it has that type already
  /// Itself if it is there already, else a contiguous copy: for reading all of what a device goes
  /// on to use, as pages that the host reads itself leave the device.
  Tensor to(Device device) const;

  /// Overwrites the elements. Throws std::invalid_argument on another shape; element types are
  /// converted.
  void copy_from(const Tensor& source) const;
  void fill(double value) const;

 private:
  void copy_on_device(const Tensor& source) const;
  void copy_bytes(Device on, const Tensor& source) const;

  std::shared_ptr<Storage> storage_;
  Shape shape_;
  std::array<std::int64_t, Shape::kMaxRank> strides_{};
  std::int64_t offset_ = 0;
  std::int64_t numel_ = 0;
  DType dtype_ = DType::f32;
};

/// Calls function.template operator()<T>() with T = float or double. Throws std::invalid_argument,
/// naming `op`, otherwise.
template <class Function>
decltype(auto) dispatch(DType dtype, std::string_view op, Function&& function);

}  // namespace holdfast

#include "tensor/tensor_inline.h"
