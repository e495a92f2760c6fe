// What a run's tensors take whatever the batch. Tested by tests/train/memory_test.cpp.
#pragma once

#include <cstdint>

#include "nn/model.h"
#include "train/recipe.h"

namespace holdfast {

/// Bytes of the buffers of a model's size that a run of `recipe` holds at once at its highest: the
/// start and the model that learns (values and gradients each), what its measures keep, and the
/// largest of Adam's moments, the sums in which importance is measured, and a merge. Activations
/// come on top.
std::int64_t model_buffer_bytes(const Recipe& recipe, const Model& model);

/// Throws std::runtime_error naming the least budget when training.memory_budget is below
/// model_buffer_bytes().
void check_memory_budget(const Recipe& recipe, const Model& model);

}  // namespace holdfast
