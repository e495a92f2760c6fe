// Values of the elementary operations: against the naive oracles, in f32 against f64, on special
// inputs; and what bad shapes are told.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "audit/reference/array.h"
#include "audit/reference/instruction_sets.h"
#include "audit/reference/random_tensor.h"
#include "autograd/ops.h"
#include "tests/reference/expect_error.h"

namespace holdfast {
namespace {

using reference::Array;
using reference::random_tensor;

constexpr double kInf = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

Tensor numbers(const std::vector<std::int32_t>& values) {
  return Tensor::from(values, {static_cast<std::int64_t>(values.size())});
}

// |y - expected| <= bound * max(1, |expected|), in f64 and, with `single` as bound, in f32, on
// every instruction set.
void expect_value(const std::string& name, const std::vector<Tensor>& inputs,
                  const std::function<Var(const std::vector<Var>&)>& function,
                  const std::function<Array(const std::vector<Array>&)>& oracle,
                  double single = 2e-6, double precise = 4e-15) {
  const reference::KeepMachine keep;
  for (const Isa isa : reference::instruction_sets()) {
    set_isa(isa);
    for (const DType dtype : {DType::f64, DType::f32}) {
      std::vector<Var> vars;
      std::vector<Array> arrays;
      for (const Tensor& x : inputs) {
        vars.emplace_back(x.to(dtype));
        arrays.emplace_back(x.to(dtype));
      }
      const Tensor y = function(vars).value();
      const Array expected = oracle(arrays);
      ASSERT_EQ(y.shape(), expected.shape) << name;
      const double bound = dtype == DType::f64 ? precise : single;
      const std::vector<double> values = y.to_vector();
      for (std::size_t i = 0; i < values.size(); ++i) {
        EXPECT_NEAR(values[i], expected.data[i], bound * std::max(1.0, std::abs(expected.data[i])))
            << name << ' ' << name_of(dtype) << ' ' << name_of(isa) << " element " << i;
      }
    }
  }
}

TEST(Values, OfBinaryOperations) {
  const std::vector<std::pair<Shape, Shape>> shapes{
      {{37}, {37}}, {{5, 33}, {33}}, {{5, 1}, {1, 33}}, {{2, 1, 3, 1}, {4, 1, 2}},
      {{}, {3, 2}}, {{0, 3}, {3}},
  };
  for (const auto& [a, b] : shapes) {
    const std::vector<Tensor> inputs{random_tensor(a, 1), random_tensor(b, 2, 0.5, 2.0)};
    const auto check = [&](const std::string& name, Var (*f)(const Var&, const Var&),
                           double (*expected)(double, double)) {
      expect_value(
          name + a.text() + b.text(), inputs, [&](const auto& x) { return f(x[0], x[1]); },
          [&](const auto& x) { return reference::combine(x[0], x[1], expected); });
    };
    check("add", add, [](double x, double y) { return x + y; });
    check("sub", sub, [](double x, double y) { return x - y; });
    check("mul", mul, [](double x, double y) { return x * y; });
    check("div", div, [](double x, double y) { return x / y; });
  }
}

TEST(Values, OfUnaryOperations) {
  const auto check = [](const std::string& name, Var (*f)(const Var&), double (*expected)(double),
                        double low) {
    for (const Shape& shape : {Shape{67}, Shape{3, 5}, Shape{}, Shape{0}}) {
      expect_value(
          name, {random_tensor(shape, 3, low, 6.0)}, [&](const auto& x) { return f(x[0]); },
          [&](const auto& x) { return reference::map(x[0], expected); });
    }
  };
  check("exp", exp, std::exp, -6.0);
  check("log", log, std::log, 0.01);
  check("tanh", tanh, std::tanh, -6.0);
  check("erf", erf, std::erf, -6.0);
  check(
      "relu", relu, [](double x) { return std::max(x, 0.0); }, -6.0);
  check(
      "gelu", [](const Var& x) { return gelu(x); },
      [](double x) { return 0.5 * x * std::erfc(-x / std::sqrt(2.0)); }, -6.0);
  check(
      "gelu tanh", [](const Var& x) { return gelu(x, GeluKind::tanh); },
      [](double x) {
        return 0.5 * x * (1.0 + std::tanh(std::sqrt(2.0 / M_PI) * (x + 0.044715 * x * x * x)));
      },
      -6.0);
  check(
      "scale", [](const Var& x) { return scale(x, -1.5); }, [](double x) { return -1.5 * x; },
      -6.0);
}

TEST(Values, OfMatmul) {
  const std::vector<std::pair<Shape, Shape>> shapes{
      {{3, 5}, {5, 7}},          {{2, 3, 5}, {5, 7}},  {{2, 3, 5}, {2, 5, 7}}, {{3, 5}, {2, 5, 7}},
      {{2, 1, 3, 5}, {4, 5, 7}}, {{1, 1}, {1, 1}},     {{4, 0}, {0, 3}},       {{2, 4, 0}, {0, 3}},
      {{0, 4}, {4, 3}},          {{33, 65}, {65, 17}},
  };
  for (const auto& [a, b] : shapes) {
    expect_value(
        "matmul" + a.text() + b.text(), {random_tensor(a, 4), random_tensor(b, 5)},
        [](const auto& x) { return matmul(x[0], x[1]); },
        [](const auto& x) { return reference::matmul(x[0], x[1]); }, 1e-5);
  }
  expect_value(
      "matmul of transposes and slices", {random_tensor({2, 6, 3}, 6), random_tensor({2, 7, 4}, 7)},
      [](const auto& x) {
        return matmul(transpose(slice(x[0], 1, 1, 5), 1, 2), transpose(x[1], 1, 2));
      },
      [](const auto& x) {
        const Array rows = reference::make({2, 4, 3}, [&](const reference::Index& i) {
          return x[0].at({i[0], i[1] + 1, i[2]});
        });
        return reference::matmul(reference::transpose(rows, 1, 2),
                                 reference::transpose(x[1], 1, 2));
      });
}

TEST(Values, OfSumsAndMeans) {
  for (const Shape& shape :
       {Shape{2, 3, 4}, Shape{1, 300, 1}, Shape{5000, 1, 1}, Shape{3, 0, 2}, Shape{3, 1000, 5}}) {
    for (const int axis : {0, 1, 2}) {
      const std::vector<Tensor> inputs{random_tensor(shape, 8)};
      expect_value(
          "sum" + shape.text(), inputs, [&](const auto& x) { return sum(x[0], axis, true); },
          [&](const auto& x) { return reference::sum_keep(x[0], axis); }, 1e-5, 1e-13);
      if (shape[axis] == 0) continue;
      expect_value(
          "mean" + shape.text(), inputs, [&](const auto& x) { return mean(x[0], axis, true); },
          [&](const auto& x) {
            const auto n = static_cast<double>(shape[axis]);
            return reference::map(reference::sum_keep(x[0], axis), [n](double s) { return s / n; });
          });
    }
    expect_value(
        "sum of all " + shape.text(), {random_tensor(shape, 9)},
        [](const auto& x) { return sum(x[0]); },
        [](const auto& x) {
          Array total{Shape{}};
          for (const double v : x[0].data) total.data[0] += v;
          return total;
        },
        1e-4, 1e-13);
  }
  EXPECT_EQ(sum(Var(random_tensor({2, 3}, 1)), 1).shape(), Shape({2}));
  EXPECT_EQ(mean(Var(random_tensor({2, 3}, 1)), 0).shape(), Shape({3}));
}

TEST(Values, OfSoftmaxes) {
  for (const Shape& shape : {Shape{5}, Shape{3, 70}, Shape{2, 3, 16}, Shape{4, 1}, Shape{0, 3}}) {
    expect_value(
        "softmax", {random_tensor(shape, 10, -20.0, 20.0)},
        [](const auto& x) { return softmax(x[0]); },
        [](const auto& x) { return reference::softmax(x[0]); });
    expect_value(
        "log_softmax", {random_tensor(shape, 11, -20.0, 20.0)},
        [](const auto& x) { return log_softmax(x[0]); },
        [](const auto& x) { return reference::log_softmax(x[0]); });
  }
  // Far beyond the range of exp, and shifted by a constant.
  const Tensor far = Tensor::from(std::vector<float>{1e30f, 1e30f, -1e30f}, {1, 3});
  EXPECT_EQ(softmax(Var(far)).value().to_vector(), (std::vector<double>{0.5, 0.5, 0.0}));
}

TEST(Values, OfViews) {
  const Var x(random_tensor({2, 3, 4}, 12));
  const Array a(x.value());
  EXPECT_EQ(transpose(x, 0, 2).value().to_vector(), reference::transpose(a, 0, 2).data);
  EXPECT_EQ(reshape(x, {6, 4}).value().to_vector(), a.data);
  EXPECT_EQ(slice(x, 1, 1, 3).value().to_vector(),
            reference::make({2, 2, 4}, [&](const reference::Index& i) {
              return a.at({i[0], i[1] + 1, i[2]});
            }).data);
  EXPECT_EQ(
      concat({slice(x, 1, 0, 1), slice(x, 1, 1, 1), slice(x, 1, 1, 3)}, 1).value().to_vector(),
      a.data);
}

TEST(Values, OfLookups) {
  const Var x(random_tensor({3, 2}, 13));
  const std::vector<double> v = x.value().to_vector();
  const std::vector<double> expected{v[4], v[5], v[0], v[1], v[4], v[5]};
  EXPECT_EQ(gather(x, numbers({2, 0, 2})).value().to_vector(), expected);
  EXPECT_EQ(embedding(x, numbers({2, 0, 2})).value().to_vector(), expected);
  EXPECT_EQ(gather(x, numbers({})).shape(), Shape({0, 2}));
}

TEST(Values, OfCrossEntropy) {
  const Tensor logits = random_tensor({3, 4}, 14, -5.0, 5.0);
  const Array p = reference::log_softmax(Array(logits));
  const double expected = -(p.at({0, 1}) + p.at({1, 3}) + p.at({2, 0})) / 3.0;
  EXPECT_NEAR(cross_entropy(Var(logits), numbers({1, 3, 0})).value().item(), expected, 1e-15);
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
