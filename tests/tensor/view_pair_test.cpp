#include "tensor/view_pair.h"

#include <gtest/gtest.h>

#include "tensor/tensor.h"

namespace holdfast {
namespace {

// Every element by its own indices.
void expect_places(const Tensor& a, const Tensor& b) {
  const ViewPair pair = view_pair(a, b);
  ASSERT_EQ(pair.numel(), a.numel());
  std::vector<std::int64_t> index(static_cast<std::size_t>(a.rank()), 0);
  for (std::int64_t i = 0; i < a.numel(); ++i) {
    std::int64_t at_a = 0, at_b = 0, rest = i;
    for (int axis = a.rank() - 1; axis >= 0; --axis) {
      at_a += rest % a.size(axis) * a.stride(axis);
      at_b += rest % a.size(axis) * b.stride(axis);
      rest /= a.size(axis);
    }
    ASSERT_EQ(pair.at(i).a, at_a) << i;
    ASSERT_EQ(pair.at(i).b, at_b) << i;
  }
}

Tensor of(const Shape& shape) { return Tensor::zeros(shape, DType::f32); }

TEST(ViewPair, PlacesAreThoseOfTheIndices) {
  const Tensor dense = of({2, 3, 4, 5});
  expect_places(dense, dense);
  expect_places(dense, of({5, 3, 4, 2}).transpose(0, 3));
  expect_places(dense.slice(2, 1, 3), of({2, 3, 2, 1}).expand({2, 3, 2, 5}));
  expect_places(of({3, 1, 4}).expand({2, 3, 7, 4}), of({7, 4}).expand({2, 3, 7, 4}));
  expect_places(of({2, 1, 2, 1, 2, 1, 2, 3}).transpose(0, 7),
                of({3, 1, 2, 1, 2, 1, 2, 2}).slice(7, 0, 2));
  expect_places(of({}), of({}));
  expect_places(of({1, 1}), of({1, 1}));
  expect_places(of({2, 0, 3}), of({2, 0, 3}));
}

TEST(ViewPair, NeighboursAreJoined) {
  const Tensor dense = of({2, 3, 4});
  EXPECT_EQ(view_pair(dense, dense).rank, 1U);
  EXPECT_EQ(view_pair(dense, dense).axes[0].extent, 24);
  EXPECT_EQ(view_pair(dense, of({4}).expand({2, 3, 4})).rank, 2U);
  EXPECT_EQ(view_pair(dense.slice(1, 0, 2), of({2, 2, 4})).rank, 2U);
  EXPECT_EQ(view_pair(dense.transpose(0, 1), of({3, 2, 4})).rank, 3U);
  EXPECT_EQ(view_pair(of({}), of({})).rank, 1U);
}

// The places of the runs of the last axis: what a loop over runs asks for.
TEST(ViewPair, PlacesOfRuns) {
  const ViewPair pair = view_pair(of({2, 3, 4}), of({3, 2, 4}).transpose(0, 1));
  ASSERT_EQ(pair.rank, 3U);
  for (std::int64_t run = 0; run < 6; ++run) {
    EXPECT_EQ(pair.at(run, 1).a, pair.at(4 * run).a) << run;
    EXPECT_EQ(pair.at(run, 1).b, pair.at(4 * run).b) << run;
  }
}

}  // namespace
}  // namespace holdfast
