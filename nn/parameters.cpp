#include "nn/parameters.h"

#include <algorithm>
#include <iterator>
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
  values_ = Tensor::zeros({end_}, dtype);
  grads_ = Tensor::zeros({end_}, dtype);
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    parameters_[i].value = Tensor::view(values_.storage(), offsets_[i], shapes_[i], dtype);
    parameters_[i].grad = Tensor::view(grads_.storage(), offsets_[i], shapes_[i], dtype);
  }
}

std::int64_t ParameterArena::parameter_count() const {
  std::int64_t count = 0;
  for (const NamedSlice& slice : slices_) count += slice.size;
  return count;
}

const NamedSlice* ParameterArena::find(std::string_view name) const {
  const auto found = std::find_if(slices_.begin(), slices_.end(),
                                  [&](const NamedSlice& slice) { return slice.name == name; });
  return found == slices_.end() ? nullptr : &*found;
}

Tensor ParameterArena::value(const NamedSlice& slice) const {
  return Tensor::view(values_.storage(), slice.offset, slice.shape, dtype());
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
    if (parameter.has_grad) continue;
    parameter.grad.fill(0.0);
    names.push_back(parameter.name);
  }
  return names;
}

}  // namespace holdfast
