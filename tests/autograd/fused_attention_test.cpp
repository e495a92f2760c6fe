#include "audit/reference/composed.h"
#include "autograd/grad_check.h"
#include "tests/autograd/fused_twins.h"
#include "tests/reference/expect_error.h"

namespace holdfast {
namespace {

Operation fused(std::int64_t heads, const Packing& packing, const DropoutKey& dropout) {
  return [=](const std::vector<Var>& v) { return attention(v[0], heads, packing, dropout); };
}

Operation fused_queries(std::int64_t heads, const Packing& queries, const Packing& packing,
                        const DropoutKey& dropout) {
  return [=](const std::vector<Var>& v) {
    return attention(v[0], v[1], heads, queries, packing, dropout);
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
                 composed_attention(c.heads, packing, dropout_key(c.p)),
                 {random_tensor({rows_of(packing), 3 * c.channels}, 5, 2.0)});
  }
}

TEST(FusedAttention, OfSomeQueriesEqualsItsComposedTwin) {
  const std::vector<Case> cases{{{1}, 1, 1, 0.3},
                                {{3, 1, 5}, 2, 6, 0.0},
                                {{17, 64, 2}, 3, 24, 0.1},
                                {{300, 7, 33}, 2, 64, 0.1}};
  for (const Case& c : cases) {
    for (const std::int32_t count : {1, 2, 70}) {
      SCOPED_TRACE(testing::Message() << c.lengths[0] << " tokens, up to " << count << " queries");
      const Packing packing = packing_of(c.lengths), queries = asking(packing, count);
      expect_twins(fused_queries(c.heads, queries, packing, dropout_key(c.p)),
                   composed_queries(c.heads, queries, packing, dropout_key(c.p)),
                   {random_tensor({rows_of(queries), c.channels}, 5, 2.0),
                    random_tensor({rows_of(packing), 2 * c.channels}, 6, 2.0)});
    }
  }
}

// A query's result and mask are those that it has among all others.
TEST(FusedAttention, AQueryDoesNotDependOnWhichOthersAsk) {
  const Packing packing = packing_of({40, 1, 150}, {7, 2, 5});
  const DropoutKey key = dropout_key(0.2);
  const Var qkv(random_tensor({rows_of(packing), 3 * 16}, 11));
  const auto rows = asking_rows(packing, 2);
  const Tensor numbers = Tensor::from(rows, {static_cast<std::int64_t>(rows.size())});
  const Tensor some = attention(gather(slice(qkv, 1, 0, 16), numbers), slice(qkv, 1, 16, 48), 2,
                                asking(packing, 2), packing, key)
                          .value();
  EXPECT_LE(difference(some, gather(attention(qkv, 2, packing, key), numbers).value()), 1e-14);
}

TEST(FusedAttention, PassesTheGradientCheck) {
  for (const double p : {0.0, 0.4}) {
    const Packing packing = packing_of({4, 1, 3});
    const auto result = check_gradients(fused(2, packing, dropout_key(p)),
                                        {random_tensor({rows_of(packing), 18}, 6)});
    EXPECT_TRUE(result.passed()) << p << ": " << result.where;
    for (const std::int32_t count : {1, 2}) {
      const Packing queries = asking(packing, count);
      const auto of_some = check_gradients(
          fused_queries(2, queries, packing, dropout_key(p)),
          {random_tensor({rows_of(queries), 6}, 6), random_tensor({rows_of(packing), 12}, 7)});
      EXPECT_TRUE(of_some.passed()) << p << ", " << count << " queries: " << of_some.where;
    }
  }
}

TEST(FusedAttention, FloatIsCloseToDouble) {
  const Packing packing = packing_of({54, 512, 1, 128});
  expect_float_close(fused(3, packing, dropout_key(0.1)),
                     {random_tensor({rows_of(packing), 3 * 96}, 7, 2.0)}, 2e-6);
  const Packing queries = asking(packing, 1);
  expect_float_close(fused_queries(3, queries, packing, dropout_key(0.1)),
                     {random_tensor({rows_of(queries), 96}, 7, 2.0),
                      random_tensor({rows_of(packing), 2 * 96}, 8, 2.0)},
                     2e-6);
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

// The limit is one of each text. One query a text: its result, of equal scores, is the mean of the
// values.
TEST(FusedAttention, TakesTextsOf65536TokensAndNoMore) {
  const auto first_of = [](const std::vector<std::int32_t>& lengths) {
    const Packing packing = packing_of(lengths), first = asking(packing, 1);
    const Tensor q = Tensor::zeros({first.rows(), 1}, DType::f64);
    const Tensor kv = Tensor::zeros({packing.rows(), 2}, DType::f64);
    for (std::int64_t n = 0; n < packing.rows(); ++n)
      kv.data<double>()[2 * n + 1] = static_cast<double>(n % 2);
    return attention(Var(q), Var(kv), 1, first, packing, {}).value().to_vector();
  };
  for (const double mean : first_of({65536, 65536, 1000})) EXPECT_NEAR(mean, 0.5, 1e-12);
  expect_error<std::invalid_argument>("long text", "[attention] text 1 has more than 65536 tokens",
                                      [&] {
                                        first_of({10, 65537});
                                      });
}

TEST(FusedAttention, NamesWhatDoesNotFitOfTheQueries) {
  const Packing three = packing_of({2, 1}), first = asking(three, 1);
  const auto call = [&](const Shape& q, const Shape& kv, const Packing& queries) {
    return [=] {
      attention(Var(random_tensor(q, 1)), Var(random_tensor(kv, 2)), 2, queries, three, {});
    };
  };
  expect_error<std::invalid_argument>("heads", "[attention] q has shape (2,7), expected (M,C)",
                                      call({2, 7}, {3, 14}, first));
  expect_error<std::invalid_argument>(
      "channels", "[attention] kv has shape (3,8), expected (3,16): keys and values",
      call({2, 8}, {3, 8}, first));
  expect_error<std::invalid_argument>("tokens", "[attention] kv has shape (2,16), expected (3,16)",
                                      call({2, 8}, {2, 16}, first));
  expect_error<std::invalid_argument>(
      "rows", "[attention] offsets run from 0 to 2, expected 0 to 3", call({3, 8}, {3, 16}, first));
  expect_error<std::invalid_argument>(
      "texts", "[attention] the queries are of 1 texts, keys and values of 2",
      call({2, 8}, {3, 16}, packing_of({2})));
  expect_error<std::invalid_argument>("no query", "[attention] text 0 is empty",
                                      call({2, 8}, {3, 16}, packing_of({0, 2})));
}

}  // namespace
}  // namespace holdfast
