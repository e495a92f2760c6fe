#include "autograd/grad_check.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>
#include <stdexcept>

#include "autograd/ops.h"
#include "tensor/random.h"

namespace holdfast {
namespace {

using Function = std::function<Var(const std::vector<Var>&)>;

Tensor random_like(const Tensor& x, const RandomStream& stream, std::uint64_t step) {
  const Tensor out = Tensor::empty(x.shape(), DType::f64);
  std::uint64_t i = 0;
  for (double& value : out.span<double>()) value = 2.0 * stream.uniform(step, i++) - 1.0;
  return out;
}

double dot(const Tensor& a, const Tensor& b) {
  const auto x = a.span<double>(), y = b.span<double>();
  double sum = 0.0;
  for (std::size_t i = 0; i < x.size(); ++i) sum += x[i] * y[i];
  return sum;
}

// A direction of length 1, every one as likely as any other.
Tensor random_direction(const Tensor& x, const RandomStream& stream, std::uint64_t step) {
  const Tensor out = Tensor::empty(x.shape(), DType::f64);
  std::uint64_t i = 0;
  for (double& value : out.span<double>()) value = stream.normal(step, i++);
  const double length = std::sqrt(dot(out, out));
  for (double& value : out.span<double>()) value /= length;
  return out;
}

Tensor value_of(const Function& function, const std::vector<Tensor>& inputs) {
  const NoGrad no_grad;
  const Tensor value = function(std::vector<Var>(inputs.begin(), inputs.end())).value();
  if (value.dtype() != DType::f64) {
    throw std::invalid_argument("[check_gradients] the function's result is " +
                                std::string(name_of(value.dtype())) + ", not f64");
  }
  return value.contiguous();
}

enum class Inputs { parameters, results };

std::vector<Tensor> analytic(const Function& function, const std::vector<Tensor>& inputs,
                             const Tensor& weights, Inputs kind) {
  std::vector<Parameter> parameters;
  for (const Tensor& input : inputs) {
    parameters.push_back({"input " + std::to_string(parameters.size()), input.clone(),
                          Tensor::zeros(input.shape(), DType::f64)});
  }
  std::vector<Var> vars;
  for (Parameter& parameter : parameters) {
    vars.emplace_back(parameter);
    if (kind == Inputs::results) vars.back() = reshape(vars.back(), parameter.value.shape());
  }
  const Var out = function(vars);
  if (out.requires_grad()) backward(out, weights);
  std::vector<Tensor> gradients;
  for (const Parameter& parameter : parameters) gradients.push_back(parameter.grad);
  return gradients;
}

// The derivative of sum(weights * function) along `direction` of input i: (4 D(h) - D(2h)) / 3 with
// the central difference D(h), whose error in h^2 cancels.
double numeric(const Function& function, std::vector<Tensor> inputs, std::size_t i,
               const Tensor& direction, const Tensor& weights, double h) {
  const Tensor base = inputs[i];
  const auto moved = [&](double distance) {
    inputs[i] = base.clone();
    const auto x = inputs[i].span<double>(), along = direction.span<double>();
    for (std::size_t k = 0; k < x.size(); ++k) x[k] += distance * along[k];
    return value_of(function, inputs);
  };
  const Tensor near_plus = moved(h), near_minus = moved(-h), far_plus = moved(2.0 * h),
               far_minus = moved(-2.0 * h);
  // Differences first: the sum over all outputs would cost digits.
  const auto a = near_plus.span<double>(), b = near_minus.span<double>(),
             c = far_plus.span<double>(), d = far_minus.span<double>(), w = weights.span<double>();
  double sum = 0.0;
  for (std::size_t k = 0; k < w.size(); ++k) sum += w[k] * (8.0 * (a[k] - b[k]) - (c[k] - d[k]));
  return sum / (12.0 * h);
}

void compare(double a, double n, const std::string& where, GradCheckResult& result) {
  double error = std::abs(a - n) / std::max({1.0, std::abs(a), std::abs(n)});
  if (!std::isfinite(error)) error = std::numeric_limits<double>::infinity();
  if (error < result.max_error || (error == result.max_error && !result.where.empty())) return;
  result.max_error = error;
  char numbers[128];
  std::snprintf(numbers, sizeof numbers, ": analytic %.12g, numeric %.12g, error %.2g", a, n,
                error);
  result.where = where + numbers;
}

}  // namespace

GradCheckResult check_gradients(const Function& function, const std::vector<Tensor>& inputs,
                                const GradCheckOptions& options) {
  if (!(options.step > 0.0))
    throw std::invalid_argument("[check_gradients] the step must be positive");
  std::vector<Tensor> dense;
  for (const Tensor& input : inputs) {
    if (!input.defined() || input.dtype() != DType::f64) {
      throw std::invalid_argument("[check_gradients] input " + std::to_string(dense.size()) +
                                  " is not f64");
    }
    dense.push_back(input.contiguous());
  }
  const RandomStream stream(options.seed, "check_gradients");
  const Tensor weights = random_like(value_of(function, dense), stream, 0);
  const auto as_parameters = analytic(function, dense, weights, Inputs::parameters);
  const auto as_results = analytic(function, dense, weights, Inputs::results);

  GradCheckResult result;
  result.tolerance = options.tolerance;
  for (std::size_t i = 0; i < dense.size(); ++i) {
    const std::int64_t numel = dense[i].numel();
    const bool by_element = numel <= options.max_elements;
    for (std::int64_t k = 0; k < (by_element ? numel : options.projections); ++k) {
      Tensor direction = Tensor::zeros(dense[i].shape(), DType::f64);
      if (by_element)
        direction.data<double>()[k] = 1.0;
      else
        direction =
            random_direction(dense[i], stream, (i + 1) << 32 | static_cast<std::uint64_t>(k));
      const double n = numeric(function, dense, i, direction, weights, options.step);
      const std::string place = "input " + std::to_string(i) + " " + dense[i].shape().text() +
                                (by_element ? " element " : " direction ") + std::to_string(k);
      compare(dot(as_parameters[i], direction), n, place + ", as parameter", result);
      compare(dot(as_results[i], direction), n, place + ", as result", result);
    }
  }
  return result;
}

}  // namespace holdfast
