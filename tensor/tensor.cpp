#include "tensor/tensor.h"

#include "tensor/cuda/runtime.h"
#include "tensor/view_pair.h"

namespace holdfast {

namespace detail {
void throw_wrong_dtype(DType wanted, DType found) {
  throw std::invalid_argument("[tensor] elements are " + std::string(name_of(found)) + ", not " +
                              std::string(name_of(wanted)));
}
void throw_not_contiguous(const Shape& shape) {
  throw std::invalid_argument("[tensor] a view of shape " + shape.text() +
                              " is not contiguous: call contiguous()");
}
void throw_no_float(std::string_view op, DType found) {
  throw std::invalid_argument("[" + std::string(op) + "] needs f32 or f64, not " +
                              std::string(name_of(found)));
}
void throw_wrong_count(std::size_t count, const Shape& shape) {
  throw std::invalid_argument("[tensor] " + std::to_string(count) + " values for shape " +
                              shape.text());
}
}  // namespace detail

namespace {

std::array<std::int64_t, Shape::kMaxRank> row_major(const Shape& shape) {
  std::array<std::int64_t, Shape::kMaxRank> strides{};
  std::int64_t stride = 1;
  for (int i = shape.rank() - 1; i >= 0; --i) {
    strides[static_cast<std::size_t>(i)] = stride;
    stride *= shape[i];
  }
  return strides;
}

// Calls visit(a, b) with the element offsets of both tensors, in row-major order. Shapes are equal.
// The last axis is a loop of its own, which compilers make copies of vectors where its steps are 1.
template <class Visit>
void for_each_pair(const Tensor& a, const Tensor& b, Visit&& visit) {
  const int rank = a.rank();
  if (a.numel() == 0) return;
  const std::int64_t run = rank == 0 ? 1 : a.size(-1);
  const std::int64_t step_a = rank == 0 ? 1 : a.stride(-1), step_b = rank == 0 ? 1 : b.stride(-1);
  std::array<std::int64_t, Shape::kMaxRank> at{};
  std::int64_t ia = 0, ib = 0;
  for (std::int64_t n = a.numel() / run; n > 0; --n) {
    for (std::int64_t i = 0; i < run; ++i) visit(ia + i * step_a, ib + i * step_b);
    for (int axis = rank - 2; axis >= 0; --axis) {
      std::int64_t& i = at[static_cast<std::size_t>(axis)];
      ia += a.stride(axis), ib += b.stride(axis);
      if (++i < a.size(axis)) break;
      ia -= i * a.stride(axis), ib -= i * b.stride(axis);
      i = 0;
    }
  }
}

}  // namespace

Tensor Tensor::empty(const Shape& shape, DType dtype, Device device) {
  std::int64_t bytes = 0;
  if (__builtin_mul_overflow(shape.numel(), size_of(dtype), &bytes)) {
    throw std::invalid_argument("[tensor] too many bytes for " + shape.text());
  }
  const auto writer = dtype == DType::i32 ? Storage::Writer::host : Storage::Writer::anyone;
  return view(std::make_shared<Storage>(bytes, device, writer), 0, shape, dtype);
}

Tensor Tensor::zeros(const Shape& shape, DType dtype) {
  Tensor out = empty(shape, dtype);
  out.storage_->clear(0, out.numel_ * size_of(dtype));
  return out;
}

Tensor Tensor::full(const Shape& shape, DType dtype, double value) {
  Tensor out = empty(shape, dtype);
  out.fill(value);
  return out;
}

Tensor Tensor::view(std::shared_ptr<Storage> storage, std::int64_t offset, const Shape& shape,
                    DType dtype) {
  Tensor out;
  out.numel_ = shape.numel();
  if (offset < 0 || (offset + out.numel_) * size_of(dtype) > storage->bytes()) {
    throw std::invalid_argument("[tensor] a view of shape " + shape.text() +
                                " reaches outside its storage");
  }
  out.storage_ = std::move(storage);
  out.shape_ = shape;
  out.strides_ = row_major(shape);
  out.offset_ = offset;
  out.dtype_ = dtype;
  return out;
}

bool Tensor::is_contiguous() const {
  const auto wanted = row_major(shape_);
  for (int i = 0; i < rank(); ++i) {
    if (size(i) != 1 && stride(i) != wanted[static_cast<std::size_t>(i)]) return numel_ == 0;
  }
  return true;
}

double Tensor::item() const {
  if (numel_ != 1)
    throw std::invalid_argument("[item] shape " + shape_.text() + " has not exactly one element");
  return to_vector().front();
}

std::vector<double> Tensor::to_vector() const {
  const Tensor dense = contiguous();
  std::vector<double> out(static_cast<std::size_t>(numel_));
  with_type(dtype_, [&]<class T>() {
    std::transform(dense.data<T>(), dense.data<T>() + numel_, out.begin(),
                   [](T x) { return static_cast<double>(x); });
  });
  return out;
}

Tensor Tensor::reshape(const Shape& shape) const {
  if (shape.numel() != numel_) {
    throw std::invalid_argument("[reshape] " + shape_.text() +
                                " has another number of elements than " + shape.text());
  }
  Tensor out = contiguous();
  out.shape_ = shape;
  out.strides_ = row_major(shape);
  return out;
}

Tensor Tensor::transpose(int axis0, int axis1) const {
  const auto a = static_cast<std::size_t>(shape_.wrap(axis0)),
             b = static_cast<std::size_t>(shape_.wrap(axis1));
  Tensor out = *this;
  std::swap(out.strides_[a], out.strides_[b]);
  out.shape_ = shape_.with(axis0, shape_[axis1]).with(axis1, shape_[axis0]);
  return out;
}

Tensor Tensor::slice(int axis, std::int64_t begin, std::int64_t end) const {
  const std::int64_t extent = shape_[axis];
  if (begin < 0 || end < begin || end > extent) {
    throw std::invalid_argument("[slice] [" + std::to_string(begin) + "," + std::to_string(end) +
                                ") outside axis " + std::to_string(axis) + " of " + shape_.text());
  }
  Tensor out = *this;
  out.offset_ += begin * stride(axis);
  out.shape_ = shape_.with(axis, end - begin);
  out.numel_ = out.shape_.numel();
  return out;
}

Tensor Tensor::expand(const Shape& shape) const {
  if (broadcast(shape_, shape) != shape) {
    throw std::invalid_argument("[expand] " + shape_.text() + " does not broadcast to " +
                                shape.text());
  }
  Tensor out = *this;
  out.shape_ = shape;
  out.numel_ = shape.numel();
  out.strides_.fill(0);
  for (int i = 1; i <= rank(); ++i) {
    if (size(-i) == shape[-i])
      out.strides_[static_cast<std::size_t>(shape.rank() - i)] = stride(-i);
  }
  return out;
}

Tensor Tensor::contiguous() const { return is_contiguous() ? *this : clone(); }

Tensor Tensor::clone() const {
  Tensor out = empty(shape_, dtype_);
  out.copy_from(*this);
  return out;
}

Tensor Tensor::to(DType dtype) const {
  if (dtype == dtype_) return *this;
  Tensor out = empty(shape_, dtype);
  out.copy_from(*this);
  return out;
}

Tensor Tensor::to(Device device) const {
  if (device == this->device()) return *this;
  Tensor out = empty(shape_, dtype_, device);
  out.copy_from(contiguous());
  return out;
}

void Tensor::copy_from(const Tensor& source) const {
  if (source.shape_ != shape_) {
    throw std::invalid_argument("[copy] from " + source.shape_.text() + " to " + shape_.text());
  }
  const Device on = device().is_cuda() ? device() : source.device();
  const bool integers = dtype_ == DType::i32 || source.dtype_ == DType::i32;  // the host's
  if (on.is_cuda() && !integers) {
    if (source.dtype_ == dtype_ && is_contiguous() && source.is_contiguous())
      return copy_bytes(on, source);
    if (source.device() == device()) return copy_on_device(source);
  }
  with_type(dtype_, [&]<class To>() {
    To* to = data<To>();
    with_type(source.dtype_, [&]<class From>() {
      const From* from = source.data<From>();
      if (is_contiguous() && source.is_contiguous()) {
        std::transform(from, from + numel_, to, [](From x) { return static_cast<To>(x); });
      } else {
        for_each_pair(*this, source,
                      [&](std::int64_t i, std::int64_t j) { to[i] = static_cast<To>(from[j]); });
      }
    });
  });
}

// By the device `on`, where at least one of both is.
void Tensor::copy_bytes(Device on, const Tensor& source) const {
  const std::int64_t size = size_of(dtype_);
  cuda::runtime()->copy(on.cuda, source.storage_->data(on) + source.offset_ * size,
                        storage_->data(on) + offset_ * size, numel_ * size);
  if (source.device() != device()) cuda::runtime()->wait(on.cuda);
}

void Tensor::copy_on_device(const Tensor& source) const {
  const Device on = device();
  cuda::table<cuda::Copies>(on.cuda).copy(
      view_pair(*this, source), source.dtype_,
      source.storage_->data(on) + source.offset_ * size_of(source.dtype_), dtype_,
      storage_->data(on) + offset_ * size_of(dtype_));
}

void Tensor::fill(double value) const {
  if (device().is_cuda() && dtype_ != DType::i32) {
    std::byte* first = storage_->data(device()) + offset_ * size_of(dtype_);
    return cuda::table<cuda::Copies>(device().cuda)
        .fill(view_pair(*this, *this), value, dtype_, first);
  }
  with_type(dtype_, [&]<class T>() {
    T* out = data<T>();
    for_each_pair(*this, *this,
                  [&](std::int64_t i, std::int64_t) { out[i] = static_cast<T>(value); });
  });
}

}  // namespace holdfast
