#include "nn/parameters.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <iterator>
#include <stdexcept>
#include <vector>

#include "nn/batch.h"

namespace holdfast {
namespace {

NamedSlice slice(const std::string& name, const Shape& shape) {
  return {.name = name, .shape = shape, .task = {}};
}

TEST(ParameterArena, LaysParametersOutAligned) {
  ParameterArena arena;
  const std::size_t a = arena.declare("a", {3, 2}, {slice("a.x", {1, 2}), slice("a.y", {2, 2})});
  const std::size_t b = arena.declare("b", {17}, {slice("b", {17})});
  arena.allocate(DType::f64);
  EXPECT_EQ(arena.numel(), 16 + 32);
  EXPECT_EQ(arena.parameter_count(), 6 + 17);
  EXPECT_EQ(arena.find("a.y")->offset, 2);
  EXPECT_EQ(arena.find("b")->offset, 16);
  EXPECT_EQ(arena.find("a"), nullptr);
  EXPECT_EQ(arena[a].name, "a");
  EXPECT_EQ(arena[b].value.shape(), (Shape{17}));

  arena.value(*arena.find("a.y")).fill(7);
  EXPECT_EQ(arena[a].value.to_vector(), (std::vector<double>{0, 0, 7, 7, 7, 7}));
  arena[b].grad.fill(1);
  double sum = 0;
  for (const double g : arena.grads().to_vector()) sum += g;
  EXPECT_EQ(sum, 17.0) << "the gaps stay zero";
  EXPECT_EQ(arena.grad(*arena.find("b")).to_vector(), std::vector<double>(17, 1.0));
}

TEST(ParameterArena, GradientsTakeNoMemoryBeforeTheyAreWritten) {
  constexpr std::int64_t kBytes = 32 << 20;
  ParameterArena arena;
  arena.declare("a", {kBytes / 4}, {slice("a", {kBytes / 4})});
  arena.allocate(DType::f32);
  arena.values().fill(1);
  arena.zero_grad();
  const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  std::vector<unsigned char> pages(kBytes / page);
  ASSERT_EQ(mincore(arena.grads().storage()->data(), kBytes, pages.data()), 0);
  EXPECT_EQ(std::count(pages.begin(), pages.end(), 0), std::ssize(pages));
}

TEST(ParameterArena, StaleGradientsAreClearedAndNamed) {
  ParameterArena arena;
  const std::size_t a = arena.declare("a", {2}, {slice("a", {2})});
  arena.declare("b", {2}, {slice("b", {2})});
  arena.allocate(DType::f32);
  arena.grads().fill(5);
  arena.zero_grad();
  arena[a].has_grad = true;
  EXPECT_EQ(arena.clear_unreached(), std::vector<std::string>{"b"});
  EXPECT_EQ(arena.grads().slice(0, 0, 2).to_vector(), (std::vector<double>{5, 5}));
  EXPECT_EQ(arena.grads().slice(0, 16, 18).to_vector(), (std::vector<double>{0, 0}));
}

TEST(ParameterArena, RefusesWhatDoesNotAddUp) {
  ParameterArena arena;
  EXPECT_THROW(arena.declare("a", {4}, {slice("a", {3})}), std::logic_error);
  arena.allocate(DType::f32);
  EXPECT_THROW(arena.declare("b", {1}, {slice("b", {1})}), std::logic_error);
}

TEST(Pack, RowsOfAllTextsInOneRun) {
  const std::vector<std::int32_t> first = {101, 7, 102}, second = {101, 102}, types = {0, 1};
  const std::vector<TokenSpan> texts = {{.ids = first, .type_ids = {}, .slot = 4},
                                        {.ids = second, .type_ids = types, .slot = 9}};
  const Batch batch = pack(texts);
  EXPECT_EQ(batch.texts(), 2);
  EXPECT_EQ(batch.tokens(), 5);
  EXPECT_EQ(batch.ids.to_vector(), (std::vector<double>{101, 7, 102, 101, 102}));
  EXPECT_EQ(batch.type_ids.to_vector(), (std::vector<double>{0, 0, 0, 0, 1}));
  EXPECT_EQ(batch.positions.to_vector(), (std::vector<double>{0, 1, 2, 0, 1}));
  EXPECT_EQ(batch.first.to_vector(), (std::vector<double>{0, 3}));
  EXPECT_EQ(batch.first_packing.offsets.to_vector(), (std::vector<double>{0, 1, 2}));
  EXPECT_EQ(batch.first_packing.slots.to_vector(), (std::vector<double>{4, 9}));
  EXPECT_EQ(batch.first_packing.tokens.to_vector(), (std::vector<double>{0, 0}));
  EXPECT_EQ(batch.packing.offsets.to_vector(), (std::vector<double>{0, 3, 5}));
  EXPECT_EQ(batch.packing.slots.to_vector(), (std::vector<double>{4, 4, 4, 9, 9}));
  EXPECT_EQ(batch.packing.tokens.to_vector(), (std::vector<double>{0, 1, 2, 0, 1}));
}

TEST(Pack, RefusesEmptyAndUneven) {
  const std::vector<std::int32_t> ids = {1, 2}, types = {0};
  EXPECT_THROW(pack({}), std::invalid_argument);
  EXPECT_THROW(pack(std::vector<TokenSpan>(1)), std::invalid_argument);
  EXPECT_THROW(pack(std::vector<TokenSpan>{{.ids = ids, .type_ids = types}}),
               std::invalid_argument);
}

}  // namespace
}  // namespace holdfast
