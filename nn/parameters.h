// The parameter arena: all parameters of a model in one contiguous buffer, gradients in another of
// the same layout. Whatever is arithmetic over theta (AdamW, clipping, EWC, hashing, merging,
// checkpoints) is one short function over flat spans.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "autograd/var.h"

namespace holdfast {

/// A tensor of a model file: a Hugging Face name and its slice of the arena. Several may make up
/// one Parameter: queries, keys and values are one GEMM over one slice with three names.
struct NamedSlice {
  std::string name;  // without the "bert." prefix for the encoder; heads: "classifier.weight"
                     // ("heads.<task>.weight" internally)
  Shape shape;
  std::int64_t offset = 0;  // elements from the arena's start
  std::int64_t size = 0;
  int layer = 0;         // 0 embeddings, 1..L encoder layers, L+1 pooler and heads
  bool decay = true;     // false for biases and layer norms
  std::string task;      // the head's task; empty for what all tasks share
  bool adapter = false;  // of an adapter (nn/adapter.h)
};

class ParameterArena {
 public:
  static constexpr std::int64_t kAlignment = 16;  // elements

  /// Declares a parameter made of slices stacked along the first axis (their offset and size are
  /// filled in here). Returns its index. Throws std::logic_error after allocate() and when the
  /// slices do not make up the shape.
  std::size_t declare(std::string name, const Shape& shape, std::vector<NamedSlice> slices);
  /// Allocates values (zeros) and gradients in the order of declaration; each parameter begins at a
  /// multiple of kAlignment elements, the gaps between are zeros that never change. Gradients take
  /// memory when the first backward pass writes them (Storage::zeros): a model that is only asked
  /// has none.
  void allocate(DType dtype);
  /// Instead, for a model that only answers: the values of each parameter, made of these slices,
  /// are what `values` gives, perhaps a view of a file. values() and grads() stay undefined.
  void borrow(DType dtype,
              const std::function<Tensor(const Shape&, std::span<const NamedSlice>)>& values);

  DType dtype() const { return dtype_; }
  std::int64_t numel() const { return end_; }  // gaps included
  /// Elements of all parameters, frozen ones included, gaps excluded.
  std::int64_t parameter_count() const;
  /// Elements of the parameters that are not frozen.
  std::int64_t trainable_count() const;
  const Tensor& values() const { return values_; }  // (n)
  const Tensor& grads() const { return grads_; }    // (n); gaps are zero
  Parameter& operator[](std::size_t index) { return parameters_[index]; }
  std::deque<Parameter>& parameters() { return parameters_; }
  const std::vector<NamedSlice>& slices() const { return slices_; }  // in arena order
  const NamedSlice* find(std::string_view name) const;
  /// The slice's values as a tensor view.
  Tensor value(const NamedSlice& slice) const;
  /// The slice's gradient as a tensor view.
  Tensor grad(const NamedSlice& slice) const;

  /// Freezes all parameters but those whose slices `wanted` accepts. Frozen parameters are
  /// constants of the graph (Parameter::trainable), and their slices of grads() are zero from here
  /// on: an optimizer that adds anything else to a gradient (moments, weight decay, penalties) must
  /// leave them out. Throws std::invalid_argument, changing nothing, when the slices of one
  /// parameter (queries, keys and values) are not of one mind.
  void train_only(const std::function<bool(const NamedSlice&)>& wanted);
  void train_all();
  bool trainable(const NamedSlice& slice) const { return parameters_[index_of(slice)].trainable; }

  /// Forgets all gradients. A gradient slice that no backward pass then reaches is stale: call
  /// clear_unreached() before reading grads().
  void zero_grad();
  /// Sets the gradients of trainable parameters that no backward pass has reached to zero; returns
  /// their names.
  std::vector<std::string> clear_unreached();

 private:
  std::size_t index_of(const NamedSlice& slice) const;  // of its parameter

  std::deque<Parameter> parameters_;  // stable addresses
  std::vector<NamedSlice> slices_;
  std::vector<std::int64_t> offsets_;  // of each parameter
  std::vector<Shape> shapes_;
  std::int64_t end_ = 0;  // where the next parameter begins
  DType dtype_ = DType::f32;
  Tensor values_, grads_;
};

}  // namespace holdfast
