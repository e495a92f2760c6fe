// base/elementary.h: accuracy as its head states it, against long double.
#include "base/elementary.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>
#include <numbers>
#include <vector>

#include "audit/reference/ulps.h"

namespace holdfast {
namespace {

using reference::ulps;

constexpr double kInf = std::numeric_limits<double>::infinity();

// Numbers of both signs: every exponent from 2^low to 2^high with scattered mantissas, and a grid
// over [-end, end].
std::vector<double> numbers(int low, int high, double end) {
  std::vector<double> x;
  std::uint64_t mantissa = 0x9e3779b97f4a7c15;
  for (int e = low; e <= high; ++e) {
    for (int i = 0; i < 40; ++i) {
      mantissa = mantissa * 6364136223846793005 + 1442695040888963407;
      const double value =
          std::ldexp(1.0 + std::ldexp(static_cast<double>(mantissa >> 12), -52), e);
      x.insert(x.end(), {value, -value});
    }
  }
  for (int i = -100000; i <= 100000; ++i) x.push_back(end * i / 100000.0);
  return x;
}

struct Case {
  const char* name;
  double (*function)(double);
  long double (*reference)(long double);
  std::vector<double> x;
  double bound;
};

TEST(Elementary, IsAsAccurateAsStated) {
  const std::vector<double> special = {0.0,           -0.0,   kInf,    -kInf, std::nan(""),
                                       -std::nan(""), 5e-324, -5e-324, 1e308, -1e308};
  const auto with = [&](std::vector<double> x) {
    x.insert(x.end(), special.begin(), special.end());
    return x;
  };
  const Case cases[] = {
      {"exp", elementary::exp, std::exp, with(numbers(-60, 9, 750)), 1.1},
      {"log", elementary::log, std::log, with(numbers(-1074, 1023, 3)), 1.0},
      {"tanh", elementary::tanh, std::tanh, with(numbers(-1074, 9, 23)), 2.5},
      {"erf", elementary::erf, std::erf, with(numbers(-1022, 9, 6.5)), 1.5},
      {"sin", elementary::sin, std::sin, numbers(-1000, 0, std::numbers::pi), 1.5},
      {"cos", elementary::cos, std::cos, numbers(-1000, 0, std::numbers::pi), 1.5},
      {"acos", elementary::acos, std::acos, numbers(-1000, -1, 1), 6.0},
  };
  for (const Case& c : cases) {
    double worst = 0, at = 0;
    for (const double x : c.x) {
      const double error = ulps(c.function(x), c.reference(static_cast<long double>(x)));
      if (error > worst) worst = error, at = x;
    }
    EXPECT_LE(worst, c.bound) << c.name << " at " << at;
  }
}

TEST(Elementary, LogNearOneKeepsItsDigits) {
  for (int i = 1; i <= 52; ++i) {
    for (const double x : {1 + std::ldexp(1.0, -i), 1 - std::ldexp(1.0, -i - 1)}) {
      EXPECT_LE(ulps(elementary::log(x), std::log(static_cast<long double>(x))), 1.0) << x;
    }
  }
}

TEST(Elementary, SineAndCosineReduceLargeAngles) {
  for (int i = -20000; i <= 20000; ++i) {
    const double x = 52.4 * i;
    EXPECT_NEAR(elementary::sin(x), static_cast<double>(std::sin(static_cast<long double>(x))),
                1.2e-16)
        << x;
    EXPECT_NEAR(elementary::cos(x), static_cast<double>(std::cos(static_cast<long double>(x))),
                1.2e-16)
        << x;
  }
  EXPECT_TRUE(std::isnan(elementary::sin(2e6)));
  EXPECT_TRUE(std::isnan(elementary::cos(kInf)));
  EXPECT_TRUE(std::isnan(elementary::cos(std::nan(""))));
}

TEST(Elementary, PowerIsAsAccurateAsStated) {
  for (const double x : {0.0, 0.5, 0.9, 0.999, 0.9999999, 1.0, -0.3, 0.1}) {
    for (std::int64_t n = 0; n < 3'000'000; n = n < 50 ? n + 1 : n * 3 / 2) {
      long double expected = std::pow(static_cast<long double>(x), static_cast<long double>(n));
      if (std::abs(expected) < 1e-290L) break;  // the low digits of products underflow
      EXPECT_LE(ulps(elementary::power(x, n), expected), 1.0) << x << " ^ " << n;
    }
  }
}

}  // namespace
}  // namespace holdfast
