// tensor/kernels/math.h: accuracy as its head states it, through the element-wise kernels, on every
// instruction set.
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>
#include <vector>

#include "audit/reference/instruction_sets.h"
#include "audit/reference/ulps.h"
#include "tensor/kernels/dispatch.h"
#include "tensor/kernels/elementwise.h"

namespace holdfast {
namespace {

using kernels::Elementwise;
using kernels::Unary;
using reference::ulps;

// Floats of every sign and exponent: each 1009th bit pattern (a prime), NaNs and infinities
// included.
std::vector<float> every_exponent() {
  std::vector<float> values;
  for (std::uint64_t bits = 0; bits < std::uint64_t{1} << 32; bits += 1009) {
    values.push_back(std::bit_cast<float>(static_cast<std::uint32_t>(bits)));
  }
  return values;
}

struct FloatCase {
  std::string name;
  Unary<float> Elementwise<float>::*member;
  double (*reference)(double);
  double bound;
};

TEST(Math, FloatIsAsAccurateAsStated) {
  const reference::KeepMachine keep;
  const std::vector<float> x = every_exponent();
  const FloatCase cases[] = {{"exp", &Elementwise<float>::exp, std::exp, 1.1},
                             {"log", &Elementwise<float>::log, std::log, 1.0},
                             {"tanh", &Elementwise<float>::tanh, std::tanh, 1.5},
                             {"erf", &Elementwise<float>::erf, std::erf, 1.5}};
  for (const FloatCase& c : cases) {
    std::vector<double> expected(x.size());
    for (std::size_t i = 0; i < x.size(); ++i) expected[i] = c.reference(static_cast<double>(x[i]));
    for (const Isa isa : reference::instruction_sets()) {
      set_isa(isa);
      std::vector<float> y(x.size());
      (kernels::best<Elementwise<float>>().*c.member)
          .forward(x.data(), y.data(), static_cast<std::int64_t>(x.size()));
      double worst = 0.0;
      float at = 0.0f;
      for (std::size_t i = 0; i < x.size(); ++i) {
        const double error = ulps(y[i], expected[i]);
        if (error > worst) worst = error, at = x[i];
      }
      EXPECT_LE(worst, c.bound) << c.name << " on " << name_of(isa) << " at " << at;
    }
  }
}

struct DoubleCase {
  const char* name;
  Unary<double> Elementwise<double>::*member;
  long double (*reference)(long double);
  double bound;
};

TEST(Math, DoubleIsAsAccurateAsStated) {
  const reference::KeepMachine keep;
  std::vector<double> x;
  for (double v = -746.0; v < 711.0; v += 0.0731) x.push_back(v);
  for (double v = -7.0; v < 23.0; v += 0.00731) x.push_back(v);
  for (double v = 1.0; v > 1e-320; v *= 0.83) x.insert(x.end(), {v, -v, 1 / v, 1 + v, 1 - v});
  constexpr double kInf = std::numeric_limits<double>::infinity();
  x.insert(x.end(), {0.0, -0.0, kInf, -kInf, std::nan(""), 709.782712893384, 709.782712893385,
                     -745.133219101941, -1e300, 1e300});
  const DoubleCase cases[] = {{"exp", &Elementwise<double>::exp, std::exp, 1.1},
                              {"log", &Elementwise<double>::log, std::log, 1.0},
                              {"tanh", &Elementwise<double>::tanh, std::tanh, 2.5},
                              {"erf", &Elementwise<double>::erf, std::erf, 1.5}};
  for (const DoubleCase& c : cases) {
    for (const Isa isa : reference::instruction_sets()) {
      set_isa(isa);
      std::vector<double> y(x.size());
      (kernels::best<Elementwise<double>>().*c.member)
          .forward(x.data(), y.data(), static_cast<std::int64_t>(x.size()));
      for (std::size_t i = 0; i < x.size(); ++i) {
        ASSERT_LE(ulps(y[i], c.reference(static_cast<long double>(x[i]))), c.bound)
            << c.name << " on " << name_of(isa) << " at " << x[i] << ": " << y[i];
      }
    }
  }
}

// An element's value does not depend on its place in the vector: whole lanes and the loop's tail
// agree.
TEST(Math, TailsEqualLanes) {
  const reference::KeepMachine keep;
  std::vector<float> x(67);
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = 0.1f * static_cast<float>(i) - 3.0f;
  for (const Isa isa : reference::instruction_sets()) {
    set_isa(isa);
    for (const auto member :
         {&Elementwise<float>::exp, &Elementwise<float>::tanh, &Elementwise<float>::erf,
          &Elementwise<float>::gelu_erf, &Elementwise<float>::gelu_tanh}) {
      const auto& f = kernels::best<Elementwise<float>>().*member;
      std::vector<float> whole(x.size()), single(x.size());
      f.forward(x.data(), whole.data(), 67);
      for (std::size_t i = 0; i < x.size(); ++i) f.forward(&x[i], &single[i], 1);
      EXPECT_EQ(whole, single) << name_of(isa);
    }
  }
}

}  // namespace
}  // namespace holdfast
