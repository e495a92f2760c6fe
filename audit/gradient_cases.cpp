#include "audit/gradient_cases.h"

#include "audit/reference/random_tensor.h"
#include "autograd/ops.h"

namespace holdfast {
namespace {

using reference::random_tensor;
using Vars = std::vector<Var>;

Tensor uniform(const Shape& shape, std::uint64_t seed = 1) { return random_tensor(shape, seed); }
Tensor positive(const Shape& shape, std::uint64_t seed = 2) {
  return random_tensor(shape, seed, 0.5, 2.0);
}
Tensor wide(const Shape& shape) { return random_tensor(shape, 3, -4.0, 4.0); }
// At least 0.1 from the kink at 0.
Tensor off_zero(const Shape& shape) {
  const Tensor x = wide(shape);
  for (double& v : x.span<double>()) v += v < 0.0 ? -0.1 : 0.1;
  return x;
}
Tensor numbers(const std::vector<std::int32_t>& values) {
  return Tensor::from(values, {static_cast<std::int64_t>(values.size())});
}

// Every pair of shapes that meets a way of broadcasting: equal, stretched left, right, in the
// middle, on both sides, scalars, axes of 1 and 0.
const std::vector<std::pair<Shape, Shape>> kBroadcasts{
    {{3, 4}, {3, 4}}, {{3, 4}, {4}},          {{4}, {3, 4}},
    {{3, 1}, {1, 4}}, {{2, 3, 4}, {2, 1, 4}}, {{2, 1, 4}, {3, 1}},
    {{}, {2, 3}},     {{2, 3}, {}},           {{}, {}},
    {{1}, {5}},       {{1, 1}, {1}},          {{0}, {1}},
    {{2, 0, 3}, {3}}, {{1, 3}, {0, 1}},       {{2, 1, 3, 1}, {4, 1, 2}},
};

void add_binary(std::vector<GradientCase>& cases) {
  const std::vector<std::pair<std::string, std::function<Var(const Var&, const Var&)>>> operations{
      {"add", add}, {"sub", sub}, {"mul", mul}, {"div", div}};
  for (const auto& [name, f] : operations) {
    const auto call = [f = f](const Vars& x) { return f(x[0], x[1]); };
    for (const auto& [a, b] : kBroadcasts) {
      cases.push_back({name + a.text() + b.text(), {uniform(a), positive(b)}, call});
    }
    cases.push_back({name + " of one input twice", {positive({3, 2})}, [f = f](const Vars& x) {
                       return f(x[0], x[0]);
                     }});
    cases.push_back({name + " of an input and its transpose",
                     {positive({3, 3})},
                     [f = f](const Vars& x) { return f(x[0], transpose(x[0], 0, 1)); }});
    cases.push_back({name + " of an input and its own column",
                     {positive({3, 4})},
                     [f = f](const Vars& x) { return f(x[0], slice(x[0], 1, 1, 2)); }});
  }
}

void add_unary(std::vector<GradientCase>& cases) {
  struct Unary {
    std::string name;
    Var (*f)(const Var&);
    Tensor (*inputs)(const Shape&);
  };
  const std::vector<Unary> operations{
      {"exp", exp, wide},
      {"log", log, [](const Shape& s) { return positive(s); }},
      {"tanh", tanh, wide},
      {"erf", erf, wide},
      {"gelu erf", [](const Var& x) { return gelu(x); }, wide},
      {"gelu tanh", [](const Var& x) { return gelu(x, GeluKind::tanh); }, wide},
      {"relu", relu, off_zero},
      {"scale", [](const Var& x) { return scale(x, -2.5); }, wide},
  };
  for (const Unary& op : operations) {
    for (const Shape& shape : {Shape{}, Shape{7}, Shape{3, 5}, Shape{1, 1}, Shape{2, 0}}) {
      cases.push_back(
          {op.name + shape.text(), {op.inputs(shape)}, [op](const Vars& x) { return op.f(x[0]); }});
    }
    cases.push_back({op.name + " of a transpose", {op.inputs({2, 3, 4})}, [op](const Vars& x) {
                       return op.f(transpose(x[0], 0, 2));
                     }});
    cases.push_back({op.name + " times its input", {op.inputs({4})}, [op](const Vars& x) {
                       return mul(op.f(x[0]), x[0]);
                     }});
  }
}

void add_matmul(std::vector<GradientCase>& cases) {
  const std::vector<std::pair<Shape, Shape>> shapes{
      {{2, 3}, {3, 4}},    {{1, 1}, {1, 1}},          {{1, 5}, {5, 1}},
      {{5, 1}, {1, 5}},    {{2, 3, 4}, {4, 2}},       {{2, 3, 4}, {2, 4, 2}},
      {{3, 4}, {2, 4, 2}}, {{2, 1, 3, 2}, {4, 2, 3}}, {{1, 3, 2}, {4, 2, 3}},
      {{0, 3}, {3, 2}},    {{3, 0}, {0, 2}},          {{2, 3}, {3, 0}},
      {{2, 3, 0}, {0, 4}}, {{0, 2, 3}, {3, 4}},       {{2, 2, 3}, {1, 3, 2}},
  };
  for (const auto& [a, b] : shapes) {
    cases.push_back({"matmul" + a.text() + b.text(),
                     {uniform(a), uniform(b, 4)},
                     [](const Vars& x) { return matmul(x[0], x[1]); }});
  }
  cases.push_back(
      {"matmul x x", {uniform({3, 3})}, [](const Vars& x) { return matmul(x[0], x[0]); }});
  cases.push_back({"matmul x x^T", {uniform({3, 4})}, [](const Vars& x) {
                     return matmul(x[0], transpose(x[0], 0, 1));
                   }});
  cases.push_back(
      {"matmul of transposes, batched",
       {uniform({2, 4, 3}), uniform({2, 5, 4}, 5)},
       [](const Vars& x) { return matmul(transpose(x[0], 1, 2), transpose(x[1], -1, -2)); }});
  cases.push_back(
      {"matmul of batch axes moved inward",
       {uniform({4, 2, 3}), uniform({3, 2, 4}, 6)},
       [](const Vars& x) { return matmul(transpose(x[0], 0, 1), transpose(x[1], 0, 1)); }});
  cases.push_back({"matmul of slices", {uniform({5, 6}), uniform({6, 5}, 7)}, [](const Vars& x) {
                     return matmul(slice(x[0], 1, 1, 4), slice(x[1], 0, 2, 5));
                   }});
}

void add_views(std::vector<GradientCase>& cases) {
  cases.push_back(
      {"transpose", {uniform({2, 3, 4})}, [](const Vars& x) { return transpose(x[0], 0, -1); }});
  cases.push_back({"transpose of an axis with itself", {uniform({2, 3})}, [](const Vars& x) {
                     return transpose(x[0], 1, 1);
                   }});
  cases.push_back({"reshape", {uniform({2, 6})}, [](const Vars& x) {
                     return reshape(x[0], {3, 4});
                   }});
  cases.push_back({"reshape of a transpose", {uniform({2, 6})}, [](const Vars& x) {
                     return reshape(transpose(x[0], 0, 1), {4, 3});
                   }});
  cases.push_back({"reshape of nothing", {uniform({0, 3})}, [](const Vars& x) {
                     return reshape(x[0], {5, 0});
                   }});
  cases.push_back(
      {"slice", {uniform({3, 4, 2})}, [](const Vars& x) { return slice(x[0], 1, 1, 3); }});
  cases.push_back(
      {"slice of nothing", {uniform({3, 4})}, [](const Vars& x) { return slice(x[0], -1, 2, 2); }});
  cases.push_back({"slice, overlapping", {uniform({5})}, [](const Vars& x) {
                     return mul(slice(x[0], 0, 0, 3), slice(x[0], 0, 2, 5));
                   }});
  cases.push_back({"concat",
                   {uniform({2, 1}), uniform({2, 3}), uniform({2, 0})},
                   [](const Vars& x) { return concat(x, 1); }});
  cases.push_back(
      {"concat along the first axis, of one input twice", {uniform({2, 3})}, [](const Vars& x) {
         return concat({x[0], x[0]}, 0);
       }});
  cases.push_back(
      {"concat of transposes", {uniform({3, 2}), uniform({3, 2}, 8)}, [](const Vars& x) {
         return concat({transpose(x[0], 0, 1), transpose(x[1], 0, 1)}, -1);
       }});
}

void add_reductions(std::vector<GradientCase>& cases) {
  for (const Shape& shape : {Shape{2, 3, 4}, Shape{1, 3, 1}, Shape{2, 0, 3}}) {
    for (const int axis : {0, 1, -1}) {
      for (const bool keep : {false, true}) {
        const std::string what =
            shape.text() + " axis " + std::to_string(axis) + (keep ? " kept" : "");
        cases.push_back(
            {"sum" + what, {uniform(shape)}, [=](const Vars& x) { return sum(x[0], axis, keep); }});
        if (shape[axis] == 0) continue;
        cases.push_back({"mean" + what, {uniform(shape)}, [=](const Vars& x) {
                           return mean(x[0], axis, keep);
                         }});
      }
    }
    cases.push_back(
        {"sum of all " + shape.text(), {uniform(shape)}, [](const Vars& x) { return sum(x[0]); }});
  }
  cases.push_back({"mean of all", {uniform({2, 3})}, [](const Vars& x) { return mean(x[0]); }});
  cases.push_back({"sum of a transpose", {uniform({3, 4})}, [](const Vars& x) {
                     return sum(transpose(x[0], 0, 1), 0);
                   }});
  cases.push_back(
      {"sum of squares", {uniform({300})}, [](const Vars& x) { return sum(mul(x[0], x[0])); }});
}

void add_softmaxes(std::vector<GradientCase>& cases) {
  for (const Shape& shape : {Shape{5}, Shape{3, 4}, Shape{2, 3, 17}, Shape{4, 1}, Shape{0, 3}}) {
    cases.push_back(
        {"softmax" + shape.text(), {wide(shape)}, [](const Vars& x) { return softmax(x[0]); }});
    cases.push_back({"log_softmax" + shape.text(), {wide(shape)}, [](const Vars& x) {
                       return log_softmax(x[0]);
                     }});
  }
  cases.push_back({"softmax of a transpose", {wide({4, 3})}, [](const Vars& x) {
                     return softmax(transpose(x[0], 0, 1));
                   }});
  cases.push_back({"log_softmax of equal rows",
                   {Tensor::full({2, 3}, DType::f64, 7.0)},
                   [](const Vars& x) { return log_softmax(x[0]); }});
  cases.push_back({"cross_entropy", {wide({4, 3})}, [](const Vars& x) {
                     return cross_entropy(x[0], numbers({2, 0, 1, 2}));
                   }});
  cases.push_back({"cross_entropy of one class", {wide({2, 1})}, [](const Vars& x) {
                     return cross_entropy(x[0], numbers({0, 0}));
                   }});
}

void add_lookups(std::vector<GradientCase>& cases) {
  for (const auto& [name, rows] : std::vector<std::pair<std::string, std::vector<std::int32_t>>>{
           {"rows once", {2, 0}}, {"repeated rows", {1, 1, 3, 1, 0}}, {"no rows", {}}}) {
    cases.push_back({"embedding, " + name, {uniform({4, 3})}, [rows = rows](const Vars& x) {
                       return embedding(x[0], numbers(rows));
                     }});
    cases.push_back({"gather, " + name, {uniform({4, 3})}, [rows = rows](const Vars& x) {
                       return gather(x[0], numbers(rows));
                     }});
  }
  cases.push_back({"embedding and its table", {uniform({4, 4})}, [](const Vars& x) {
                     return matmul(embedding(x[0], numbers({3, 3, 1})), transpose(x[0], 0, 1));
                   }});
  cases.push_back({"gather from a transpose", {uniform({3, 4})}, [](const Vars& x) {
                     return gather(transpose(x[0], 0, 1), numbers({3, 3, 1}));
                   }});
  cases.push_back({"gather of rows without columns", {uniform({3, 0})}, [](const Vars& x) {
                     return gather(x[0], numbers({1, 2}));
                   }});
}

}  // namespace

std::vector<GradientCase> gradient_cases() {
  std::vector<GradientCase> cases;
  for (const auto add_some :
       {add_binary, add_unary, add_matmul, add_views, add_reductions, add_softmaxes, add_lookups}) {
    add_some(cases);
  }
  return cases;
}

std::string operation_of(const std::string& case_name) {
  return case_name.substr(0, case_name.find_first_not_of("abcdefghijklmnopqrstuvwxyz_"));
}

}  // namespace holdfast
