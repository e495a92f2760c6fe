// Small arenas for what works on flat spans: two layers of a matrix with bias and norm, embeddings,
// an old head and a new one.
#pragma once

#include <string>

#include "audit/reference/random_tensor.h"
#include "nn/parameters.h"

namespace holdfast {

inline NamedSlice slice_of(const std::string& name, const Shape& shape, int layer, bool decay,
                           const std::string& task = {}) {
  return {.name = name, .shape = shape, .layer = layer, .decay = decay, .task = task};
}

/// Values are uniform in [-1, 1), a pure function of seed; widths that are no multiple of 16 leave
/// gaps.
inline ParameterArena small_arena(std::uint64_t seed, DType dtype, std::int64_t width = 5) {
  ParameterArena arena;
  const auto add = [&](const std::string& name, const Shape& shape, int layer, bool decay,
                       const std::string& task = {}) {
    arena.declare(name, shape, {slice_of(name, shape, layer, decay, task)});
  };
  add("embeddings.word_embeddings.weight", {7, width}, 0, true);
  for (const int layer : {1, 2}) {
    const std::string block = "encoder.layer." + std::to_string(layer - 1) + ".";
    add(block + "dense.weight", {width + 1, width}, layer, true);
    add(block + "dense.bias", {width + 1}, layer, false);
    add(block + "LayerNorm.weight", {width + 1}, layer, false);
    add(block + "LayerNorm.bias", {width + 1}, layer, false);
  }
  add("heads.news.weight", {3, width}, 3, true, "news");
  add("heads.news.bias", {3}, 3, false, "news");
  add("heads.medical.weight", {2, width}, 3, true, "medical");
  add("heads.medical.bias", {2}, 3, false, "medical");
  arena.allocate(dtype);
  for (const NamedSlice& slice : arena.slices()) {
    arena.value(slice).copy_from(reference::random_tensor(
        slice.shape, seed + static_cast<std::uint64_t>(slice.offset), -1, 1, dtype));
  }
  return arena;
}

}  // namespace holdfast
