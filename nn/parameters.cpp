#include "nn/parameters.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <stdexcept>
#include <utility>

namespace holdfast {

std::size_t ParameterArena::declare(std::string name, const Shape& shape,
                                    std::vector<NamedSlice> slices) {
  if (values_.defined()) throw std::logic_error("[arena] declare after allocate: " + name);
  std::int64_t at = end_;
  for (NamedSlice& slice : slices) {
    slice.offset = at;
    slice.size = slice.shape.numel();
    at += slice.size;
  }
  if (at - end_ != shape.numel()) {
    throw std::logic_error("[arena] the slices of " + name + " do not make up " + shape.text());
  }
  std::move(slices.begin(), slices.end(), std::back_inserter(slices_));
  parameters_.push_back(Parameter{.name = std::move(name), .value = {}, .grad = {}});
  offsets_.push_back(end_);
  shapes_.push_back(shape);
  end_ = (at + kAlignment - 1) / kAlignment * kAlignment;
  return parameters_.size() - 1;
}

void ParameterArena::allocate(DType dtype) {
  const auto zeros = [&] {
    return Tensor::view(Storage::zeros(end_ * size_of(dtype)), 0, {end_}, dtype);
  };
  dtype_ = dtype;
  values_ = zeros();
  grads_ = zeros();
  for (const NamedSlice& slice : slices_) {  // embeddings: rows of words that no text has
    if (slice.layer == 0)
      grads_.storage()->expect_sparse(slice.offset * size_of(dtype),
                                      (slice.offset + slice.size) * size_of(dtype));
  }
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    parameters_[i].value = Tensor::view(values_.storage(), offsets_[i], shapes_[i], dtype);
    parameters_[i].grad = Tensor::view(grads_.storage(), offsets_[i], shapes_[i], dtype);
  }
}

void ParameterArena::borrow(
    DType dtype, const std::function<Tensor(const Shape&, std::span<const NamedSlice>)>& values) {
  dtype_ = dtype;
  auto begin = slices_.begin();
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    const std::int64_t next = i + 1 < offsets_.size() ? offsets_[i + 1] : end_;
    const auto end = std::find_if(begin, slices_.end(),
                                  [&](const NamedSlice& slice) { return slice.offset >= next; });
    parameters_[i].value = values(shapes_[i], {begin, end});
    begin = end;
  }
}

std::int64_t ParameterArena::parameter_count() const {
  std::int64_t count = 0;
  for (const NamedSlice& slice : slices_) count += slice.size;
  return count;
}

std::int64_t ParameterArena::trainable_count() const {
  std::int64_t count = 0;
  for (const NamedSlice& slice : slices_) count += trainable(slice) ? slice.size : 0;
  return count;
}

std::size_t ParameterArena::index_of(const NamedSlice& slice) const {
  const auto after = std::upper_bound(offsets_.begin(), offsets_.end(), slice.offset);
  return static_cast<std::size_t>(after - offsets_.begin()) - 1;
}

void ParameterArena::train_only(const std::function<bool(const NamedSlice&)>& wanted) {
  std::map<const Parameter*, bool> trainable;
  for (const NamedSlice& slice : slices_) {
    const Parameter& parameter = parameters_[index_of(slice)];
    const bool want = wanted(slice);
    if (trainable.emplace(&parameter, want).first->second != want) {
      throw std::invalid_argument("[arena] " + slice.name +
                                  " is one parameter with its neighbours (" + parameter.name +
                                  "): freeze or train them together");
    }
  }
  for (Parameter& parameter : parameters_) {
    parameter.trainable = trainable.at(&parameter);
    parameter.zero_grad();
    if (!parameter.trainable) parameter.grad.fill(0.0);
  }
}

void ParameterArena::train_all() {
  train_only([](const NamedSlice&) { return true; });
}

const NamedSlice* ParameterArena::find(std::string_view name) const {
  const auto found = std::find_if(slices_.begin(), slices_.end(),
                                  [&](const NamedSlice& slice) { return slice.name == name; });
  return found == slices_.end() ? nullptr : &*found;
}

Tensor ParameterArena::value(const NamedSlice& slice) const {
  const std::size_t i = index_of(slice);
  const Tensor& whole = parameters_[i].value;
  return Tensor::view(whole.storage(), whole.storage_offset() + slice.offset - offsets_[i],
                      slice.shape, dtype());
}

Tensor ParameterArena::grad(const NamedSlice& slice) const {
  return Tensor::view(grads_.storage(), slice.offset, slice.shape, dtype());
}

void ParameterArena::zero_grad() {
  for (Parameter& parameter : parameters_) parameter.zero_grad();
}

std::vector<std::string> ParameterArena::clear_unreached() {
  std::vector<std::string> names;
  for (Parameter& parameter : parameters_) {
    if (parameter.has_grad || !parameter.trainable) continue;
    parameter.grad.fill(0.0);
    names.push_back(parameter.name);
  }
  return names;
}

}  // namespace holdfast
