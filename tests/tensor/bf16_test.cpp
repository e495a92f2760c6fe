// Rounding to bf16 against its definition, and products of bf16 against three nested loops.
#include "audit/reference/bf16.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "audit/reference/instruction_sets.h"
#include "tensor/blas.h"
#include "tensor/kernels/dispatch.h"
#include "tensor/kernels/round.h"
#include "tensor/random.h"
#include "tensor/tensor.h"
#include "tests/reference/expect_error.h"

namespace holdfast {
namespace {

// Every bf16 with the lower halves that matter to rounding: none, just below, at and above the
// middle, all. Infinities, NaN, denormals, ties and what overflows are among them.
std::vector<float> all_floats_of_note() {
  std::vector<float> values;
  for (std::uint32_t upper = 0; upper < 0x10000; ++upper) {
    for (const std::uint32_t lower : {0x0000U, 0x0001U, 0x7FFFU, 0x8000U, 0x8001U, 0xFFFFU}) {
      values.push_back(std::bit_cast<float>(upper << 16 | lower));
    }
  }
  return values;
}

void expect_nearest(float x, Bf16 found) {
  const double expected = reference::nearest_bf16(static_cast<double>(x));
  const auto value = static_cast<double>(found);
  const bool same = std::isnan(expected)
                        ? std::isnan(value)
                        : value == expected && std::signbit(value) == std::signbit(expected);
  if (!same) ADD_FAILURE() << std::hexfloat << x << " gives " << value << ", not " << expected;
}

TEST(Bf16, RoundsToNearestTiesToEven) {
  for (const float x : all_floats_of_note()) expect_nearest(x, Bf16(x));
}

TEST(Bf16, IsRoundedAlikeByEveryInstructionSet) {
  const reference::KeepMachine keep;
  const std::vector<float> values = all_floats_of_note();
  for (const Isa isa : reference::instruction_sets()) {
    set_isa(isa);
    // Odd lengths and places: vectors have tails.
    std::vector<Bf16> found(values.size() - 3);
    kernels::best<kernels::Round>().to_bf16(values.data() + 3,
                                            static_cast<std::int64_t>(found.size()), found.data());
    for (std::size_t i = 0; i < found.size(); ++i) {
      ASSERT_EQ(found[i].bits, Bf16(values[i + 3]).bits)
          << name_of(isa) << std::hexfloat << ' ' << values[i + 3];
    }
  }
}

TEST(Bf16, KeepsQuietWhatIsNoNumber) {
  const Bf16 quiet(std::bit_cast<float>(0x7F800001U));  // its fraction is in the lower half
  EXPECT_EQ(quiet.bits, 0x7FC0);
}

TEST(Bf16, IsATypeOfTensors) {
  const Tensor x =
      Tensor::from(std::vector<float>{1.0F, -0.3F, 1e-40F, 3e38F}, {2, 2}).to(DType::bf16);
  EXPECT_EQ(x.dtype(), DType::bf16);
  EXPECT_EQ(name_of(x.dtype()), "bf16");
  EXPECT_EQ(size_of(x.dtype()), 2);
  EXPECT_EQ(x.to_vector(), x.to(DType::f32).to_vector());
  EXPECT_EQ(x.transpose(0, 1).contiguous().to_vector()[1], reference::nearest_bf16(1e-40F));
}

struct Bf16Case {
  Trans ta, tb;
  std::int64_t M, N, K, gap;
  bool add;
};

std::ostream& operator<<(std::ostream& out, const Bf16Case& c) {
  return out << (c.ta == Trans::yes ? 'T' : 'N') << (c.tb == Trans::yes ? 'T' : 'N') << ' ' << c.M
             << 'x' << c.N << 'x' << c.K << " gap " << c.gap << (c.add ? " added" : "");
}

std::vector<Bf16Case> cases() {
  std::vector<Bf16Case> all;
  for (const Trans ta : {Trans::no, Trans::yes}) {
    for (const Trans tb : {Trans::no, Trans::yes}) {
      for (const auto& [M, N, K] : {std::array<std::int64_t, 3>{1, 1, 1},
                                    {5, 3, 7},
                                    {33, 17, 65},
                                    {517, 130, 67},
                                    {96, 700, 129}}) {
        all.push_back({ta, tb, M, N, K, 0, false});
        all.push_back({ta, tb, M, N, K, 3, true});
      }
    }
  }
  return all;
}

struct Operands {
  std::int64_t lda, ldb, ldc;
  std::vector<Bf16> a, b;
  std::vector<float> c;

  explicit Operands(const Bf16Case& g)
      : lda((g.ta == Trans::no ? g.K : g.M) + g.gap),
        ldb((g.tb == Trans::no ? g.N : g.K) + g.gap),
        ldc(g.N + g.gap),
        a(static_cast<std::size_t>((g.ta == Trans::no ? g.M : g.K) * lda)),
        b(static_cast<std::size_t>((g.tb == Trans::no ? g.K : g.N) * ldb)),
        c(static_cast<std::size_t>(g.M * ldc)) {
    const RandomStream stream(1, "operands");
    auto next = [&, i = std::uint64_t{0}]() mutable { return 2.0 * stream.uniform(0, i++) - 1.0; };
    for (Bf16& x : a) x = Bf16(next());
    for (Bf16& x : b) x = Bf16(next());
    // What is not added to is not read.
    for (float& x : c)
      x = g.add ? static_cast<float>(next()) : std::numeric_limits<float>::quiet_NaN();
  }
};

std::vector<float> multiply(const Bf16Case& g) {
  Operands x(g);
  gemm(g.ta, g.tb, g.M, g.N, g.K, x.a.data(), x.lda, x.b.data(), x.ldb, g.add, x.c.data(), x.ldc);
  return x.c;
}

void expect_product(const Bf16Case& g, const std::vector<float>& found) {
  const Operands x(g);
  const auto at = [](std::int64_t i) { return static_cast<std::size_t>(i); };
  const double bound = std::ldexp(static_cast<double>(g.K + 2), -23);
  double worst = 0;
  for (std::int64_t m = 0; m < g.M; ++m) {
    for (std::int64_t n = 0; n < g.N; ++n) {
      double sum = g.add ? static_cast<double>(x.c[at(m * x.ldc + n)]) : 0.0, size = std::abs(sum);
      for (std::int64_t k = 0; k < g.K; ++k) {
        const double term =
            static_cast<double>(x.a[at(g.ta == Trans::no ? m * x.lda + k : k * x.lda + m)]) *
            static_cast<double>(x.b[at(g.tb == Trans::no ? k * x.ldb + n : n * x.ldb + k)]);
        sum += term;
        size += std::abs(term);
      }
      const double error = std::abs(static_cast<double>(found[at(m * x.ldc + n)]) - sum) / size;
      worst = std::isnan(error) ? error : std::max(worst, error);
    }
  }
  EXPECT_LE(worst, bound) << g;
}

class Bf16Gemm : public testing::TestWithParam<Bf16Case> {
 protected:
  void SetUp() override {
    if (!missing_for_bf16().empty()) GTEST_SKIP() << missing_for_bf16();
  }
};

TEST_P(Bf16Gemm, EqualsThreeLoopsForAnyNumberOfThreads) {
  const reference::KeepMachine keep;
  set_thread_count(1);
  const std::vector<float> one = multiply(GetParam());
  expect_product(GetParam(), one);
  for (const int threads : {2, 3, 4}) {
    set_thread_count(threads);
    const std::vector<float> found = multiply(GetParam());
    EXPECT_EQ(std::memcmp(found.data(), one.data(), one.size() * sizeof(float)), 0)
        << threads << " threads";
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, Bf16Gemm, testing::ValuesIn(cases()));

TEST(Bf16GemmOfNothing, IsZeroOrWhatWasThere) {
  if (!missing_for_bf16().empty()) GTEST_SKIP() << missing_for_bf16();
  std::vector<float> c{7.0F, 8.0F};
  gemm(Trans::no, Trans::no, 0, 1, 1, nullptr, 1, nullptr, 1, false, c.data(), 1);
  gemm(Trans::no, Trans::no, 1, 1, 0, nullptr, 1, nullptr, 1, true, c.data(), 1);
  EXPECT_EQ(c, (std::vector<float>{7.0F, 8.0F}));
  gemm(Trans::no, Trans::no, 1, 1, 0, nullptr, 1, nullptr, 1, false, c.data(), 1);
  EXPECT_EQ(c, (std::vector<float>{0.0F, 8.0F}));
}

TEST(Bf16GemmElsewhere, IsRefusedWithoutTheInstructions) {
  const reference::KeepMachine keep;
  set_isa(Isa::baseline);
  EXPECT_FALSE(missing_for_bf16().empty());
  const Bf16 one(1.0F);
  float c = 0;
  expect_error<std::logic_error>("gemm", missing_for_bf16(), [&] {
    gemm(Trans::no, Trans::no, 1, 1, 1, &one, 1, &one, 1, false, &c, 1);
  });
}

}  // namespace
}  // namespace holdfast
