// Values of the elementary operations: against the naive oracles, in f32 against f64, on special
// inputs; and what bad shapes are told.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "audit/reference/instruction_sets.h"
#include "audit/reference/random_tensor.h"
#include "audit/value_cases.h"
#include "autograd/ops.h"
#include "tests/reference/expect_error.h"

namespace holdfast {
namespace {

using reference::random_tensor;

constexpr double kInf = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

Tensor numbers(const std::vector<std::int32_t>& values) {
  return Tensor::from(values, {static_cast<std::int64_t>(values.size())});
}

TEST(Values, EqualTheNaiveOracles) {
  const reference::KeepMachine keep;
  for (const ValueCase& one : value_cases()) {
    for (const Isa isa : reference::instruction_sets()) {
      set_isa(isa);
      for (const DType dtype : {DType::f64, DType::f32}) {
        EXPECT_LE(value_error(one, dtype), one.bound(dtype))
            << one.name << ' ' << name_of(dtype) << ' ' << name_of(isa);
      }
    }
  }
}

TEST(Values, HaveTheStatedShapes) {
  EXPECT_EQ(sum(Var(random_tensor({2, 3}, 1)), 1).shape(), Shape({2}));
  EXPECT_EQ(mean(Var(random_tensor({2, 3}, 1)), 0).shape(), Shape({3}));
  EXPECT_EQ(gather(Var(random_tensor({3, 2}, 13)), numbers({})).shape(), Shape({0, 2}));
}

TEST(Values, OfSoftmaxFarBeyondTheRangeOfExp) {
  const Tensor far = Tensor::from(std::vector<float>{1e30f, 1e30f, -1e30f}, {1, 3});
  EXPECT_EQ(softmax(Var(far)).value().to_vector(), (std::vector<double>{0.5, 0.5, 0.0}));
}

TEST(Values, OfNonFiniteInputs) {
  for (const DType dtype : {DType::f32, DType::f64}) {
    const Var x(Tensor::from(std::vector<double>{kNan, kInf, -kInf, 0.0}, {4}).to(dtype));
    const auto expect = [](const Var& y, const std::vector<double>& expected) {
      const std::vector<double> values = y.value().to_vector();
      for (std::size_t i = 0; i < values.size(); ++i) {
        if (std::isnan(expected[i]))
          EXPECT_TRUE(std::isnan(values[i])) << i;
        else
          EXPECT_EQ(values[i], expected[i]) << i;
      }
    };
    expect(exp(x), {kNan, kInf, 0.0, 1.0});
    expect(log(x), {kNan, kInf, kNan, -kInf});
    expect(tanh(x), {kNan, 1.0, -1.0, 0.0});
    expect(erf(x), {kNan, 1.0, -1.0, 0.0});
    expect(relu(x), {kNan, kInf, 0.0, 0.0});
    expect(gelu(x), {kNan, kInf, kNan, 0.0});
    expect(div(x, x), {kNan, kNan, kNan, kNan});
    expect(add(x, x), {kNan, kInf, -kInf, 0.0});
    expect(sum(x), {kNan});
    expect(softmax(x), {kNan, kNan, kNan, kNan});
    expect(log_softmax(x), {kNan, kNan, kNan, kNan});
    expect(softmax(slice(x, 0, 2, 4)), {0.0, 1.0});
    expect(log_softmax(slice(x, 0, 2, 4)), {-kInf, 0.0});
    expect(matmul(reshape(x, {1, 4}), reshape(x, {4, 1})), {kNan});
  }
}

TEST(Errors, NameTheOperationAndTheShapes) {
  const Var m(random_tensor({2, 3}, 1)), v(random_tensor({4}, 1)),
      single(random_tensor({2, 3}, 1, -1, 1, DType::f32));
  const Var cube(random_tensor({2, 3, 4}, 1)), whole(numbers({1, 2}));
  const struct {
    std::string name, part;
    std::function<Var()> call;
  } cases[] = {
      {"add", "[add] shapes (2,3) and (4) do not broadcast", [&] { return add(m, v); }},
      {"sub", "[sub] shapes (2,3) and (4)", [&] { return sub(m, v); }},
      {"mul", "[mul] inputs are f64 (2,3) and f32 (2,3)", [&] { return mul(m, single); }},
      {"div", "[div] needs f32 or f64, not i32", [&] { return div(whole, whole); }},
      {"undefined", "[add] an input is undefined", [&] { return add(Var(), m); }},
      {"scale", "[scale] needs f32 or f64, not i32", [&] { return scale(whole, 2.0); }},
      {"exp", "[exp] needs f32 or f64", [&] { return exp(whole); }},
      {"matmul", "[matmul] shapes (2,3) and (2,3) do not fit: 3 columns meet 2 rows",
       [&] { return matmul(m, m); }},
      {"matmul rank", "[matmul] shapes (2,3) and (4): each needs two axes",
       [&] { return matmul(m, v); }},
      {"matmul batch", "[matmul] shapes (2,3,4) and (3,4,3): the leading axes do not broadcast",
       [&] {
         return matmul(cube, Var(random_tensor({3, 4, 3}, 1)));
       }},
      {"transpose", "[transpose] axis 2 is outside x of shape (2,3)",
       [&] { return transpose(m, 0, 2); }},
      {"reshape", "[reshape] (2,3) has another number of elements than (5)",
       [&] { return reshape(m, {5}); }},
      {"slice axis", "[slice] axis -3 is outside x of shape (2,3)",
       [&] { return slice(m, -3, 0, 1); }},
      {"slice range", "[slice] [1,4) outside axis 1 of (2,3)", [&] { return slice(m, 1, 1, 4); }},
      {"concat", "[concat] shapes (2,3) and (2,3,4) differ beside axis 0",
       [&] {
         return concat({m, cube}, 0);
       }},
      {"concat of none", "[concat] no tensors", [&] { return concat({}, 0); }},
      {"sum", "[sum] axis 2 is outside x of shape (2,3)", [&] { return sum(m, 2); }},
      {"mean", "[mean] axis 0 of x (0,3) is empty",
       [&] {
         return mean(Var(Tensor::zeros({0, 3}, DType::f64)), 0);
       }},
      {"mean of all", "[mean] x (0) has no elements",
       [&] { return mean(Var(Tensor::zeros({0}, DType::f64))); }},
      {"softmax", "[softmax] x has shape (2,0): the last axis must not be empty",
       [&] {
         return softmax(Var(Tensor::zeros({2, 0}, DType::f64)));
       }},
      {"log_softmax", "[log_softmax] x has shape ()", [&] { return log_softmax(sum(m)); }},
      {"embedding", "[embedding] ids[1] = 2 is outside [0,2)",
       [&] {
         return embedding(m, numbers({0, 2}));
       }},
      {"embedding negative", "[embedding] ids[0] = -1 is outside",
       [&] { return embedding(m, numbers({-1})); }},
      {"embedding table", "[embedding] table has shape (4)",
       [&] { return embedding(v, numbers({0})); }},
      {"gather", "[gather] rows must be i32 of one axis, not f64 (2,3)",
       [&] { return gather(m, m.value()); }},
      {"cross_entropy", "[cross_entropy] logits (2,3) and labels (1)",
       [&] { return cross_entropy(m, numbers({1})); }},
      {"cross_entropy label", "[cross_entropy] labels[1] = 3 is outside [0,3)",
       [&] {
         return cross_entropy(m, numbers({1, 3}));
       }},
      {"cross_entropy of nothing", "[cross_entropy] no rows",
       [&] {
         return cross_entropy(Var(Tensor::zeros({0, 3}, DType::f64)), numbers({}));
       }},
  };
  for (const auto& c : cases) expect_error<std::invalid_argument>(c.name, c.part, c.call);
}

}  // namespace
}  // namespace holdfast
