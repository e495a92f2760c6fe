// Functions of one number, over the floats themselves: every 1009th bit pattern (a prime, so that
// each sign and exponent is met), or all 2^32.
#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <numbers>
#include <vector>

#include "audit/case.h"
#include "audit/reference/bf16.h"
#include "audit/reference/ulps.h"
#include "base/parallel.h"
#include "tensor/kernels/activation.h"
#include "tensor/kernels/dispatch.h"
#include "tensor/kernels/elementwise.h"
#include "tensor/kernels/layer_norm.h"
#include "tensor/kernels/round.h"

namespace holdfast::audit {
namespace {

using kernels::Activations;
using kernels::Elementwise;
using kernels::Unary;
using reference::ulps;

constexpr std::int64_t kPatterns = std::int64_t{1} << 32, kBlock = 4096;
constexpr double kInf = std::numeric_limits<double>::infinity();

// Beyond ulps: 2^-24 of max(1, |y|), for functions that come near to 0 by cancellation.
double halves_of_one(float value, double expected) {
  if (!std::isfinite(expected)) return ulps(value, expected);
  return std::abs(double{value} - expected) / std::max(1.0, std::abs(expected)) * 0x1p24;
}

using Function = void (*)(const float* x, float* y, std::int64_t n);
using Distance = double (*)(float value, double expected);

// The largest distance of f from its reference over the floats in [-limit, limit].
double over_floats(const std::function<void(const float*, float*, std::int64_t)>& f,
                   double (*reference)(double), Distance distance, double limit, bool exhaustive) {
  const std::int64_t step = exhaustive ? 1 : 1009, count = kPatterns / step;
  const std::vector<Isa> isas = reference::instruction_sets();
  const reference::KeepMachine keep;
  std::vector<double> worst(static_cast<std::size_t>(count / kBlock + 1), 0);
  for (const Isa isa : isas) {
    set_isa(isa);
    parallel_for(count, kBlock, [&](std::int64_t begin, std::int64_t end) {
      std::array<float, kBlock> x{}, y{};
      std::size_t n = 0;
      for (std::int64_t i = begin; i < end; ++i) {
        const float value = std::bit_cast<float>(static_cast<std::uint32_t>(i * step));
        if (limit == kInf || std::abs(value) <= limit) x[n++] = value;
      }
      f(x.data(), y.data(), static_cast<std::int64_t>(n));
      Worst of_block;
      for (std::size_t i = 0; i < n; ++i) of_block.add(distance(y[i], reference(double{x[i]})));
      double& largest = worst[static_cast<std::size_t>(begin / kBlock)];
      largest = std::max(largest, of_block.value());
    });
  }
  return *std::max_element(worst.begin(), worst.end());
}

double normal_density(double x) { return std::exp(-0.5 * x * x) / std::sqrt(2 * std::numbers::pi); }
double normal_distribution(double x) { return 0.5 * std::erfc(-x / std::numbers::sqrt2); }
double gelu(double x) { return x * normal_distribution(x); }
double gelu_slope(double x) { return normal_distribution(x) + x * normal_density(x); }
double inner(double x) { return std::sqrt(2 / std::numbers::pi) * (x + 0.044715 * x * x * x); }
double gelu_tanh(double x) { return 0.5 * x * (1 + std::tanh(inner(x))); }
double gelu_tanh_slope(double x) {
  const double t = std::tanh(inner(x));
  const double du = std::sqrt(2 / std::numbers::pi) * (1 + 3 * 0.044715 * x * x);
  return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * du;
}
double erf_slope(double x) { return 2 / std::sqrt(std::numbers::pi) * std::exp(-x * x); }
double relu(double x) { return x < 0 ? 0 : x; }
double relu_slope(double x) { return x > 0 ? 1 : std::isnan(x) ? 1 : 0; }
double reciprocal_root(double x) { return 1 / std::sqrt(x); }

struct FloatRow {
  std::string name, equation, covers;
  std::function<void(const float*, float*, std::int64_t)> f;
  double (*reference)(double);
  double bound;
  double limit = kInf;
  Distance distance = ulps<float, double>;
};

auto value_of(Unary<float> Elementwise<float>::*member) {
  return [member](const float* x, float* y, std::int64_t n) {
    (kernels::best<Elementwise<float>>().*member).forward(x, y, n);
  };
}
// f' from what the forward pass keeps: x, dout 1.
auto slope_of(Unary<float> Elementwise<float>::*member) {
  return [member](const float* x, float* y, std::int64_t n) {
    const std::vector<float> ones(static_cast<std::size_t>(n), 1.0f);
    (kernels::best<Elementwise<float>>().*member).backward(x, ones.data(), y, n);
  };
}
// As the linear layer's end: bias 0, one row.
auto activation(Activations<float>::Forward Activations<float>::*member, bool slope) {
  return [member, slope](const float* x, float* y, std::int64_t n) {
    const std::vector<float> bias(static_cast<std::size_t>(n), 0.0f);
    std::vector<float> other(bias);
    (kernels::best<Activations<float>>().*member)(bias.data(), 1, n, x, n, slope ? other.data() : y,
                                                  slope ? y : other.data(), n);
  };
}
// 1 / sqrt(variance + eps) of one channel, whose variance is 0.
void layer_norm_scale(const float* x, float* y, std::int64_t n) {
  const float one = 1, zero = 0;
  float xhat = 0, out = 0;
  for (std::int64_t i = 0; i < n; ++i) {
    kernels::best<kernels::LayerNorm<float>>().forward(&zero, &one, &zero, double{x[i]}, 1, 1,
                                                       &xhat, y + i, &out);
  }
}

std::vector<FloatRow> float_rows() {
  using E = Elementwise<float>;
  using A = Activations<float>;
  const std::string elementwise = "tensor/kernels/elementwise.h: Elementwise",
                    activations = "tensor/kernels/activation.h: Activations";
  return {
      {"exp", "exp(x)", elementwise, value_of(&E::exp), std::exp, 1.1},
      {"log", "log(x)", elementwise, value_of(&E::log), std::log, 1.0},
      {"tanh", "tanh(x)", elementwise, value_of(&E::tanh), std::tanh, 1.5},
      {"erf", "erf(x)", elementwise, value_of(&E::erf), std::erf, 1.5},
      {"rsqrt", "1 / sqrt(x)", "tensor/kernels/layer_norm.h: LayerNorm", layer_norm_scale,
       reciprocal_root, 1.5},
      {"relu", "max(x, 0)", elementwise, value_of(&E::relu), relu, 0},
      {"gelu", "x Phi(x)", elementwise, value_of(&E::gelu_erf), gelu, 2.5, 1e4, halves_of_one},
      {"gelu, tanh form", "x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))", elementwise,
       value_of(&E::gelu_tanh), gelu_tanh, 2.5, 1e4, halves_of_one},
      {"erf, slope", "2/sqrt(pi) exp(-x^2)", elementwise, slope_of(&E::erf), erf_slope, 3, 1e4,
       halves_of_one},
      {"gelu, slope", "Phi(x) + x phi(x)", elementwise, slope_of(&E::gelu_erf), gelu_slope, 3, 1e4,
       halves_of_one},
      {"gelu, tanh form, slope", "(1 + t)/2 + x/2 (1 - t^2) du/dx", elementwise,
       slope_of(&E::gelu_tanh), gelu_tanh_slope, 30, 1e4, halves_of_one},
      {"relu, slope", "1 for x > 0, else 0", elementwise, slope_of(&E::relu), relu_slope, 0},
      {"gelu of a linear layer", "x Phi(x)", activations, activation(&A::gelu_erf, false), gelu, 4,
       1e4, halves_of_one},
      {"gelu of a linear layer, slope", "Phi(x) + x phi(x)", activations,
       activation(&A::gelu_erf, true), gelu_slope, 5, 1e4, halves_of_one},
      {"gelu of a linear layer, tanh form", "x/2 (1 + tanh u)", activations,
       activation(&A::gelu_tanh, false), gelu_tanh, 2.5, 1e4, halves_of_one},
      {"gelu of a linear layer, tanh form, slope", "(1 + t)/2 + x/2 (1 - t^2) du/dx", activations,
       activation(&A::gelu_tanh, true), gelu_tanh_slope, 30, 1e4, halves_of_one},
  };
}

// x of every size that the function distinguishes, both signs, and the special ones.
std::vector<double> doubles() {
  std::vector<double> x{0.0,
                        -0.0,
                        kInf,
                        -kInf,
                        std::nan(""),
                        709.782712893384,
                        709.782712893385,
                        -745.133219101941,
                        -1e300,
                        1e300};
  for (double v = -746.0; v < 711.0; v += 0.00731) x.push_back(v);
  for (double v = -7.0; v < 7.0; v += 0.000733) x.push_back(v);
  for (double v = 1.0; v > 1e-320; v *= 0.83) x.insert(x.end(), {v, -v});
  for (double v = 1.0; v < 1e300; v *= 1.07) x.push_back(v);
  return x;
}

using Wide = long double (*)(long double);

double over_doubles(Unary<double> Elementwise<double>::*member, Wide reference) {
  const std::vector<double> x = doubles();
  return on_every_isa([&] {
    std::vector<double> y(x.size());
    (kernels::best<Elementwise<double>>().*member)
        .forward(x.data(), y.data(), static_cast<std::int64_t>(x.size()));
    Worst worst;
    for (std::size_t i = 0; i < x.size(); ++i) {
      worst.add(ulps(y[i], reference(static_cast<long double>(x[i]))));
    }
    return worst.value();
  });
}

// y = bf16(x) with the double oracle, in ulp of bf16 from the nearest one: 0.
double bf16_rounding(bool exhaustive) {
  return over_floats(
      [](const float* x, float* y, std::int64_t n) {
        std::vector<Bf16> rounded(static_cast<std::size_t>(n));
        kernels::best<kernels::Round>().to_bf16(x, n, rounded.data());
        for (std::int64_t i = 0; i < n; ++i) {
          y[i] = static_cast<float>(rounded[static_cast<std::size_t>(i)]);
        }
      },
      reference::nearest_bf16, ulps<float, double>, kInf, exhaustive);
}

}  // namespace

std::vector<Case> elementary_cases(bool exhaustive) {
  Family family("elementary functions");
  const std::string range = exhaustive ? "all 2^32 floats" : "every 1009th of all floats";
  for (const FloatRow& row : float_rows()) {
    const bool bounded = row.limit < kInf;
    family.formula({.name = row.name + ", f32",
                    .equation = row.equation,
                    .source = "definition",
                    .against = "C library in double, " + range + (bounded ? " within 10^4" : ""),
                    .covers = row.covers,
                    .unit = bounded ? "2^-24 max(1,|y|)" : "ulp",
                    .bound = row.bound},
                   [row, exhaustive] {
                     return over_floats(row.f, row.reference, row.distance, row.limit, exhaustive);
                   });
  }
  struct DoubleRow {
    const char* name;
    Unary<double> Elementwise<double>::*member;
    Wide reference;
    double bound;
  };
  using E = Elementwise<double>;
  for (const DoubleRow& row :
       {DoubleRow{"exp", &E::exp, std::exp, 1.1}, DoubleRow{"log", &E::log, std::log, 1.0},
        DoubleRow{"tanh", &E::tanh, std::tanh, 2.5}, DoubleRow{"erf", &E::erf, std::erf, 1.5}}) {
    family.formula({.name = row.name + std::string(", f64"),
                    .equation = row.name + std::string("(x)"),
                    .source = "definition",
                    .against = "C library in long double, 230,000 places from 10^-320 to 10^300",
                    .covers = "tensor/kernels/elementwise.h: Elementwise",
                    .unit = "ulp",
                    .bound = row.bound},
                   [row] { return over_doubles(row.member, row.reference); });
  }
  family.formula({.name = "bf16 of f32",
                  .equation = "nearest, ties to even",
                  .source = "Kalamkar et al. 2019",
                  .against = "naive oracle in double, " + range,
                  .covers = "tensor/kernels/round.h: Round",
                  .unit = "ulp",
                  .bound = 0},
                 [exhaustive] { return bf16_rounding(exhaustive); });
  return family.take();
}

}  // namespace holdfast::audit
