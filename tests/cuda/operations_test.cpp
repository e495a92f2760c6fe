// Every operation on a device beside the CPU: results and gradients.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <string>
#include <utility>
#include <vector>

#include "audit/gradient_cases.h"
#include "audit/reference/twins.h"
#include "audit/value_cases.h"
#include "tests/cuda/on_simulation.h"

namespace holdfast {
namespace {

using OperationsOnDevice = OnDeviceTest;
using Vars = std::vector<Var>;

void expect_equal(const std::string& name, const std::vector<Tensor>& found,
                  const std::vector<Tensor>& expected, double bound) {
  ASSERT_EQ(found.size(), expected.size()) << name;
  for (std::size_t i = 0; i < found.size(); ++i) {
    EXPECT_LE(difference(found[i], expected[i]), bound)
        << name << ": "
        << (i == 0 ? "the result" : "the gradient of input " + std::to_string(i - 1));
  }
}

bool same_bits(const std::vector<Tensor>& a, const std::vector<Tensor>& b) {
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (a[i].to_vector() != b[i].to_vector()) return false;
  }
  return a.size() == b.size();
}

TEST_P(OperationsOnDevice, ElementaryOnesEqualTheCpus) {
  const std::vector<GradientCase> cases = gradient_cases();
  std::vector<std::vector<Tensor>> expected;
  for (const GradientCase& one : cases) expected.push_back(run(one.function, one.inputs));
  const OnDevice scope({0});
  const std::vector<GradientCase> here = gradient_cases();
  const std::int64_t before = kernels_run();
  for (std::size_t i = 0; i < cases.size(); ++i)
    expect_equal(here[i].name, run(here[i].function, here[i].inputs), expected[i], 1e-12);
  if (GetParam() != kGpu) {
    EXPECT_GT(kernels_run() - before, std::ssize(cases));
  }
}

TEST_P(OperationsOnDevice, ElementaryOnesEqualTheNaiveOracles) {
  const OnDevice scope({0});
  for (const ValueCase& one : value_cases()) {
    EXPECT_LE(value_error(one, DType::f64), 1e-12) << one.name;
    EXPECT_LE(value_error(one, DType::f32), one.single) << one.name;
  }
}

// An operation with what it captures made on the current device.
struct Fused {
  std::string name;
  std::vector<Tensor> inputs;
  Operation function;
  double single;      // bound of f32 against f64
  bool there = true;  // whether the device has it in f64
};

Tensor numbers(const std::vector<std::int32_t>& values) {
  return Tensor::from(values, {static_cast<std::int64_t>(values.size())});
}

void add_linear(std::vector<Fused>& all) {
  const std::pair<const char*, Activation> activations[] = {{"none", Activation::none},
                                                            {"gelu", Activation::gelu_erf},
                                                            {"gelu_tanh", Activation::gelu_tanh},
                                                            {"tanh", Activation::tanh},
                                                            {"relu", Activation::relu}};
  for (const auto& [name, activation] : activations) {
    for (const auto& [N, I, O] :
         {std::array<std::int64_t, 3>{1, 1, 1}, {5, 4, 3}, {300, 33, 17}, {20, 70, 130}}) {
      all.push_back({"linear " + std::string(name) + ' ' + std::to_string(N),
                     {random_tensor({N, I}, 1, 2.0), random_tensor({O, I}, 2, I > 50 ? 0.1 : 1.0),
                      random_tensor({O}, 3)},
                     [activation = activation](const Vars& v) {
                       return linear(v[0], v[1], v[2], activation);
                     },
                     activation == Activation::relu ? 1.0 : 3e-6});
    }
  }
}

void add_norms(std::vector<Fused>& all) {
  for (const double p : {0.0, 0.3}) {
    for (const std::int64_t C : {3, 6, 17, 300}) {
      const Packing packing = packing_of({3, 1, 7}, {4, 0, 9});
      const DropoutKey key = dropout_key(p);
      const std::string name = std::to_string(C) + (p > 0 ? " with dropout" : "");
      all.push_back({"dropout_residual_layer_norm " + name,
                     {random_tensor({11, C}, 1, 3.0), random_tensor({11, C}, 4, 2.0),
                      random_tensor({C}, 2), random_tensor({C}, 3)},
                     [=](const Vars& v) {
                       return dropout_residual_layer_norm(v[0], v[1], v[2], v[3], 1e-5, key,
                                                          packing);
                     },
                     C < 5 ? 1e-5 : 2e-6});
      const Tensor ids = numbers({1, 5, 1, 1, 0, 6, 2, 2, 5, 3, 1}),
                   pos = numbers({0, 1, 2, 0, 0, 1, 2, 3, 4, 5, 6}),
                   types = numbers({0, 0, 1, 0, 1, 0, 0, 1, 0, 0, 0});
      all.push_back({"embedding_layer_norm " + name,
                     {random_tensor({7, C}, 1), random_tensor({8, C}, 2), random_tensor({2, C}, 3),
                      random_tensor({C}, 4), random_tensor({C}, 5)},
                     [=](const Vars& v) {
                       return embedding_layer_norm(v[0], v[1], v[2], ids, pos, types, v[3], v[4],
                                                   1e-5, key, packing);
                     },
                     C < 5 ? 1e-5 : 2e-6});
    }
  }
}

void add_attention(std::vector<Fused>& all) {
  struct Case {
    std::vector<std::int32_t> lengths;
    std::int64_t heads, C;
  };
  for (const double p : {0.0, 0.2}) {
    const DropoutKey key = dropout_key(p);
    for (const auto& [lengths, heads, C] : {Case{{2, 1}, 1, 1},
                                            {{3, 1, 5}, 2, 6},
                                            {{8, 9, 17}, 3, 12},
                                            {{70, 33}, 2, 64},
                                            {{5}, 1, 200},
                                            {{3}, 1, 300}}) {
      const Packing packing = packing_of(lengths);
      std::vector<std::int32_t> slots, some;
      for (std::size_t b = 0; b < lengths.size(); ++b) {
        slots.push_back(static_cast<std::int32_t>(b));
        some.push_back(std::min(lengths[b], 1 + 10 * static_cast<std::int32_t>(b)));
      }
      const Packing queries = packing_of(some, slots);
      const double single = C / heads > 256 ? 8e-6 : 4e-6;
      const std::string name =
          std::to_string(packing.rows()) + 'x' + std::to_string(C) + (p > 0 ? " with dropout" : "");
      all.push_back({"attention " + name,
                     {random_tensor({packing.rows(), 3 * C}, 1, 2.0)},
                     [=](const Vars& v) { return attention(v[0], heads, packing, key); },
                     single,
                     cuda::attention_fits(C / heads, 8)});
      all.push_back(
          {"attention of some queries " + name,
           {random_tensor({queries.rows(), C}, 2, 2.0),
            random_tensor({packing.rows(), 2 * C}, 3, 2.0)},
           [=](const Vars& v) { return attention(v[0], v[1], heads, queries, packing, key); },
           single,
           cuda::attention_fits(C / heads, 8)});
    }
  }
}

void add_losses(std::vector<Fused>& all) {
  for (const double smoothing : {0.0, 0.1, 1.0}) {
    for (const std::int64_t K : {4, 300}) {
      const Tensor labels = numbers({2, 0, 3, 3, 1}),
                   weights = Tensor::from(std::vector<double>{0.25, 0.5, 0.0, 1.25, 1}, {5});
      all.push_back({"softmax_cross_entropy " + std::to_string(K),
                     {random_tensor({5, K}, 1, 4.0)},
                     [=](const Vars& v) {
                       return softmax_cross_entropy(v[0], labels, weights.to(v[0].dtype()),
                                                    smoothing);
                     },
                     1e-6});
    }
  }
}

std::vector<Fused> fused() {
  std::vector<Fused> all;
  add_linear(all);
  add_norms(all);
  add_attention(all);
  add_losses(all);
  return all;
}

TEST_P(OperationsOnDevice, FusedOnesEqualTheCpusAndRunThere) {
  std::vector<std::vector<Tensor>> expected, rounded;
  for (const Fused& one : fused()) {
    expected.push_back(run(one.function, one.inputs));
    rounded.push_back(run(one.function, converted(converted(one.inputs, DType::f32), DType::f64)));
  }
  const OnDevice scope({0});
  std::size_t i = 0;
  for (const Fused& one : fused()) {
    const std::int64_t before = kernels_run();
    expect_equal(one.name, run(one.function, one.inputs), expected[i], 1e-12);
    if (one.there) {
      EXPECT_GT(kernels_run(), before) << one.name;
    }
    expect_equal(one.name + " f32", run(one.function, converted(one.inputs, DType::f32)),
                 rounded[i], one.single);
    ++i;
  }
}

TEST_P(OperationsOnDevice, GiveTheSameBitsAgain) {
  const OnDevice scope({0});
  for (const Fused& one : fused()) {
    const std::vector<Tensor> inputs = converted(one.inputs, DType::f32);
    EXPECT_TRUE(same_bits(run(one.function, inputs), run(one.function, inputs))) << one.name;
  }
}

TEST_P(OperationsOnDevice, DropoutMasksAreTheCpus) {
  const Packing packing = packing_of({5, 1, 40}, {7, 100000, 2});
  const auto mask = [&](const Packing& rows) {
    return dropout(Var(Tensor::full({46, 77}, DType::f32, 1.0)), dropout_key(0.37), rows.slots,
                   rows.tokens)
        .value()
        .to_vector();
  };
  const std::vector<double> expected = mask(packing);
  const OnDevice scope({0});
  EXPECT_EQ(mask(packing_of({5, 1, 40}, {7, 100000, 2})), expected);
}

INSTANTIATE_TEST_SUITE_P(Cuda, OperationsOnDevice, all_devices(), device_test_name);

// As many threads as share the rows of a sum (tensor/cuda/sums.h), as a GPU's blocks have.
using WideTeams = OnDeviceTest;

TEST_P(WideTeams, ReduceAsTheCpuDoes) {
  struct Case {
    const char* name;
    std::vector<Tensor> inputs;
    Operation function;
  };
  std::vector<std::int32_t> rows(50, 1);  // one row's gradient from nearly all
  rows[7] = 0;
  const std::vector<Case> cases{
      {"gather",
       {random_tensor({2, 40}, 4)},
       [rows](const Vars& v) { return gather(v[0], numbers(rows)); }},
      {"sum", {random_tensor({300, 40}, 1)}, [](const Vars& v) { return sum(v[0], 0); }},
      {"layer_norm",
       {random_tensor({2, 300}, 1), random_tensor({300}, 2), random_tensor({300}, 3)},
       [](const Vars& v) { return layer_norm(v[0], v[1], v[2], 1e-5); }}};
  for (const auto& [name, inputs, function] : cases) {
    const std::vector<Tensor> expected = run(function, inputs);
    const OnDevice scope({0});
    expect_equal(name, run(function, inputs), expected, 1e-12);
  }
}

INSTANTIATE_TEST_SUITE_P(Cuda, WideTeams, testing::Values(96), device_test_name);

}  // namespace
}  // namespace holdfast
