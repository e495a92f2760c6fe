#include "autograd/grad_check.h"
#include "tests/autograd/fused_twins.h"
#include "tests/reference/expect_error.h"

namespace holdfast {
namespace {

Operation dropped(const DropoutKey& key, const Packing& packing) {
  return
      [=](const std::vector<Var>& v) { return dropout(v[0], key, packing.slots, packing.tokens); };
}

TEST(Dropout, IsTheMaskOfTheScalarOracle) {
  const Packing packing = packing_of({3, 1, 30, 70}, {9, 2, 1000000, 4});
  for (const std::int64_t C : {1, 7, 8, 100, 384, 2048, 5000}) {
    for (const double p : {0.1, 0.5, 0.999}) {
      SCOPED_TRACE(testing::Message() << C << ' ' << p);
      const DropoutKey key = dropout_key(p, 0xfffffff0);
      const Tensor x = random_tensor({packing.rows(), C}, 1);
      const Tensor mask = dropout_mask(key, packing.slots, packing.tokens, C);
      const std::vector<double> found =
          dropout(Var(x), key, packing.slots, packing.tokens).value().to_vector();
      const std::vector<double> factor = mask.to_vector(), value = x.to_vector();
      std::int64_t wrong = 0;
      for (std::size_t i = 0; i < found.size(); ++i) wrong += found[i] != value[i] * factor[i];
      EXPECT_EQ(wrong, 0);
    }
  }
}

TEST(Dropout, PassesTheGradientCheckAndEqualsItsTwin) {
  const Packing packing = packing_of({2, 3});
  const DropoutKey key = dropout_key(0.3);
  const Tensor x = random_tensor({5, 11}, 2);
  const auto result = check_gradients(dropped(key, packing), {x});
  EXPECT_TRUE(result.passed()) << result.where;
  const Tensor mask = dropout_mask(key, packing.slots, packing.tokens, 11);
  expect_twins(dropped(key, packing),
               [mask](const std::vector<Var>& v) { return mul(v[0], Var(mask)); }, {x});
}

// Binomial: the share of zeros is within five standard deviations of p, overall and in each of the
// eight numbers of a counter.
TEST(Dropout, DropsTheStatedShare) {
  const std::int32_t N = 2000, C = 400;
  const Packing packing = packing_of({N});
  for (const double p : {0.01, 0.1, 0.5}) {
    const Tensor ones = Tensor::full({N, C}, DType::f32, 1.0);
    const std::vector<double> y =
        dropout(Var(ones), dropout_key(p), packing.slots, packing.tokens).value().to_vector();
    std::array<std::int64_t, 8> zeros{};
    for (std::size_t i = 0; i < y.size(); ++i) zeros[i % 8] += y[i] == 0.0;
    const double each = N * C / 8.0, deviation = std::sqrt(each * p * (1 - p));
    for (const std::int64_t count : zeros) {
      EXPECT_NEAR(static_cast<double>(count), each * p, 5 * deviation) << p;
    }
  }
}

TEST(Dropout, DoesNotDependOnPacking) {
  const DropoutKey key = dropout_key(0.25);
  const Tensor a = random_tensor({6, 40}, 3), b = random_tensor({9, 40}, 4);
  const Packing both = packing_of({6, 9}, {11, 12}), second = packing_of({9}, {12});
  const Tensor packed =
      dropout(concat({Var(a), Var(b)}, 0), key, both.slots, both.tokens).value().slice(0, 6, 15);
  const Tensor alone = dropout(Var(b), key, second.slots, second.tokens).value();
  EXPECT_EQ(packed.to_vector(), alone.to_vector());
}

TEST(Dropout, IsTheIdentityWhenInactiveAndTakesNoRows) {
  const Packing packing = packing_of({4});
  const Tensor x = random_tensor({4, 3}, 5);
  EXPECT_EQ(dropout(Var(x), DropoutKey{}, packing.slots, packing.tokens).value().to_vector(),
            x.to_vector());
  const Tensor none = Tensor::empty({0}, DType::i32);
  EXPECT_EQ(dropout(Var(Tensor::empty({0, 3}, DType::f32)), dropout_key(0.5), none, none).shape(),
            Shape({0, 3}));
}

TEST(Dropout, NamesWhatDoesNotFit) {
  const Packing packing = packing_of({4});
  const DropoutKey key = dropout_key(0.1);
  const auto call = [&](const Shape& x, const Tensor& slots, const Tensor& tokens) {
    return [=] { dropout(Var(random_tensor(x, 1)), key, slots, tokens); };
  };
  expect_error<std::invalid_argument>("rank", "[dropout] x has shape (4)",
                                      call({4}, packing.slots, packing.tokens));
  expect_error<std::invalid_argument>("slots", "[dropout] slots has shape (4), expected (5)",
                                      call({5, 2}, packing.slots, packing.tokens));
  expect_error<std::invalid_argument>("tokens", "[dropout] tokens must be i32, not f64",
                                      call({4, 2}, packing.slots, random_tensor({4}, 1)));
}

}  // namespace
}  // namespace holdfast
