#include "train/path_importance.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "autograd/ops/op.h"
#include "base/parallel.h"
#include "tensor/cuda/runtime.h"
#include "tensor/kernels/element.h"

namespace holdfast {
namespace {

constexpr std::int64_t kChunk = 1 << 14;  // elements a unit of parallel work

void check_same(const Tensor& given, const Tensor& start, const char* what) {
  if (given.shape() != start.shape() || given.dtype() != start.dtype()) {
    throw std::invalid_argument(fmt::format("[path importance] {} is {} {}, theta was {} {}", what,
                                            name_of(given.dtype()), given.shape().text(),
                                            name_of(start.dtype()), start.shape().text()));
  }
}

}  // namespace

PathImportance::PathImportance(const ParameterArena& theta)
    : start_(theta.values().clone()),
      before_(theta.values().clone()),
      contributions_(Tensor::zeros(theta.values().shape(), DType::f64)) {}

void PathImportance::record(const Tensor& gradient, const Tensor& theta_after) {
  check_same(gradient, start_, "gradient");
  check_same(theta_after, start_, "theta_after");
  const Device on = ops::device_of(gradient, theta_after, before_, contributions_);
  dispatch(start_.dtype(), "path importance", [&]<class T>() {
    const T *g = gradient.data<T>(on), *after = theta_after.data<T>(on);
    T* before = before_.data<T>(on);
    double* w = contributions_.data<double>(on);
    if (on.is_cuda()) {
      return cuda::table<cuda::Passes<T>>(on.cuda).follow(g, after, start_.numel(), before, w);
    }
    parallel_for(start_.numel(), kChunk, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        w[i] += kernels::fall(g[i], before[i], after[i]);
        before[i] = after[i];
      }
    });
  });
  ++steps_;
}

void PathImportance::restore(const Tensor& contributions, std::int64_t steps, const Tensor& theta) {
  check_same(theta, start_, "theta");
  if (contributions.shape() != start_.shape() || contributions.dtype() != DType::f64) {
    throw std::invalid_argument("[path importance] the saved contributions must be f64 of shape " +
                                start_.shape().text());
  }
  contributions_.copy_from(contributions);
  before_.copy_from(theta);
  steps_ = steps;
}

Importance PathImportance::finish(const ParameterArena& arena, std::string_view task,
                                  double xi) const {
  check_same(arena.values(), start_, "theta at the end");
  if (!(xi > 0) || !std::isfinite(xi)) {
    throw std::invalid_argument(
        fmt::format("[path importance] xi is {}, it must be finite and positive", xi));
  }
  Importance result;
  result.task = task;
  result.kind = ImportanceKind::si;
  result.samples = steps_;
  result.weights = weights_digest(arena);
  result.values = Tensor::zeros(start_.shape(), start_.dtype());
  dispatch(start_.dtype(), "path importance", [&]<class T>() {
    const double* w = contributions_.data<double>();
    const T *start = start_.data<T>(), *end = arena.values().data<T>();
    T* importance = result.values.data<T>();
    for (const NamedSlice& slice : arena.slices()) {
      if (!slice.task.empty() && slice.task != task) continue;
      for (std::int64_t i = slice.offset; i < slice.offset + slice.size; ++i) {
        if (!std::isfinite(w[i])) {
          throw std::runtime_error("[path importance] a contribution is not finite");
        }
        const double way = static_cast<double>(end[i]) - static_cast<double>(start[i]);
        importance[i] = static_cast<T>(std::max(0.0, w[i]) / (way * way + xi));
      }
    }
  });
  result.scale = importance_scale(result.values, arena.parameter_count());
  if (result.scale.maximum == 0) {
    throw std::runtime_error(fmt::format(
        "[path importance] O is zero everywhere after {} steps of task \"{}\": no parameter has "
        "lowered its loss",
        steps_, task));
  }
  return result;
}

}  // namespace holdfast
