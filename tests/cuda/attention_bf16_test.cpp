// Attention with products of bf16 operands (tensor/cuda/attention_bf16.h): beside an oracle that
// rounds at the same places, and beside the exact one within what bf16 allows.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "audit/reference/twins.h"
#include "autograd/ops/fused_common.h"
#include "tests/cuda/on_simulation.h"
#include "tests/cuda/rounded_attention.h"

namespace holdfast {
namespace {

using AttentionInBf16 = OnDeviceTest;
using reference::AttentionProblem;
using reference::Numbers;
using reference::Uncertain;

// Of some queries: the first few of each text, q and kv apart; else q, k and v side by side.
struct Case {
  std::vector<std::int32_t> lengths;
  std::int64_t heads, D;
  double p;
  bool some;

  std::string name() const {
    return std::to_string(lengths.size()) + " texts, D " + std::to_string(D) +
           (p > 0 ? ", dropout" : "") + (some ? ", some queries" : "");
  }
  std::int64_t C() const { return heads * D; }
  DropoutKey key() const { return dropout_key(p); }
  Packing packing() const { return packing_of(lengths); }
  Packing queries() const {
    if (!some) return packing();
    std::vector<std::int32_t> slots, counts;
    for (std::size_t b = 0; b < lengths.size(); ++b) {
      slots.push_back(static_cast<std::int32_t>(b));
      counts.push_back(std::min(lengths[b], 1 + 20 * static_cast<std::int32_t>(b)));
    }
    return packing_of(counts, slots);
  }
  // q (M, C), k and v (N, 2C), as the operation has them
  std::vector<Tensor> operands() const {
    if (some) {
      return {random_tensor({queries().rows(), C()}, 2, 1.0, DType::f32),
              random_tensor({packing().rows(), 2 * C()}, 3, 1.0, DType::f32)};
    }
    const Tensor qkv = random_tensor({packing().rows(), 3 * C()}, 1, 1.0, DType::f32);
    return {qkv.slice(1, 0, C()), qkv.slice(1, C(), 3 * C())};
  }
  Tensor dout() const { return random_tensor({queries().rows(), C()}, 99, 1.0, DType::f32); }
};

std::vector<Case> cases() {
  std::vector<Case> all;
  for (const double p : {0.0, 0.2}) {
    for (const bool some : {false, true}) {
      all.push_back({{1, 3, 17, 33, 70}, 2, 64, p, some});
      all.push_back({{3, 70}, 3, 4, p, some});
      all.push_back({{17, 1}, 1, 16, p, some});
      all.push_back({{33, 70}, 2, 20, p, some});
      all.push_back({{18}, 1, 101, p, some});
    }
  }
  return all;
}

struct Results {
  Numbers out, lse, dq, dkv;  // (M, C), (M, H), (M, C), (N, 2C)
};

Results run_there(const Case& one) {
  const OnDevice scope({0});
  const Device on{0};
  const std::vector<Tensor> in = one.operands();
  const Packing queries = one.queries(), packing = one.packing();
  const auto i32 = [&](const Tensor& x) { return x.data<std::int32_t>(on); };
  const std::int64_t M = queries.rows(), C = one.C();
  const Tensor out = Tensor::empty({M, C}, DType::f32), dq = out.clone(), dout = one.dout(),
               lse = Tensor::empty({M, one.heads}, DType::f32), delta = lse.clone(),
               dkv = Tensor::empty({packing.rows(), 2 * C}, DType::f32);
  // The gradients' rows lie as those of the operands do.
  const Tensor wide_q = Tensor::empty({M, in[0].stride(0)}, DType::f32),
               wide_kv = Tensor::empty({packing.rows(), in[1].stride(0)}, DType::f32);
  const cuda::AttentionBatch<float> batch{.texts = packing.texts(),
                                          .heads = one.heads,
                                          .channels = one.D,
                                          .rows = M,
                                          .most_queries = *std::ranges::max_element(one.lengths),
                                          .most_tokens = *std::ranges::max_element(one.lengths),
                                          .query_offsets = i32(queries.offsets),
                                          .offsets = i32(packing.offsets),
                                          .q = in[0].data<float>(on),
                                          .k = in[1].data<float>(on),
                                          .v = in[1].data<float>(on) + C,
                                          .ld_q = in[0].stride(0),
                                          .ld = in[1].stride(0),
                                          .dropout = ops::mask_of(one.key()),
                                          .slots = i32(queries.slots),
                                          .places = i32(queries.tokens),
                                          .ld_out = C,
                                          .lse = lse.data<float>(on),
                                          .bf16 = true};
  const auto& table = cuda::table<cuda::AttentionOfBatch<float>>(0);
  table.forward(batch, out.data<float>(on));
  float* dk = wide_kv.data<float>(on);
  table.backward(batch, out.data<float>(on), dout.data<float>(on), delta.data<float>(on),
                 wide_q.data<float>(on), dk, dk + C);
  dq.copy_from(wide_q.slice(1, 0, C));
  dkv.copy_from(wide_kv.slice(1, 0, 2 * C));
  return {out.to_vector(), lse.to_vector(), dq.to_vector(), dkv.to_vector()};
}

// Rows and columns of a matrix of numbers.
struct Part {
  std::size_t first_row, rows, ld, first, columns;
  Numbers of(const Numbers& x) const {
    Numbers part;
    for (std::size_t r = 0; r < rows; ++r) {
      for (std::size_t c = 0; c < columns; ++c) part.push_back(x[(first_row + r) * ld + first + c]);
    }
    return part;
  }
};

// One head of one text.
struct Head {
  AttentionProblem problem;
  Part q, k, v, lse;
};

std::vector<Head> heads_of(const Case& one) {
  const std::vector<Tensor> in = one.operands();
  const Numbers q = in[0].to_vector(), kv = in[1].to_vector(), dout = one.dout().to_vector();
  const Packing queries = one.queries(), packing = one.packing();
  const auto rows = [](const Packing& of, std::size_t b) {
    const auto offset = of.offsets.span<std::int32_t>();
    return std::pair(static_cast<std::size_t>(offset[b]),
                     static_cast<std::size_t>(offset[b + 1] - offset[b]));
  };
  const auto C = static_cast<std::size_t>(one.C()), D = static_cast<std::size_t>(one.D),
             H = static_cast<std::size_t>(one.heads);
  std::vector<Head> all;
  for (std::size_t b = 0; b < one.lengths.size(); ++b) {
    const auto [row, I] = rows(queries, b);
    const auto [token, J] = rows(packing, b);
    for (std::size_t h = 0; h < H; ++h) {
      const Part of_q{row, I, C, h * D, D}, of_k{token, J, 2 * C, h * D, D},
          of_v{token, J, 2 * C, C + h * D, D};
      AttentionProblem problem{
          I, J, D, of_q.of(q), of_k.of(kv), of_v.of(kv), of_q.of(dout), {}, one.key().scale()};
      for (std::size_t i = row; i < row + I; ++i) {
        for (std::size_t j = 0; j < J; ++j) {
          const double factor = dropout_factor(one.key(), queries.slots.span<std::int32_t>()[i],
                                               queries.tokens.span<std::int32_t>()[i],
                                               static_cast<std::int64_t>(h * 65536 + j));
          problem.mask.push_back(factor > 0 ? 1 : 0);
        }
      }
      all.push_back({problem, of_q, of_k, of_v, {row, I, H, h, 1}});
    }
  }
  return all;
}

// |found - expected| <= slack + 1e-5 of the largest
void expect_rounded(const Numbers& found, const std::vector<Uncertain>& expected,
                    const std::string& name) {
  ASSERT_EQ(found.size(), expected.size()) << name;
  double largest = 0;
  for (const Uncertain& x : expected) largest = std::max(largest, std::abs(x.value));
  for (std::size_t i = 0; i < found.size(); ++i) {
    ASSERT_NEAR(found[i], expected[i].value, expected[i].slack + 1e-5 * largest)
        << name << ", element " << i;
  }
}

TEST_P(AttentionInBf16, EqualsTheOracleThatRoundsAtTheSamePlaces) {
  for (const Case& one : cases()) {
    const Results found = run_there(one);
    for (const Head& head : heads_of(one)) {
      const auto forward = reference::rounded_forward(head.problem);
      const Numbers out = head.q.of(found.out), lse = head.lse.of(found.lse);
      expect_rounded(out, forward.out, one.name() + ": result");
      for (std::size_t i = 0; i < lse.size(); ++i)
        ASSERT_NEAR(lse[i], forward.lse[i], 1e-5) << one.name() << ": lse " << i;
      const auto gradients = reference::rounded_backward(head.problem, out, lse);
      expect_rounded(head.q.of(found.dq), gradients.q, one.name() + ": dq");
      expect_rounded(head.k.of(found.dkv), gradients.k, one.name() + ": dk");
      expect_rounded(head.v.of(found.dkv), gradients.v, one.name() + ": dv");
    }
  }
}

// |found - exact| <= bound + 1e-6, for f32
void expect_within(const Numbers& found, const Numbers& exact, const Numbers& bound,
                   const std::string& name) {
  ASSERT_EQ(found.size(), exact.size()) << name;
  for (std::size_t i = 0; i < found.size(); ++i)
    ASSERT_NEAR(found[i], exact[i], bound[i] + 1e-6) << name << ", element " << i;
}

TEST_P(AttentionInBf16, IsWithinWhatRoundingAllowsOfTheCpus) {
  for (const Case& one : cases()) {
    const Results found = run_there(one);
    const std::vector<Tensor> exact = run(
        [&](const std::vector<Var>& v) {
          return attention(v[0], v[1], one.heads, one.queries(), one.packing(), one.key());
        },
        converted(one.operands(), DType::f64));
    const Numbers out = exact[0].to_vector(), dq = exact[1].to_vector(), dkv = exact[2].to_vector();
    for (const Head& head : heads_of(one)) {
      const auto bound = reference::bf16_bounds(head.problem);
      expect_within(head.q.of(found.out), head.q.of(out), bound.out, one.name() + ": result");
      expect_within(head.q.of(found.dq), head.q.of(dq), bound.q, one.name() + ": dq");
      expect_within(head.k.of(found.dkv), head.k.of(dkv), bound.k, one.name() + ": dk");
      expect_within(head.v.of(found.dkv), head.v.of(dkv), bound.v, one.name() + ": dv");
    }
  }
}

TEST_P(AttentionInBf16, GivesTheSameBitsAgain) {
  for (const Case& one : cases()) {
    const Results a = run_there(one), b = run_there(one);
    EXPECT_TRUE(a.out == b.out && a.lse == b.lse && a.dq == b.dq && a.dkv == b.dkv) << one.name();
  }
}

// Backward as forward was, whatever is on by then.
TEST_P(AttentionInBf16, IsWhatTheOperationTakesWhileProductsAreInBf16) {
  const Case one{{17, 33}, 2, 20, 0.2, true};
  const Results expected = run_there(one);
  const OnDevice scope({0});
  const Packing queries = one.queries(), packing = one.packing();
  const std::vector<Tensor> found = run(
      [&](const std::vector<Var>& v) {
        const Bf16Products products(true);
        return attention(v[0], v[1], one.heads, queries, packing, one.key());
      },
      one.operands());
  EXPECT_EQ(found[0].to_vector(), expected.out);
  EXPECT_EQ(found[1].to_vector(), expected.dq);
  EXPECT_EQ(found[2].to_vector(), expected.dkv);
}

INSTANTIATE_TEST_SUITE_P(Cuda, AttentionInBf16, all_devices(), device_test_name);

}  // namespace
}  // namespace holdfast
