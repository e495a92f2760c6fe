// Products of linear() on a device in bf16 and in TF32, and its bias within the product.
#include <gtest/gtest.h>

#include <array>
#include <bit>
#include <cstring>
#include <vector>

#include "audit/reference/bf16.h"
#include "audit/reference/instruction_sets.h"
#include "autograd/ops/product.h"
#include "tests/autograd/rounded_linear.h"
#include "tests/cuda/on_simulation.h"
#include "tests/reference/tf32.h"

namespace holdfast {
namespace {

// On a CPU without instructions for bf16: a device needs none of it.
class ProductsOnDevice : public OnDeviceTest {
 protected:
  void SetUp() override {
    OnDeviceTest::SetUp();
    if (!IsSkipped()) set_isa(Isa::baseline);
  }

 private:
  const reference::KeepMachine keep_;
};

constexpr std::array<std::array<std::int64_t, 3>, 4> kShapes{
    {{1, 1, 1}, {7, 5, 3}, {33, 48, 17}, {60, 40, 130}}};

void expect_close(const std::vector<Tensor>& found, const std::vector<Tensor>& expected,
                  double bound) {
  ASSERT_EQ(found.size(), expected.size());
  for (std::size_t i = 0; i < found.size(); ++i)
    EXPECT_LE(difference(found[i], expected[i]), bound) << (i == 0 ? "y" : "gradient ") << i;
}

double tf32_of(double x) { return static_cast<double>(nearest_tf32(static_cast<float>(x))); }

TEST_P(ProductsOnDevice, RoundToTheBitsOfTheCpu) {
  std::vector<std::uint32_t> patterns{0,          0x80000000, 1,          0x3f808000, 0x3f818000,
                                      0x3f808001, 0x7f7fffff, 0xff7f7fff, 0x7f800000, 0xff800000,
                                      0x7f800001, 0x7fffffff, 0xffc00000, 0x00008000, 0x007fffff};
  for (std::uint32_t i = 1; i < 5000; ++i) patterns.push_back(i * 0x9E3779B9);
  const auto bits = [&] {
    const Tensor x = Tensor::empty({std::ssize(patterns), 1}, DType::f32);
    std::memcpy(x.data<float>(), patterns.data(), 4 * patterns.size());
    const Tensor y = ops::to_bf16(x, x.size(0));
    EXPECT_EQ(y.device(), current_device());
    std::vector<std::uint16_t> found;
    for (const Bf16 value : y.span<Bf16>()) found.push_back(value.bits);
    return found;
  };
  const std::vector<std::uint16_t> expected = bits();
  const OnDevice scope({0});
  EXPECT_EQ(bits(), expected);
}

TEST_P(ProductsOnDevice, InBf16EqualDoubleFromRoundedOperands) {
  for (const auto& [N, I, O] : kShapes) {
    SCOPED_TRACE(testing::Message() << N << ' ' << I << ' ' << O);
    const auto expected = linear_of_rounded(linear_inputs(N, I, O), reference::nearest_bf16);
    const OnDevice scope({0});
    expect_close(run(linear_within<Bf16Products>(Activation::none), linear_inputs(N, I, O)),
                 expected, 2e-6);
  }
}

TEST_P(ProductsOnDevice, InTf32EqualDoubleFromRoundedOperands) {
  for (const auto& [N, I, O] : kShapes) {
    SCOPED_TRACE(testing::Message() << N << ' ' << I << ' ' << O);
    const auto expected = linear_of_rounded(linear_inputs(N, I, O), tf32_of);
    const OnDevice scope({0});
    // A GPU is free in how it rounds.
    expect_close(run(linear_within<Tf32Products>(Activation::none), linear_inputs(N, I, O)),
                 expected, GetParam() == kGpu ? 2e-3 : 2e-6);
  }
}

// Rows of whole 16 bytes, or a GPU's library is free to take kernels of f32 for TF32.
TEST_P(ProductsOnDevice, AreCloseToFloatAndNoLongerIt) {
  const OnDevice scope({0});
  const std::vector<Tensor> inputs = linear_inputs(32, 48, 16);
  for (const Activation activation : {Activation::none, Activation::gelu_erf, Activation::tanh}) {
    const auto exact = run(linear_within<Tf32Products>(activation, false), inputs);
    const auto tf32 = run(linear_within<Tf32Products>(activation), inputs);
    const auto bf16 = run(linear_within<Bf16Products>(activation), inputs);
    expect_close(tf32, exact, 2e-3);
    expect_close(bf16, exact, 1e-2);
    for (const std::size_t product : {0, 1, 2}) {
      EXPECT_GT(difference(tf32[product], exact[product]), 1e-5) << product;
      EXPECT_GT(difference(bf16[product], tf32[product]), 1e-4) << product;
    }
  }
}

TEST_P(ProductsOnDevice, AddToAGradientThatIsThere) {
  std::vector<Tensor> expected;
  for (const Tensor& x : linear_of_rounded(linear_inputs(33, 48, 17), reference::nearest_bf16))
    expected.push_back(scale(Var(x), 2).value());
  const OnDevice scope({0});
  const auto twice = [](const std::vector<Var>& v) {
    const Bf16Products products(true);
    return add(linear(v[0], v[1], v[2]), linear(v[0], v[1], v[2]));
  };
  expect_close(run(twice, linear_inputs(33, 48, 17)), expected, 2e-6);
}

TEST_P(ProductsOnDevice, OfNoRowsAreEmptyWithZeroGradients) {
  const OnDevice scope({0});
  for (const Activation activation : {Activation::none, Activation::gelu_erf}) {
    const auto found = run(linear_within<Bf16Products>(activation), linear_inputs(0, 4, 3));
    EXPECT_EQ(found[0].shape(), Shape({0, 3}));
    EXPECT_EQ(found[2].to_vector(), std::vector<double>(12, 0.0));
    EXPECT_EQ(found[3].to_vector(), std::vector<double>(3, 0.0));
  }
}

TEST_P(ProductsOnDevice, LeaveDoubleAlone) {
  const OnDevice scope({0});
  const std::vector<Tensor> inputs = converted(linear_inputs(7, 5, 3), DType::f64);
  const auto exact = run(linear_within<Bf16Products>(Activation::none, false), inputs);
  const auto bf16 = run(linear_within<Bf16Products>(Activation::none), inputs);
  const auto tf32 = run(linear_within<Tf32Products>(Activation::none), inputs);
  for (std::size_t i = 0; i < exact.size(); ++i) {
    EXPECT_EQ(bf16[i].to_vector(), exact[i].to_vector());
    EXPECT_EQ(tf32[i].to_vector(), exact[i].to_vector());
  }
}

// One pass less where there is no activation, unless the library cannot read the bias.
TEST_P(ProductsOnDevice, AddTheBiasThemselves) {
  const std::vector<Tensor> inputs = linear_inputs(7, 5, 4);
  const std::vector<double> expected =
      linear(Var(inputs[0]), Var(inputs[1]), Var(inputs[2])).value().to_vector();
  const OnDevice scope({0});
  const auto kernels_of = [&](const Tensor& bias) {
    const std::vector<Tensor> here = linear_inputs(7, 5, 4);
    cuda::runtime()->wait(0);
    const std::int64_t before = kernels_run();
    const Tensor y = linear(Var(here[0]), Var(here[1]), Var(bias)).value();
    const std::vector<double> found = y.to_vector();
    for (std::size_t i = 0; i < found.size(); ++i) EXPECT_NEAR(found[i], expected[i], 1e-6);
    return kernels_run() - before;
  };
  const Tensor longer = Tensor::empty({5}, DType::f32), odd = longer.slice(0, 1, 5);
  odd.copy_from(inputs[2]);
  const std::int64_t fused = kernels_of(linear_inputs(7, 5, 4)[2]), apart = kernels_of(odd);
  if (GetParam() != kGpu) {
    EXPECT_EQ(fused, 0);
    EXPECT_EQ(apart, 1);
  }
}

TEST(Tf32Products, ChangeNothingOnTheCpu) {
  const std::vector<Tensor> inputs = linear_inputs(33, 48, 17);
  const auto exact = run(linear_within<Tf32Products>(Activation::tanh, false), inputs);
  const auto found = run(linear_within<Tf32Products>(Activation::tanh), inputs);
  for (std::size_t i = 0; i < exact.size(); ++i)
    EXPECT_EQ(found[i].to_vector(), exact[i].to_vector());
}

INSTANTIATE_TEST_SUITE_P(Cuda, ProductsOnDevice, testing::Values(1, 3, kGpu), device_test_name);

}  // namespace
}  // namespace holdfast
