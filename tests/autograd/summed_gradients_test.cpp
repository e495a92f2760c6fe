// SummedGradients: assigning, adding, slices of an arena, empty batches; against matmul and sums.
#include <gtest/gtest.h>

#include "audit/reference/array.h"
#include "audit/reference/random_tensor.h"
#include "autograd/ops.h"

namespace holdfast {
namespace {

using reference::Array;
using reference::random_tensor;

// Parameters as slices of one arena that holds rubbish, with guards between them.
class Arena {
 public:
  explicit Arena(DType dtype) : memory_(Tensor::full({4096}, dtype, kRubbish)) {}
  Parameter take(const Shape& shape) {
    end_ += 3;
    const Tensor grad = Tensor::view(memory_.storage(), end_, shape, memory_.dtype());
    end_ += shape.numel();
    taken_ += shape.numel();
    return {"p", random_tensor(shape, 1, -1, 1, memory_.dtype()), grad, false};
  }
  void expect_guards_untouched() const {
    std::int64_t rubbish = 0;
    for (const double x : memory_.to_vector()) rubbish += x == kRubbish ? 1 : 0;
    EXPECT_EQ(rubbish, memory_.numel() - taken_);
  }

 private:
  static constexpr double kRubbish = 12345.0;
  Tensor memory_;
  std::int64_t end_ = 0, taken_ = 0;
};

void expect_close(const Tensor& found, const Array& expected, double factor, double bound) {
  const auto values = found.to_vector();
  ASSERT_EQ(found.shape().numel(), expected.shape.numel());
  for (std::size_t i = 0; i < values.size(); ++i)
    EXPECT_NEAR(values[i], factor * expected.data[i], bound) << i;
}

class Summed : public testing::TestWithParam<DType> {
 protected:
  double bound() const { return GetParam() == DType::f64 ? 1e-13 : 1e-4; }
  Tensor random(const Shape& shape, std::uint64_t seed) const {
    return random_tensor(shape, seed, -1, 1, GetParam());
  }
};

TEST_P(Summed, LinearIsTransposedDoutTimesX) {
  for (const std::int64_t N : {0, 1, 5, 300}) {
    Arena arena(GetParam());
    Parameter weight = arena.take({4, 7}), bias = arena.take({4});
    const Tensor x = random({N, 7}, 2), dout = random({N, 4}, 3);
    const Array dweight = reference::matmul(reference::transpose(Array(dout), 0, 1), Array(x));
    const Array dbias = reference::sum_keep(Array(dout), 0);
    SummedGradients gradients;
    for (const double times : {1.0, 2.0}) {
      gradients.linear(weight, &bias, x, dout);
      EXPECT_TRUE(weight.has_grad && bias.has_grad);
      expect_close(weight.grad, dweight, times, bound());
      expect_close(bias.grad, dbias, times, bound());
    }
    gradients.linear(weight, nullptr, x, dout);
    expect_close(weight.grad, dweight, 3.0, bound());
    expect_close(bias.grad, dbias, 2.0, bound());
    arena.expect_guards_untouched();
  }
}

TEST_P(Summed, NormIsDoutTimesXhatSummed) {
  for (const std::int64_t N : {0, 1, 300}) {
    Arena arena(GetParam());
    Parameter gamma = arena.take({6}), beta = arena.take({6});
    const Tensor xhat = random({N, 6}, 4), dout = random({N, 6}, 5);
    const Array products =
        reference::combine(Array(dout), Array(xhat), [](double a, double b) { return a * b; });
    SummedGradients gradients;
    for (const double times : {1.0, 2.0}) {
      gradients.norm(gamma, beta, xhat, dout);
      expect_close(gamma.grad, reference::sum_keep(products, 0), times, bound());
      expect_close(beta.grad, reference::sum_keep(Array(dout), 0), times, bound());
    }
    arena.expect_guards_untouched();
  }
}

TEST_P(Summed, EmbeddingAddsRowsToTheirIds) {
  for (const std::vector<std::int32_t>& ids :
       {std::vector<std::int32_t>{}, {2}, {4, 0, 4, 4, 1, 0}}) {
    const auto N = static_cast<std::int64_t>(ids.size());
    Arena arena(GetParam());
    Parameter table = arena.take({5, 3});
    const Tensor dout = random({N, 3}, 6);
    const Array rows(dout);
    const Array expected = reference::make({5, 3}, [&](const reference::Index& i) {
      double sum = 0.0;
      for (std::int64_t n = 0; n < N; ++n)
        sum += ids[static_cast<std::size_t>(n)] == i[0] ? rows.at({n, i[1]}) : 0.0;
      return sum;
    });
    SummedGradients gradients;
    for (const double times : {1.0, 2.0}) {
      gradients.embedding(table, Tensor::from(ids, {N}), dout);
      expect_close(table.grad, expected, times, bound());
    }
    arena.expect_guards_untouched();
  }
}

TEST_P(Summed, DenseAssignsThenAdds) {
  Arena arena(GetParam());
  Parameter p = arena.take({2, 3});
  const Tensor gradient = random({3, 2}, 7).transpose(0, 1);
  SummedGradients gradients;
  for (const double times : {1.0, 2.0}) {
    gradients.dense(p, gradient);
    expect_close(p.grad, Array(gradient), times, bound());
  }
  arena.expect_guards_untouched();
}

TEST_P(Summed, ReadsViewsOfAnyStride) {
  Arena arena(GetParam());
  Parameter weight = arena.take({2, 3}), bias = arena.take({2}), table = arena.take({4, 2});
  const Tensor x = random({3, 5}, 8).transpose(0, 1), dout = random({5, 4}, 9).slice(1, 1, 3);
  const Tensor ids = Tensor::from(std::vector<std::int32_t>{1, 3, 0, 3, 1}, {5});
  SummedGradients gradients;
  gradients.linear(weight, &bias, x, dout);
  gradients.embedding(table, ids, dout);
  expect_close(weight.grad, reference::matmul(reference::transpose(Array(dout), 0, 1), Array(x)),
               1.0, bound());
  expect_close(table.grad.slice(0, 2, 3), Array(Shape{1, 2}), 1.0, 0.0);
  arena.expect_guards_untouched();
}

INSTANTIATE_TEST_SUITE_P(Types, Summed, testing::Values(DType::f32, DType::f64),
                         [](const auto& type) { return std::string(name_of(type.param)); });

}  // namespace
}  // namespace holdfast
