// Shapes, views and copies.
#include "tensor/tensor.h"

#include <gtest/gtest.h>

#include <array>

#include "tests/reference/expect_error.h"

namespace holdfast {
namespace {

using Values = std::vector<double>;

// 0, 1, 2, ... in row-major order.
Tensor counting(const Shape& shape, DType dtype = DType::f64) {
  Values values(static_cast<std::size_t>(shape.numel()));
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<double>(i);
  return Tensor::from(values, shape).to(dtype);
}

TEST(Shapes, CountAndNameTheirAxes) {
  const Shape shape{2, 3, 4};
  EXPECT_EQ(shape.rank(), 3);
  EXPECT_EQ(shape.numel(), 24);
  EXPECT_EQ(shape[0], 2);
  EXPECT_EQ(shape[-1], 4);
  EXPECT_EQ(shape.text(), "(2,3,4)");
  EXPECT_EQ(shape.with(-2, 7), (Shape{2, 7, 4}));
  EXPECT_EQ(Shape{}.numel(), 1);
  EXPECT_EQ(Shape{}.text(), "()");
  EXPECT_EQ((Shape{5, 0}).numel(), 0);
  EXPECT_NE((Shape{1, 2}), (Shape{2}));
}

TEST(Shapes, RefuseWhatCannotBe) {
  expect_error<std::invalid_argument>("axis", "[shape] axis 2 outside (3,4)", [] {
    (Shape{3, 4})[2];
  });
  expect_error<std::invalid_argument>("negative axis", "axis -3 outside (3,4)", [] {
    (Shape{3, 4})[-3];
  });
  expect_error<std::invalid_argument>("negative", "[shape] negative extent in (3,-1)", [] {
    Shape{3, -1};
  });
  expect_error<std::invalid_argument>("rank", "more than 8 axes",
                                      [] { Shape{1, 1, 1, 1, 1, 1, 1, 1, 1}; });
  constexpr std::int64_t kBig = std::int64_t{1} << 40;
  expect_error<std::invalid_argument>("overflow", "too many elements", [] {
    (Shape{kBig, kBig}).numel();
  });
  EXPECT_EQ((Shape{kBig, kBig, 0}).numel(), 0);
  expect_error<std::invalid_argument>("bytes", "too many bytes",
                                      [] { Tensor::empty({std::int64_t{1} << 61}, DType::f64); });
}

TEST(Shapes, Broadcast) {
  EXPECT_EQ(broadcast({2, 1, 4}, {3, 1}), (Shape{2, 3, 4}));
  EXPECT_EQ(broadcast({}, {2}), (Shape{2}));
  EXPECT_EQ(broadcast({0}, {1}), (Shape{0}));
  EXPECT_EQ(broadcast({1}, {0}), (Shape{0}));
  expect_error<std::invalid_argument>(
      "unequal", "[broadcast] shapes (2,3) and (2) do not fit: axis -1 has 3 and 2", [] {
        broadcast({2, 3}, {2});
      });
  expect_error<std::invalid_argument>("empty", "[broadcast]", [] { broadcast({0}, {2}); });
}

TEST(Tensors, AreMadeFromValues) {
  EXPECT_EQ(counting({2, 3}).to_vector(), (Values{0, 1, 2, 3, 4, 5}));
  EXPECT_EQ(Tensor::full({2}, DType::f32, 1.5).to_vector(), (Values{1.5, 1.5}));
  EXPECT_EQ(Tensor::full({2}, DType::i32, 7.0).to_vector(), (Values{7, 7}));
  EXPECT_EQ(Tensor::zeros({3}, DType::f64).to_vector(), (Values{0, 0, 0}));
  EXPECT_EQ(Tensor::full({}, DType::f64, 2.5).item(), 2.5);
  EXPECT_TRUE(Tensor::empty({0, 3}, DType::f32).to_vector().empty());
  EXPECT_FALSE(Tensor().defined());
  expect_error<std::invalid_argument>("count", "[tensor] 2 values for shape (3)", [] {
    Tensor::from(Values{1, 2}, {3});
  });
  expect_error<std::invalid_argument>("item", "[item] shape (2) has not exactly one element",
                                      [] { counting({2}).item(); });
}

TEST(Tensors, CopiesShareMemoryAndClonesDoNot) {
  const Tensor a = counting({3}), b = a, c = a.clone();
  a.fill(9.0);
  EXPECT_EQ(b.to_vector(), (Values{9, 9, 9}));
  EXPECT_EQ(c.to_vector(), (Values{0, 1, 2}));
}

TEST(Tensors, CheckTheElementType) {
  const Tensor x = counting({2}, DType::f32);
  expect_error<std::invalid_argument>("data", "[tensor] elements are f32, not f64",
                                      [&] { x.data<double>(); });
  expect_error<std::invalid_argument>("span", "[tensor] a view of shape (2,2) is not contiguous",
                                      [] {
                                        counting({2, 2}).transpose(0, 1).span<double>();
                                      });
  expect_error<std::invalid_argument>("dispatch", "[exp] needs f32 or f64, not i32",
                                      [] { dispatch(DType::i32, "exp", []<class T>() {}); });
  EXPECT_EQ(dispatch(DType::f32, "size", []<class T>() { return sizeof(T); }), 4u);
  EXPECT_EQ(dispatch(DType::f64, "size", []<class T>() { return sizeof(T); }), 8u);
}

TEST(Tensors, ConvertTypes) {
  const Tensor x = Tensor::from(Values{1.25, -2.75, 3.0}, {3});
  EXPECT_EQ(x.to(DType::i32).to_vector(), (Values{1, -2, 3}));
  EXPECT_EQ(x.to(DType::f32).to(DType::f64).to_vector(), x.to_vector());
  EXPECT_EQ(x.to(DType::f64).storage(), x.storage());
}

TEST(Views, Transpose) {
  const Tensor x = counting({2, 3, 4}), y = x.transpose(0, -1);
  EXPECT_EQ(y.shape(), (Shape{4, 3, 2}));
  EXPECT_EQ(y.storage(), x.storage());
  EXPECT_FALSE(y.is_contiguous());
  EXPECT_EQ(y.slice(0, 1, 2).to_vector(), (Values{1, 13, 5, 17, 9, 21}));
  EXPECT_EQ(y.transpose(0, 2).to_vector(), x.to_vector());
  EXPECT_TRUE(counting({1, 5}).transpose(0, 1).is_contiguous());
  expect_error<std::invalid_argument>("axis", "axis 3 outside", [&] { x.transpose(0, 3); });
}

TEST(Views, Slice) {
  const Tensor x = counting({3, 4});
  EXPECT_EQ(x.slice(0, 1, 3).to_vector(), (Values{4, 5, 6, 7, 8, 9, 10, 11}));
  EXPECT_TRUE(x.slice(0, 1, 3).is_contiguous());
  EXPECT_EQ(x.slice(-1, 1, 3).to_vector(), (Values{1, 2, 5, 6, 9, 10}));
  EXPECT_FALSE(x.slice(1, 1, 3).is_contiguous());
  EXPECT_EQ(x.slice(1, 2, 2).numel(), 0);
  EXPECT_TRUE(x.slice(1, 2, 2).is_contiguous());
  EXPECT_EQ(x.slice(0, 1, 3).slice(1, 3, 4).to_vector(), (Values{7, 11}));
  for (const auto& [begin, end] : {std::pair{-1, 2}, {0, 5}, {3, 2}}) {
    expect_error<std::invalid_argument>("range", "outside axis 1 of (3,4)",
                                        [&] { x.slice(1, begin, end); });
  }
}

TEST(Views, Expand) {
  const Tensor x = counting({3, 1});
  EXPECT_EQ(x.expand({2, 3, 2}).to_vector(), (Values{0, 0, 1, 1, 2, 2, 0, 0, 1, 1, 2, 2}));
  EXPECT_EQ(x.expand({2, 3, 2}).storage(), x.storage());
  EXPECT_FALSE(x.expand({3, 2}).is_contiguous());
  EXPECT_EQ(counting({}).expand({2}).to_vector(), (Values{0, 0}));
  EXPECT_EQ(x.expand({3, 0}).numel(), 0);
  expect_error<std::invalid_argument>("smaller", "[expand] (3,1) does not broadcast to (1)",
                                      [&] { x.expand({1}); });
  expect_error<std::invalid_argument>("other", "(3,1) and (2,2) do not fit", [&] {
    x.expand({2, 2});
  });
}

TEST(Views, ReshapeCopiesOnlyWhereItMust) {
  const Tensor x = counting({2, 6});
  EXPECT_EQ(x.reshape({3, 4}).storage(), x.storage());
  EXPECT_EQ(x.slice(0, 1, 2).reshape({2, 3}).to_vector(), (Values{6, 7, 8, 9, 10, 11}));
  const Tensor y = x.transpose(0, 1).reshape({12});
  EXPECT_NE(y.storage(), x.storage());
  EXPECT_EQ(y.to_vector(), (Values{0, 6, 1, 7, 2, 8, 3, 9, 4, 10, 5, 11}));
  EXPECT_EQ(x.expand({2, 2, 6}).reshape({24}).slice(0, 12, 24).to_vector(), x.to_vector());
  EXPECT_EQ(counting({1}).reshape({}).item(), 0.0);
  expect_error<std::invalid_argument>(
      "count", "[reshape] (2,6) has another number of elements than (5)", [&] { x.reshape({5}); });
}

TEST(Views, WriteThrough) {
  const Tensor x = counting({3, 3});
  x.slice(1, 1, 2).fill(-1.0);
  EXPECT_EQ(x.to_vector(), (Values{0, -1, 2, 3, -1, 5, 6, -1, 8}));
  x.transpose(0, 1).slice(0, 0, 1).copy_from(counting({1, 3}, DType::i32));
  EXPECT_EQ(x.to_vector(), (Values{0, -1, 2, 1, -1, 5, 2, -1, 8}));
  expect_error<std::invalid_argument>("shape", "[copy] from (2) to (3,3)",
                                      [&] { x.copy_from(counting({2})); });
}

TEST(Views, OfStorageStayInside) {
  const auto storage = std::make_shared<Storage>(64);
  const Tensor x = Tensor::view(storage, 4, {4}, DType::f32);
  EXPECT_EQ(x.storage_offset(), 4);
  x.fill(2.0);
  EXPECT_EQ(Tensor::view(storage, 4, {2, 2}, DType::f32).to_vector(), (Values{2, 2, 2, 2}));
  EXPECT_NO_THROW(Tensor::view(storage, 16, {0}, DType::f32));
  expect_error<std::invalid_argument>("end", "reaches outside its storage",
                                      [&] { Tensor::view(storage, 13, {4}, DType::f32); });
  expect_error<std::invalid_argument>("begin", "reaches outside",
                                      [&] { Tensor::view(storage, -1, {4}, DType::f32); });
}

// A view keeps its storage when the tensor it came from is gone.
TEST(Views, KeepTheirMemory) {
  const std::int64_t before = memory_use().live;
  {
    const Tensor tail = counting({1000}).slice(0, 990, 1000);
    EXPECT_EQ(tail.to_vector().back(), 999.0);
    EXPECT_GT(memory_use().live, before);
  }
  EXPECT_EQ(memory_use().live, before);
}

}  // namespace
}  // namespace holdfast
