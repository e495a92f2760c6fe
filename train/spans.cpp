#include "train/spans.h"

#include <algorithm>

namespace holdfast {

void append_span(std::vector<ArenaSpan>& spans, ArenaSpan next) {
  if (!spans.empty() && spans.back().end == next.begin) {
    spans.back().end = next.end;
  } else {
    spans.push_back(next);
  }
}

std::vector<ArenaSpan> spans_of(const ParameterArena& arena,
                                const std::function<bool(const NamedSlice&)>& wanted) {
  std::vector<ArenaSpan> spans;
  for (const NamedSlice& slice : arena.slices()) {
    if (wanted(slice)) append_span(spans, {slice.offset, slice.offset + slice.size});
  }
  return spans;
}

std::vector<ArenaSpan> shared_spans(const ParameterArena& arena, std::string_view shared_head) {
  return spans_of(arena, [&](const NamedSlice& slice) {
    return slice.task.empty() || slice.task == shared_head;
  });
}

std::vector<ArenaSpan> intersection(std::span<const ArenaSpan> a, std::span<const ArenaSpan> b) {
  std::vector<ArenaSpan> both;
  for (std::size_t i = 0, j = 0; i < a.size() && j < b.size();) {
    const std::int64_t begin = std::max(a[i].begin, b[j].begin);
    const std::int64_t end = std::min(a[i].end, b[j].end);
    if (begin < end) append_span(both, {begin, end});
    (a[i].end < b[j].end ? i : j) += 1;
  }
  return both;
}

std::vector<ArenaSpan> pieces_of(std::span<const ArenaSpan> spans) {
  std::vector<ArenaSpan> pieces;
  for (const ArenaSpan& span : spans) {
    for (std::int64_t begin = span.begin; begin < span.end; begin += kPiece) {
      pieces.push_back({begin, std::min(span.end, begin + kPiece)});
    }
  }
  return pieces;
}

std::int64_t element_count(std::span<const ArenaSpan> spans) {
  std::int64_t count = 0;
  for (const ArenaSpan& span : spans) count += span.size();
  return count;
}

}  // namespace holdfast
