#include "train/merge.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <stdexcept>

#include "base/elementary.h"
#include "train/merge_chunks.h"
#include "train/names.h"
#include "train/task_vectors.h"

namespace holdfast {
namespace {

using merge_detail::Buffer;
using merge_detail::copy;
using merge_detail::for_chunks;
using merge_detail::kChunk;
using merge_detail::write_shifted;

constexpr double kParallel = 0.9995;  // |cos| above which SLERP is linear

constexpr std::array kMethods = {std::pair{MergeMethod::linear, "linear"},
                                 std::pair{MergeMethod::slerp, "slerp"},
                                 std::pair{MergeMethod::fisher, "fisher"},
                                 std::pair{MergeMethod::task_arithmetic, "task-arithmetic"},
                                 std::pair{MergeMethod::ties, "ties"},
                                 std::pair{MergeMethod::dare_linear, "dare-linear"},
                                 std::pair{MergeMethod::dare_ties, "dare-ties"}};

std::invalid_argument refuse(const std::string& fact) {
  return std::invalid_argument("[merge] " + fact);
}

void check_like(const Tensor& tensor, const Tensor& target, const char* what) {
  if (!tensor.defined()) throw refuse(fmt::format("{} is missing", what));
  if (tensor.shape() != target.shape() || tensor.dtype() != target.dtype()) {
    throw refuse(fmt::format("{} is {} {}, the target {} {}", what, name_of(tensor.dtype()),
                             tensor.shape().text(), name_of(target.dtype()),
                             target.shape().text()));
  }
}

void check(const Tensor& base, std::span<const MergeInput> inputs, const MergeOptions& options,
           const Tensor& target) {
  check_merge_options(options);
  if (inputs.empty()) throw refuse("there are no models");
  if (options.method == MergeMethod::slerp && inputs.size() != 2) {
    throw refuse(fmt::format("slerp takes two models, not {}", inputs.size()));
  }
  if (needs_base(options.method)) check_like(base, target, "the base");
  double sum = 0;
  for (const MergeInput& input : inputs) {
    check_like(input.theta, target, "a model");
    if (options.method == MergeMethod::fisher) check_like(input.importance, target, "importance");
    if (!(input.weight >= 0) || !std::isfinite(input.weight)) {
      throw refuse(fmt::format("a weight is {}, it must be finite and at least 0", input.weight));
    }
    sum += input.weight;
  }
  if (!(sum > 0)) throw refuse("all weights are 0");
}

/// The inputs whose weight is not 0, weights scaled to a sum of 1.
std::vector<MergeInput> active(std::span<const MergeInput> inputs) {
  std::vector<MergeInput> out;
  double sum = 0;
  for (const MergeInput& input : inputs) sum += input.weight;
  for (const MergeInput& input : inputs) {
    if (input.weight == 0) continue;
    out.push_back(input);
    out.back().weight /= sum;
  }
  return out;
}

/// theta_0 + sum_k w_k (theta_k - theta_0): the mean when weights add up to 1.
template <class T>
void merge_linear(std::span<const NamedSlice> slices, std::span<const MergeInput> inputs,
                  const Tensor& target) {
  for_chunks(slices, [&](const NamedSlice& slice, std::int64_t begin, std::size_t count) {
    const std::int64_t at = slice.offset + begin;
    const T* first = inputs[0].theta.data<T>() + at;
    Buffer shift{};
    for (const MergeInput& input : inputs.subspan(1)) {
      const T* theta = input.theta.data<T>() + at;
      for (std::size_t i = 0; i < count; ++i) {
        shift[i] += input.weight * (static_cast<double>(theta[i]) - static_cast<double>(first[i]));
      }
    }
    write_shifted(first, shift, count, target.data<T>() + at);
  });
}

/// The mean of the positive elements of `importance` in the slices; 1 when there are none.
template <class T>
double mean_positive(std::span<const NamedSlice> slices, const Tensor& importance) {
  double sum = 0;
  std::int64_t positive = 0;
  for (const NamedSlice& slice : slices) {
    const T* values = importance.data<T>() + slice.offset;
    for (std::int64_t i = 0; i < slice.size; ++i) {
      if (!(values[i] >= 0) || !std::isfinite(values[i])) {
        throw refuse("importance of " + slice.name + " holds a negative or non-finite value");
      }
      sum += static_cast<double>(values[i]);
      positive += values[i] > 0 ? 1 : 0;
    }
  }
  return positive == 0 ? 1.0 : sum / static_cast<double>(positive);
}

template <class T>
void merge_fisher(std::span<const NamedSlice> slices, std::span<const MergeInput> inputs,
                  double floor, const Tensor& target) {
  std::vector<double> means;
  for (const MergeInput& input : inputs) {
    means.push_back(mean_positive<T>(slices, input.importance));
  }
  for_chunks(slices, [&](const NamedSlice& slice, std::int64_t begin, std::size_t count) {
    const std::int64_t at = slice.offset + begin;
    const T* first = inputs[0].theta.data<T>() + at;
    Buffer shift{}, total{};
    for (std::size_t k = 0; k < inputs.size(); ++k) {
      const T* theta = inputs[k].theta.data<T>() + at;
      const T* raw = inputs[k].importance.data<T>() + at;
      for (std::size_t i = 0; i < count; ++i) {
        const double f = inputs[k].weight * std::max(static_cast<double>(raw[i]) / means[k], floor);
        total[i] += f;
        shift[i] += f * (static_cast<double>(theta[i]) - static_cast<double>(first[i]));
      }
    }
    for (std::size_t i = 0; i < count; ++i) shift[i] /= total[i];
    write_shifted(first, shift, count, target.data<T>() + at);
  });
}

/// The cosine of the angle between two tensors; 1 when a norm is 0. Sums in order of chunks.
template <class T>
double cosine(const NamedSlice& slice, const Tensor& a, const Tensor& b) {
  struct Sums {
    double aa = 0, bb = 0, ab = 0;
  };
  std::vector<Sums> partial(static_cast<std::size_t>((slice.size + kChunk - 1) / kChunk));
  for_chunks({&slice, 1}, [&](const NamedSlice&, std::int64_t begin, std::size_t count) {
    const T* x = a.data<T>() + slice.offset + begin;
    const T* y = b.data<T>() + slice.offset + begin;
    Sums sums;
    for (std::size_t i = 0; i < count; ++i) {
      const double u = static_cast<double>(x[i]), v = static_cast<double>(y[i]);
      sums.aa += u * u;
      sums.bb += v * v;
      sums.ab += u * v;
    }
    partial[static_cast<std::size_t>(begin / kChunk)] = sums;
  });
  Sums sums;
  for (const Sums& each : partial) {
    sums.aa += each.aa;
    sums.bb += each.bb;
    sums.ab += each.ab;
  }
  if (sums.aa == 0 || sums.bb == 0) return 1;
  return sums.ab / (std::sqrt(sums.aa) * std::sqrt(sums.bb));
}

/// Returns how many tensors were interpolated along the arc.
template <class T>
std::int64_t merge_slerp(std::span<const NamedSlice> slices, std::span<const MergeInput> inputs,
                         const Tensor& target) {
  std::int64_t on_arc = 0;
  for (const NamedSlice& slice : slices) {
    const double cos = cosine<T>(slice, inputs[0].theta, inputs[1].theta);
    if (std::abs(cos) > kParallel) {
      merge_linear<T>({&slice, 1}, inputs, target);
      continue;
    }
    const double omega = elementary::acos(cos);
    const double s0 = elementary::sin(inputs[0].weight * omega) / elementary::sin(omega);
    const double s1 = elementary::sin(inputs[1].weight * omega) / elementary::sin(omega);
    for_chunks({&slice, 1}, [&](const NamedSlice&, std::int64_t begin, std::size_t count) {
      const std::int64_t at = slice.offset + begin;
      const T* x = inputs[0].theta.data<T>() + at;
      const T* y = inputs[1].theta.data<T>() + at;
      T* out = target.data<T>() + at;
      for (std::size_t i = 0; i < count; ++i) {
        out[i] = static_cast<T>(s0 * static_cast<double>(x[i]) + s1 * static_cast<double>(y[i]));
      }
    });
    ++on_arc;
  }
  return on_arc;
}

}  // namespace

std::string_view name_of(MergeMethod method) { return name_in(kMethods, method); }
MergeMethod parse_merge_method(std::string_view name) {
  return parse_in(kMethods, "merge method", name);
}

bool needs_base(MergeMethod method) {
  return method != MergeMethod::linear && method != MergeMethod::slerp &&
         method != MergeMethod::fisher;
}

bool uses_density(MergeMethod method) {
  return needs_base(method) && method != MergeMethod::task_arithmetic;
}

void check_merge_options(const MergeOptions& options) {
  if (!(options.density > 0 && options.density <= 1)) {
    throw refuse(fmt::format("density is {}, it must be above 0 and at most 1", options.density));
  }
  if (!std::isfinite(options.scale)) {
    throw refuse(fmt::format("scale is {}, it must be finite", options.scale));
  }
  if (!(options.floor > 0) || !std::isfinite(options.floor)) {
    throw refuse(fmt::format("floor is {}, it must be finite and above 0", options.floor));
  }
}

MergeReport merge(std::span<const NamedSlice> slices, const Tensor& base,
                  std::span<const MergeInput> inputs, const MergeOptions& options,
                  const Tensor& target) {
  check(base, inputs, options, target);
  MergeReport report;
  report.tensors = static_cast<std::int64_t>(slices.size());
  for (const NamedSlice& slice : slices) report.parameters += slice.size;
  if (needs_base(options.method)) {
    merge_task_vectors(slices, base, inputs, options, target);
    return report;
  }
  dispatch(target.dtype(), "merge", [&]<class T>() {
    const std::vector<MergeInput> some = active(inputs);
    if (some.size() == 1) {
      copy(slices, some[0].theta, target);
    } else if (options.method == MergeMethod::slerp) {
      report.on_arc = merge_slerp<T>(slices, some, target);
    } else if (options.method == MergeMethod::fisher) {
      merge_fisher<T>(slices, some, options.floor, target);
    } else {
      merge_linear<T>(slices, some, target);
    }
  });
  return report;
}

MergeReport merge_with_start(std::span<const NamedSlice> slices, const MergeInput& start,
                             const MergeInput& trained, double weight, MergeOptions options,
                             const Tensor& target) {
  if (!(weight >= 0 && weight <= 1)) {
    throw refuse(fmt::format("weight is {}, it must be in [0, 1]", weight));
  }
  if (needs_base(options.method)) {
    options.scale *= weight;
    const MergeInput only{trained.theta, 1.0};
    return merge(slices, start.theta, {&only, 1}, options, target);
  }
  const std::array both = {MergeInput{start.theta, 1 - weight, start.importance},
                           MergeInput{trained.theta, weight, trained.importance}};
  return merge(slices, {}, both, options, target);
}

std::vector<NamedSlice> slices_to_merge(const ParameterArena& arena,
                                        std::span<const std::string> kept) {
  std::vector<NamedSlice> slices;
  std::copy_if(arena.slices().begin(), arena.slices().end(), std::back_inserter(slices),
               [&](const NamedSlice& slice) {
                 return slice.task.empty() ||
                        std::find(kept.begin(), kept.end(), slice.task) == kept.end();
               });
  return slices;
}

}  // namespace holdfast
