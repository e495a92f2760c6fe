// Spans of small arenas, and their bits.
#pragma once

#include <cstring>
#include <string>
#include <vector>

#include "audit/reference/small_arena.h"
#include "train/spans.h"

namespace holdfast {

inline std::vector<ArenaSpan> head_spans(const ParameterArena& arena, const std::string& task) {
  return spans_of(arena, [&](const NamedSlice& slice) { return slice.task == task; });
}

inline bool same_bits(const Tensor& a, const Tensor& b) {
  return a.numel() == b.numel() && a.dtype() == b.dtype() &&
         std::memcmp(a.storage()->data(), b.storage()->data(),
                     static_cast<std::size_t>(a.numel() * size_of(a.dtype()))) == 0;
}

}  // namespace holdfast
