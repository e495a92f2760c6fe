// Runs of the flat arena, cut into fixed pieces: what is arithmetic over part of theta works on
// these. Tested by tests/train/spans_test.cpp.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string_view>
#include <vector>

#include "nn/parameters.h"

namespace holdfast {

/// Elements [begin, end) of the arena. Lists of them are in ascending order without overlap.
struct ArenaSpan {
  std::int64_t begin = 0, end = 0;
  std::int64_t size() const { return end - begin; }
  bool operator==(const ArenaSpan&) const = default;
};

/// Elements of a piece: the unit of parallel work and of summation, whatever the number of threads.
inline constexpr std::int64_t kPiece = 1 << 14;

/// The slices that `wanted` accepts, neighbours joined.
std::vector<ArenaSpan> spans_of(const ParameterArena& arena,
                                const std::function<bool(const NamedSlice&)>& wanted);
/// What all tasks share: everything but the heads, and with them the one of `shared_head`.
std::vector<ArenaSpan> shared_spans(const ParameterArena& arena, std::string_view shared_head = {});
/// Appends [begin, end), joined to the last one where that ends at `begin`.
void append_span(std::vector<ArenaSpan>& spans, ArenaSpan next);
/// What is in both.
std::vector<ArenaSpan> intersection(std::span<const ArenaSpan> a, std::span<const ArenaSpan> b);
/// Cut into pieces of kPiece elements, the last of each span smaller.
std::vector<ArenaSpan> pieces_of(std::span<const ArenaSpan> spans);
std::int64_t element_count(std::span<const ArenaSpan> spans);

}  // namespace holdfast
