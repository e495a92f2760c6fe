#include "audit/value_cases.h"

#include <cmath>
#include <limits>

#include "audit/case.h"
#include "audit/reference/random_tensor.h"
#include "autograd/ops.h"

namespace holdfast {
namespace {

using reference::Array;
using reference::random_tensor;

Tensor numbers(const std::vector<std::int32_t>& values) {
  return Tensor::from(values, {static_cast<std::int64_t>(values.size())});
}

void add_binary(std::vector<ValueCase>& cases) {
  const std::vector<std::pair<Shape, Shape>> shapes{
      {{37}, {37}}, {{5, 33}, {33}}, {{5, 1}, {1, 33}}, {{2, 1, 3, 1}, {4, 1, 2}},
      {{}, {3, 2}}, {{0, 3}, {3}},
  };
  for (const auto& [a, b] : shapes) {
    const std::vector<Tensor> inputs{random_tensor(a, 1), random_tensor(b, 2, 0.5, 2.0)};
    const auto check = [&](const std::string& name, Var (*f)(const Var&, const Var&),
                           double (*expected)(double, double)) {
      cases.push_back({name + a.text() + b.text(), inputs,
                       [=](const auto& x) { return f(x[0], x[1]); },
                       [=](const auto& x) { return reference::combine(x[0], x[1], expected); }});
    };
    check("add", add, [](double x, double y) { return x + y; });
    check("sub", sub, [](double x, double y) { return x - y; });
    check("mul", mul, [](double x, double y) { return x * y; });
    check("div", div, [](double x, double y) { return x / y; });
  }
}

void add_unary(std::vector<ValueCase>& cases) {
  const auto check = [&](const std::string& name, Var (*f)(const Var&), double (*expected)(double),
                         double low) {
    for (const Shape& shape : {Shape{67}, Shape{3, 5}, Shape{40007}, Shape{}, Shape{0}}) {
      cases.push_back({name,
                       {random_tensor(shape, 3, low, 6.0)},
                       [=](const auto& x) { return f(x[0]); },
                       [=](const auto& x) { return reference::map(x[0], expected); }});
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

void add_matmul(std::vector<ValueCase>& cases) {
  const std::vector<std::pair<Shape, Shape>> shapes{
      {{3, 5}, {5, 7}},          {{2, 3, 5}, {5, 7}},  {{2, 3, 5}, {2, 5, 7}}, {{3, 5}, {2, 5, 7}},
      {{2, 1, 3, 5}, {4, 5, 7}}, {{1, 1}, {1, 1}},     {{4, 0}, {0, 3}},       {{2, 4, 0}, {0, 3}},
      {{0, 4}, {4, 3}},          {{33, 65}, {65, 17}},
  };
  for (const auto& [a, b] : shapes) {
    cases.push_back({"matmul" + a.text() + b.text(),
                     {random_tensor(a, 4), random_tensor(b, 5)},
                     [](const auto& x) { return matmul(x[0], x[1]); },
                     [](const auto& x) { return reference::matmul(x[0], x[1]); },
                     1e-5});
  }
  cases.push_back({"matmul of transposes and slices",
                   {random_tensor({2, 6, 3}, 6), random_tensor({2, 7, 4}, 7)},
                   [](const auto& x) {
                     return matmul(transpose(slice(x[0], 1, 1, 5), 1, 2), transpose(x[1], 1, 2));
                   },
                   [](const auto& x) {
                     const Array rows = reference::make({2, 4, 3}, [&](const reference::Index& i) {
                       return x[0].at({i[0], i[1] + 1, i[2]});
                     });
                     return reference::matmul(reference::transpose(rows, 1, 2),
                                              reference::transpose(x[1], 1, 2));
                   }});
}

void add_reductions(std::vector<ValueCase>& cases) {
  for (const Shape& shape :
       {Shape{2, 3, 4}, Shape{1, 300, 1}, Shape{5000, 1, 1}, Shape{3, 0, 2}, Shape{3, 1000, 5}}) {
    for (const int axis : {0, 1, 2}) {
      const std::vector<Tensor> inputs{random_tensor(shape, 8)};
      cases.push_back(
          {"sum" + shape.text(), inputs, [=](const auto& x) { return sum(x[0], axis, true); },
           [=](const auto& x) { return reference::sum_keep(x[0], axis); }, 1e-5, 1e-13});
      if (shape[axis] == 0) continue;
      cases.push_back({"mean" + shape.text(), inputs,
                       [=](const auto& x) { return mean(x[0], axis, true); },
                       [=](const auto& x) {
                         const auto n = static_cast<double>(shape[axis]);
                         return reference::map(reference::sum_keep(x[0], axis),
                                               [n](double s) { return s / n; });
                       }});
    }
    cases.push_back({"sum of all " + shape.text(),
                     {random_tensor(shape, 9)},
                     [](const auto& x) { return sum(x[0]); },
                     [](const auto& x) {
                       Array total{Shape{}};
                       for (const double v : x[0].data) total.data[0] += v;
                       return total;
                     },
                     1e-5,
                     1e-13});
  }
}

void add_softmaxes(std::vector<ValueCase>& cases) {
  for (const Shape& shape : {Shape{5}, Shape{3, 70}, Shape{2, 3, 16}, Shape{4, 1}, Shape{0, 3}}) {
    for (const double middle : {0.0, 800.0, -800.0}) {  // exp(800) overflows
      cases.push_back({"softmax",
                       {random_tensor(shape, 10, middle - 20, middle + 20)},
                       [](const auto& x) { return softmax(x[0]); },
                       [](const auto& x) { return reference::softmax(x[0]); }});
      cases.push_back({"log_softmax",
                       {random_tensor(shape, 11, middle - 20, middle + 20)},
                       [](const auto& x) { return log_softmax(x[0]); },
                       [](const auto& x) { return reference::log_softmax(x[0]); }});
    }
  }
}

void add_views(std::vector<ValueCase>& cases) {
  const std::vector<Tensor> x{random_tensor({2, 3, 4}, 12)};
  cases.push_back({"transpose", x, [](const auto& v) { return transpose(v[0], 0, 2); },
                   [](const auto& a) { return reference::transpose(a[0], 0, 2); }, 0, 0});
  const auto reshaped = [](const Shape& shape) {
    return [shape](const std::vector<Array>& a) {
      Array out(shape);
      out.data = a[0].data;
      return out;
    };
  };
  cases.push_back({"reshape", x,
                   [](const auto& v) {
                     return reshape(v[0], {6, 4});
                   },
                   reshaped({6, 4}), 0, 0});
  cases.push_back({"slice", x, [](const auto& v) { return slice(v[0], 1, 1, 3); },
                   [](const auto& a) {
                     return reference::make({2, 2, 4}, [&](const reference::Index& i) {
                       return a[0].at({i[0], i[1] + 1, i[2]});
                     });
                   },
                   0, 0});
  cases.push_back(
      {"concat", x,
       [](const auto& v) {
         return concat({slice(v[0], 1, 0, 1), slice(v[0], 1, 1, 1), slice(v[0], 1, 1, 3)}, 1);
       },
       reshaped({2, 3, 4}), 0, 0});
}

void add_lookups(std::vector<ValueCase>& cases) {
  const auto rows = [](const std::vector<Array>& a) {
    return reference::make({3, 2}, [&](const reference::Index& i) {
      return a[0].at({i[0] == 1 ? 0 : 2, i[1]});
    });
  };
  const std::vector<Tensor> x{random_tensor({3, 2}, 13)};
  cases.push_back({"gather", x,
                   [](const auto& v) {
                     return gather(v[0], numbers({2, 0, 2}));
                   },
                   rows, 0, 0});
  cases.push_back({"embedding", x,
                   [](const auto& v) {
                     return embedding(v[0], numbers({2, 0, 2}));
                   },
                   rows, 0, 0});
}

void add_cross_entropy(std::vector<ValueCase>& cases) {
  cases.push_back({"cross_entropy",
                   {random_tensor({3, 4}, 14, -5.0, 5.0)},
                   [](const auto& v) {
                     return cross_entropy(v[0], numbers({1, 3, 0}));
                   },
                   [](const auto& a) {
                     const Array p = reference::log_softmax(a[0]);
                     Array mean{Shape{}};
                     mean.data[0] = -(p.at({0, 1}) + p.at({1, 3}) + p.at({2, 0})) / 3.0;
                     return mean;
                   }});
}

}  // namespace

std::vector<ValueCase> value_cases() {
  std::vector<ValueCase> cases;
  for (const auto add_some : {add_binary, add_unary, add_matmul, add_reductions, add_softmaxes,
                              add_views, add_lookups, add_cross_entropy}) {
    add_some(cases);
  }
  return cases;
}

double value_error(const ValueCase& one, DType dtype) {
  std::vector<Var> vars;
  std::vector<Array> arrays;
  for (const Tensor& x : one.inputs) {
    vars.emplace_back(x.to(dtype));
    arrays.emplace_back(x.to(dtype));
  }
  const Tensor y = one.function(vars).value();
  const Array expected = one.oracle(arrays);
  if (y.shape() != expected.shape) return std::numeric_limits<double>::infinity();
  const std::vector<double> values = y.to_vector();
  audit::Worst worst;
  for (std::size_t i = 0; i < values.size(); ++i) {
    worst.add(std::abs(values[i] - expected.data[i]) / std::max(1.0, std::abs(expected.data[i])));
  }
  return worst.value();
}

}  // namespace holdfast
