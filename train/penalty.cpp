#include "train/penalty.h"

#include <fmt/format.h>

#include <cmath>
#include <stdexcept>
#include <vector>

#include "base/parallel.h"
#include "tensor/kernels/dispatch.h"
#include "tensor/kernels/update.h"
#include "train/names.h"

namespace holdfast {
namespace {

constexpr std::int64_t kChunk = 1 << 14;  // elements a unit of parallel work and of summation

constexpr std::array kNormalizations = {std::pair{Normalization::none, "none"},
                                        std::pair{Normalization::mean, "mean"},
                                        std::pair{Normalization::max, "max"}};

void check_same(const Tensor& a, const Tensor& b, const char* what) {
  if (a.shape() != b.shape() || a.dtype() != b.dtype()) {
    throw std::invalid_argument(fmt::format("[ewc] {} is {} {}, the model {} {}", what,
                                            name_of(a.dtype()), a.shape().text(),
                                            name_of(b.dtype()), b.shape().text()));
  }
}

}  // namespace

std::string_view name_of(Normalization normalization) {
  return name_in(kNormalizations, normalization);
}
Normalization parse_normalization(std::string_view name) {
  return parse_in(kNormalizations, "normalization", name);
}

ImportanceScale measure_importance(const Tensor& fisher, std::int64_t parameter_count) {
  ImportanceScale scale;
  double sum = 0;
  std::int64_t positive = 0;
  dispatch(fisher.dtype(), "importance", [&]<class T>() {
    for (const T x : fisher.span<T>()) {
      if (!(x >= 0) || !std::isfinite(x)) {
        throw std::invalid_argument("[ewc] importance holds a negative or non-finite value");
      }
      if (x == 0) continue;
      sum += static_cast<double>(x);
      scale.maximum = std::max(scale.maximum, static_cast<double>(x));
      ++positive;
    }
  });
  if (positive == 0) return scale;
  scale.mean_positive = sum / static_cast<double>(positive);
  scale.positive_share = static_cast<double>(positive) / static_cast<double>(parameter_count);
  return scale;
}

EwcPenalty::EwcPenalty(double lambda, const ParameterArena& theta_old)
    : lambda_(lambda),
      parameter_count_(theta_old.parameter_count()),
      importance_(Tensor::zeros(theta_old.values().shape(), theta_old.dtype())),
      anchor_(theta_old.values().clone()) {
  if (!(lambda >= 0) || !std::isfinite(lambda)) {
    throw std::invalid_argument(
        fmt::format("[ewc] lambda is {}, it must be finite and at least 0", lambda));
  }
}

ImportanceScale EwcPenalty::add(const Tensor& fisher, Normalization normalization) {
  check_same(fisher, importance_, "importance");
  ImportanceScale scale = measure_importance(fisher, parameter_count_);
  if (scale.maximum == 0) {
    throw std::invalid_argument("[ewc] importance is zero everywhere: it would hold nothing");
  }
  if (normalization == Normalization::mean) scale.divisor = scale.mean_positive;
  if (normalization == Normalization::max) scale.divisor = scale.maximum;
  dispatch(fisher.dtype(), "importance", [&]<class T>() {
    const T* raw = fisher.data<T>();
    T* sum = importance_.data<T>();
    parallel_for(fisher.numel(), kChunk, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        sum[i] += static_cast<T>(static_cast<double>(raw[i]) / scale.divisor);
      }
    });
  });
  return scale;
}

double EwcPenalty::value(const Tensor& theta) const {
  check_same(theta, anchor_, "theta");
  std::vector<double> partial(static_cast<std::size_t>((theta.numel() + kChunk - 1) / kChunk), 0);
  dispatch(theta.dtype(), "ewc", [&]<class T>() {
    const auto& kernels = kernels::best<kernels::Update<T>>();
    parallel_for(theta.numel(), kChunk, [&](std::int64_t begin, std::int64_t end) {
      partial[static_cast<std::size_t>(begin / kChunk)] =
          kernels.sum_weighted_squares(importance_.data<T>() + begin, theta.data<T>() + begin,
                                       anchor_.data<T>() + begin, end - begin);
    });
  });
  double sum = 0;
  for (const double x : partial) sum += x;
  return lambda_ * sum;
}

void EwcPenalty::add_gradient(const Tensor& theta, const Tensor& gradient) const {
  check_same(theta, anchor_, "theta");
  check_same(gradient, anchor_, "gradient");
  dispatch(theta.dtype(), "ewc", [&]<class T>() {
    const auto& kernels = kernels::best<kernels::Update<T>>();
    parallel_for(theta.numel(), kChunk, [&](std::int64_t begin, std::int64_t end) {
      kernels.add_weighted_difference(2 * lambda_, importance_.data<T>() + begin,
                                      theta.data<T>() + begin, anchor_.data<T>() + begin,
                                      gradient.data<T>() + begin, end - begin);
    });
  });
}

}  // namespace holdfast
