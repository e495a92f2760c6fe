#include "train/spans.h"

#include <gtest/gtest.h>

#include "tests/train/arena_fixture.h"

namespace holdfast {
namespace {

using Spans = std::vector<ArenaSpan>;

TEST(Spans, AreThoseOfTheSlicesWithNeighboursJoined) {
  const ParameterArena arena = small_arena(1, DType::f32, 16);
  const std::int64_t heads = arena.find("heads.news.weight")->offset;
  // Embeddings 7 * 16 and the first matrix 17 * 16 touch; biases and norms of 17 leave gaps.
  const Spans shared = shared_spans(arena);
  EXPECT_EQ(shared.front(), (ArenaSpan{0, (7 + 17) * 16 + 17}));
  EXPECT_LE(shared.back().end, heads);
  std::int64_t expected = 0;
  for (const NamedSlice& slice : arena.slices()) expected += slice.task.empty() ? slice.size : 0;
  EXPECT_EQ(element_count(shared), expected);
  EXPECT_EQ(spans_of(arena, [](const NamedSlice& s) { return s.task == "news"; }),
            (Spans{{heads, heads + 3 * 16 + 3}}));
}

TEST(Spans, IntersectionEqualsThatOfSetsOfPlaces) {
  const Spans a{{0, 4}, {6, 10}, {12, 20}}, b{{2, 7}, {7, 8}, {9, 13}, {15, 16}, {30, 40}};
  const auto has = [](const Spans& spans, std::int64_t i) {
    for (const ArenaSpan& s : spans) {
      if (s.begin <= i && i < s.end) return true;
    }
    return false;
  };
  const Spans both = intersection(a, b);
  for (std::int64_t i = 0; i < 45; ++i) EXPECT_EQ(has(both, i), has(a, i) && has(b, i)) << i;
  EXPECT_EQ(both, intersection(b, a));
  EXPECT_EQ(both, (Spans{{2, 4}, {6, 8}, {9, 10}, {12, 13}, {15, 16}}));
  EXPECT_TRUE(intersection(a, {}).empty());
}

TEST(Spans, PiecesCoverThemInOrder) {
  const Spans spans{{3, 3 + 2 * kPiece}, {5 * kPiece, 5 * kPiece + 1}};
  EXPECT_EQ(pieces_of(spans),
            (Spans{{3, 3 + kPiece}, {3 + kPiece, 3 + 2 * kPiece}, {5 * kPiece, 5 * kPiece + 1}}));
}

}  // namespace
}  // namespace holdfast
