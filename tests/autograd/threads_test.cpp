// The same bits for any number of threads: values, gradients, and the sums behind them, on every
// instruction set, at sizes that are cut into several chunks.
#include <gtest/gtest.h>

#include "audit/reference/instruction_sets.h"
#include "audit/reference/random_tensor.h"
#include "autograd/ops.h"
#include "autograd/ops/sums.h"
#include "base/hash.h"

namespace holdfast {
namespace {

using reference::random_tensor;

Tensor some_rows(std::int64_t count, std::int64_t below) {
  const RandomStream stream(1, "rows");
  const Tensor rows = Tensor::empty({count}, DType::i32);
  std::uint64_t i = 0;
  for (std::int32_t& row : rows.span<std::int32_t>()) {
    row = static_cast<std::int32_t>(stream.below(static_cast<std::uint64_t>(below), 0, i++));
  }
  return rows;
}

std::vector<double> everything(DType dtype) {
  const auto parameter = [dtype](const Shape& shape, std::uint64_t seed) {
    return Parameter{"p", random_tensor(shape, seed, -1, 1, dtype), Tensor::empty(shape, dtype),
                     false};
  };
  Parameter table = parameter({50, 96}, 1), weight = parameter({96, 80}, 2),
            bias = parameter({80}, 3);
  const Tensor ids = some_rows(700, 50);
  const Var x = embedding(Var(table), ids);
  const Var hidden = gelu(add(matmul(x, Var(weight)), Var(bias)));
  const Var mixed = mul(gather(hidden, some_rows(600, 700)),
                        tanh(div(slice(hidden, 0, 50, 650), exp(Var(bias)))));
  const Var batched = reshape(mixed, {10, 60, 80});
  const Var scores = softmax(matmul(batched, transpose(batched, 1, 2)));
  const Var joined = concat({reshape(matmul(scores, batched), {600, 80}), relu(erf(mixed))}, 0);
  const Var loss = add(cross_entropy(joined, some_rows(1200, 80)), mean(mul(joined, joined)));
  backward(loss);
  std::vector<double> out = joined.value().to_vector();
  out.push_back(loss.value().item());
  for (const Parameter* p : {&table, &weight, &bias}) {
    const auto gradient = p->grad.to_vector();
    out.insert(out.end(), gradient.begin(), gradient.end());
  }
  return out;
}

TEST(Threads, DoNotChangeABit) {
  const reference::KeepMachine keep;
  for (const Isa isa : reference::instruction_sets()) {
    set_isa(isa);
    for (const DType dtype : {DType::f32, DType::f64}) {
      set_thread_count(1);
      const auto expected = everything(dtype);
      for (const int threads : {2, 3, 4, 8}) {
        set_thread_count(threads);
        EXPECT_EQ(everything(dtype), expected)
            << name_of(isa) << ' ' << name_of(dtype) << ' ' << threads;
      }
    }
  }
}

// The portable sets do not differ at all, and their sums are those of every machine: the constants
// are XXH3 of all values (tests/portable/runs_test.cpp: of whole runs).
TEST(Threads, NorDoMachinesChangeABitOfPortableNumbers) {
  const reference::KeepMachine keep;
  for (const Isa isa : reference::instruction_sets()) {
    if (!is_portable(isa)) continue;
    set_isa(isa);
    for (const auto& [dtype, expected] : {std::pair(DType::f32, "a461b4b0ccb2046e9f27a1b518cb419c"),
                                          {DType::f64, "a828b6c965a46c0eadb27bb64b9255e5"}}) {
      const std::vector<double> found = everything(dtype);
      const auto* bytes = reinterpret_cast<const char*>(found.data());
      EXPECT_EQ(to_hex(hash128({bytes, found.size() * sizeof(double)})), expected)
          << name_of(isa) << ' ' << name_of(dtype);
    }
  }
}

// Instruction sets differ in rounding only.
TEST(Threads, NorDoInstructionSetsChangeMore) {
  const reference::KeepMachine keep;
  set_isa(Isa::baseline);
  const auto expected = everything(DType::f64);
  for (const Isa isa : reference::instruction_sets()) {
    set_isa(isa);
    const auto found = everything(DType::f64);
    for (std::size_t i = 0; i < found.size(); ++i) ASSERT_NEAR(found[i], expected[i], 1e-12);
  }
}

// 10^6 equal numbers, in f32: added one after another they come to 100958.
TEST(Sums, OfManyFloatsStayAccurate) {
  const std::int64_t n = 1'000'000;
  const Tensor x = Tensor::full({n}, DType::f32, 0.1);
  float total = 0.0f;
  ops::sum_middle(Device(), x.data<float>(), 1, n, 1, &total);
  EXPECT_NEAR(total, static_cast<double>(0.1f) * 1e6, 0.5);
  std::vector<float> columns(10);
  ops::sum_middle(Device(), x.data<float>(), 1, n / 10, 10, columns.data());
  for (const float column : columns) EXPECT_NEAR(column, static_cast<double>(0.1f) * 1e5, 0.02);
}

}  // namespace
}  // namespace holdfast
