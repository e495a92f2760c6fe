#include "autograd/grad_check.h"
#include "tests/autograd/fused_twins.h"
#include "tests/reference/expect_error.h"

namespace holdfast {
namespace {

Operation fused(std::int64_t heads, const Packing& packing, const DropoutKey& dropout) {
  return [=](const std::vector<Var>& v) { return attention(v[0], heads, packing, dropout); };
}

// Text by text and head by head, from elementary operations, with the mask of the scalar oracle.
Operation composed(std::int64_t heads, const Packing& packing, const DropoutKey& dropout) {
  return [=](const std::vector<Var>& v) {
    const std::int64_t C = v[0].size(1) / 3, D = C / heads;
    const auto offset = packing.offsets.span<std::int32_t>();
    std::vector<Var> texts;
    for (std::size_t b = 0; b + 1 < offset.size(); ++b) {
      const std::int64_t begin = offset[b], end = offset[b + 1];
      const Var rows = slice(v[0], 0, begin, end);
      const Tensor slots = packing.slots.slice(0, begin, end);
      const Tensor tokens = packing.tokens.slice(0, begin, end);
      std::vector<Var> parts;
      for (std::int64_t h = 0; h < heads; ++h) {
        const auto channels = [&](std::int64_t part) {
          return slice(rows, 1, part * C + h * D, part * C + (h + 1) * D);
        };
        const Var p = softmax(scale(matmul(channels(0), transpose(channels(1), 0, 1)),
                                    1.0 / std::sqrt(static_cast<double>(D))));
        const Var mask(dropout_mask(dropout, slots, tokens, end - begin, h * 65536));
        parts.push_back(matmul(mul(p, mask), channels(2)));
      }
      texts.push_back(concat(parts, 1));
    }
    return concat(texts, 0);
  };
}

std::int64_t rows_of(const Packing& packing) { return packing.rows(); }

struct Case {
  std::vector<std::int32_t> lengths;
  std::int64_t heads, channels;
  double p;
};

TEST(FusedAttention, EqualsItsComposedTwin) {
  const std::vector<Case> cases{{{1}, 1, 1, 0.0},
                                {{1}, 2, 8, 0.1},
                                {{3, 1, 5}, 2, 6, 0.0},
                                {{3, 1, 5}, 2, 6, 0.3},
                                {{17, 64, 2}, 3, 24, 0.1},
                                {{130, 7}, 2, 64, 0.1},
                                {{54, 20, 33}, 4, 128, 0.1},
                                {{512, 1}, 1, 32, 0.1},
                                {{200}, 1, 100, 0.0}};
  for (const Case& c : cases) {
    SCOPED_TRACE(testing::Message() << c.lengths[0] << " tokens, heads " << c.heads << ", C "
                                    << c.channels << ", p " << c.p);
    const Packing packing = packing_of(c.lengths);
    expect_twins(fused(c.heads, packing, dropout_key(c.p)),
                 composed(c.heads, packing, dropout_key(c.p)),
                 {random_tensor({rows_of(packing), 3 * c.channels}, 5, 2.0)});
  }
}

TEST(FusedAttention, PassesTheGradientCheck) {
  for (const double p : {0.0, 0.4}) {
    const Packing packing = packing_of({4, 1, 3});
    const auto result = check_gradients(fused(2, packing, dropout_key(p)),
                                        {random_tensor({rows_of(packing), 18}, 6)});
    EXPECT_TRUE(result.passed()) << p << ": " << result.where;
  }
}

TEST(FusedAttention, FloatIsCloseToDouble) {
  const Packing packing = packing_of({54, 512, 1, 128});
  expect_float_close(fused(3, packing, dropout_key(0.1)),
                     {random_tensor({rows_of(packing), 3 * 96}, 7, 2.0)}, 2e-6);
}

TEST(FusedAttention, LargeScoresDoNotOverflow) {
  const Packing packing = packing_of({20, 3});
  expect_float_close(fused(1, packing, DropoutKey{}),
                     {random_tensor({rows_of(packing), 3 * 4}, 8, 30.0)}, 1e-3);
}

// The same text beside others, at another place of the batch: the same numbers and the same mask.
TEST(FusedAttention, ATextDoesNotDependOnItsNeighbours) {
  const Tensor text = random_tensor({37, 3 * 16}, 9), other = random_tensor({50, 3 * 16}, 10);
  const DropoutKey key = dropout_key(0.2);
  const Tensor alone = attention(Var(text), 2, packing_of({37}, {5}), key).value();
  const Tensor both =
      attention(concat({Var(other), Var(text)}, 0), 2, packing_of({50, 37}, {1, 5}), key).value();
  EXPECT_LE(difference(both.slice(0, 50, 87), alone), 1e-12);
}

TEST(FusedAttention, NamesWhatDoesNotFit) {
  const auto call = [](const Shape& qkv, std::int64_t heads, const Packing& packing) {
    return [=] { attention(Var(random_tensor(qkv, 1)), heads, packing, DropoutKey{}); };
  };
  const Packing three = packing_of({2, 1});
  expect_error<std::invalid_argument>("heads", "[attention] qkv has shape (3,24), expected (N,3C)",
                                      call({3, 24}, 3, three));
  expect_error<std::invalid_argument>("no heads", "[attention] qkv has", call({3, 24}, 0, three));
  expect_error<std::invalid_argument>(
      "rows", "[attention] offsets run from 0 to 3, expected 0 to 4", call({4, 24}, 2, three));
  expect_error<std::invalid_argument>("empty text", "[attention] text 1 is empty",
                                      call({2, 24}, 2, packing_of({2, 0})));
  expect_error<std::invalid_argument>("no texts", "[attention] the batch has no texts",
                                      call({0, 24}, 2, packing_of({})));
  Packing wrong = three;
  wrong.tokens = Tensor::zeros({2}, DType::i32);
  expect_error<std::invalid_argument>("tokens", "[attention] tokens has shape (2), expected (3)",
                                      call({3, 24}, 2, wrong));
  expect_error<std::invalid_argument>("type", "[attention] needs f32 or f64", [&] {
    attention(Var(Tensor::zeros({3, 24}, DType::i32)), 2, three, DropoutKey{});
  });
  expect_error<std::invalid_argument>("threshold", "[dropout] the threshold", [&] {
    attention(Var(random_tensor({3, 24}, 1)), 2, three, dropout_key(1.0));
  });
}

}  // namespace
}  // namespace holdfast
