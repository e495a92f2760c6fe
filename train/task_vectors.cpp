#include "train/task_vectors.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "tensor/random.h"
#include "train/merge_chunks.h"

namespace holdfast {
namespace {

using merge_detail::Buffer;
using merge_detail::copy;
using merge_detail::for_chunks;
using merge_detail::kChunk;
using merge_detail::write_shifted;

/// The `density` n-th largest |theta - base| over all slices (n elements), at least the largest.
template <class T>
T trim_threshold(std::span<const NamedSlice> slices, const Tensor& theta, const Tensor& base,
                 double density) {
  std::vector<T> magnitudes;
  std::int64_t total = 0;
  for (const NamedSlice& slice : slices) total += slice.size;
  if (total == 0) return 0;
  magnitudes.resize(static_cast<std::size_t>(total));
  T* out = magnitudes.data();
  for (const NamedSlice& slice : slices) {
    const T* x = theta.data<T>() + slice.offset;
    const T* b = base.data<T>() + slice.offset;
    parallel_for(slice.size, kChunk, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) out[i] = std::abs(x[i] - b[i]);
    });
    out += slice.size;
  }
  const auto kept =
      std::max<std::int64_t>(1, static_cast<std::int64_t>(density * static_cast<double>(total)));
  const auto last = magnitudes.begin() + (kept - 1);
  std::nth_element(magnitudes.begin(), last, magnitudes.end(), std::greater<>());
  return *last;
}

/// One model's task vector, whole, trimmed or with DARE's mask.
template <class T>
struct TaskVector {
  Tensor theta, base;
  double weight = 0;
  T threshold = 0;     // smaller magnitudes are 0
  double keep = 1;     // DARE's probability
  std::string stream;  // of DARE's mask, with the slice's name
  std::uint64_t seed = 0;

  /// tau of elements [begin, begin + count) of the slice.
  void read(const NamedSlice& slice, std::int64_t begin, std::size_t count, Buffer& tau) const {
    const T* x = theta.data<T>() + slice.offset + begin;
    const T* b = base.data<T>() + slice.offset + begin;
    for (std::size_t i = 0; i < count; ++i) {
      const bool kept = std::abs(x[i] - b[i]) >= threshold;
      tau[i] = kept ? static_cast<double>(x[i]) - static_cast<double>(b[i]) : 0.0;
    }
    if (keep < 1) mask(slice, begin, count, tau);
  }

 private:
  /// Element i of the slice is kept when word i%4 of the stream's place i/4 is below keep * 2^32.
  void mask(const NamedSlice& slice, std::int64_t begin, std::size_t count, Buffer& tau) const {
    const RandomStream random(seed, stream + slice.name);
    const auto below = static_cast<std::uint64_t>(keep * 0x1p32);
    const auto first = static_cast<std::uint64_t>(begin);
    PhiloxCounter words{};
    for (std::size_t i = 0; i < count; ++i) {
      if (i % 4 == 0) words = random.bits(0, (first + i) / 4);
      tau[i] = words[i % 4] < below ? tau[i] / keep : 0.0;
    }
  }
};

template <class T>
std::vector<TaskVector<T>> task_vectors(std::span<const NamedSlice> slices, const Tensor& base,
                                        std::span<const MergeInput> inputs,
                                        const MergeOptions& options) {
  std::vector<TaskVector<T>> vectors;
  for (std::size_t k = 0; k < inputs.size(); ++k) {
    if (inputs[k].weight == 0) continue;
    TaskVector<T>& tau = vectors.emplace_back();
    tau.theta = inputs[k].theta;
    tau.base = base;
    tau.weight = inputs[k].weight;
    tau.stream = fmt::format("dare/{}/", k);
    tau.seed = options.seed;
    if (options.density == 1 || !uses_density(options.method)) continue;
    if (options.method == MergeMethod::ties) {
      tau.threshold = trim_threshold<T>(slices, tau.theta, base, options.density);
    } else {
      tau.keep = options.density;
    }
  }
  return vectors;
}

/// base + scale sum_k w_k tau_k
template <class T>
void add_sum(std::span<const NamedSlice> slices, const std::vector<TaskVector<T>>& vectors,
             double scale, const Tensor& base, const Tensor& target) {
  for_chunks(slices, [&](const NamedSlice& slice, std::int64_t begin, std::size_t count) {
    Buffer tau, shift{};
    for (const TaskVector<T>& vector : vectors) {
      vector.read(slice, begin, count, tau);
      for (std::size_t i = 0; i < count; ++i) shift[i] += scale * vector.weight * tau[i];
    }
    const std::int64_t at = slice.offset + begin;
    write_shifted(base.data<T>() + at, shift, count, target.data<T>() + at);
  });
}

/// base + scale (weighted mean of the tau_k of the elected sign)
template <class T>
void add_elected(std::span<const NamedSlice> slices, const std::vector<TaskVector<T>>& vectors,
                 double scale, const Tensor& base, const Tensor& target) {
  for_chunks(slices, [&](const NamedSlice& slice, std::int64_t begin, std::size_t count) {
    Buffer tau, up{}, up_weight{}, down{}, down_weight{}, shift{};
    for (const TaskVector<T>& vector : vectors) {
      vector.read(slice, begin, count, tau);
      for (std::size_t i = 0; i < count; ++i) {
        const double w = vector.weight;
        up[i] += tau[i] > 0 ? w * tau[i] : 0.0;
        up_weight[i] += tau[i] > 0 ? w : 0.0;
        down[i] -= tau[i] < 0 ? w * tau[i] : 0.0;
        down_weight[i] += tau[i] < 0 ? w : 0.0;
      }
    }
    for (std::size_t i = 0; i < count; ++i) {
      if (up[i] > down[i]) shift[i] = scale * (up[i] / up_weight[i]);
      if (up[i] < down[i]) shift[i] = -scale * (down[i] / down_weight[i]);
    }
    const std::int64_t at = slice.offset + begin;
    write_shifted(base.data<T>() + at, shift, count, target.data<T>() + at);
  });
}

template <class T>
void merge_typed(std::span<const NamedSlice> slices, const Tensor& base,
                 std::span<const MergeInput> inputs, const MergeOptions& options,
                 const Tensor& target) {
  const std::vector<TaskVector<T>> vectors = task_vectors<T>(slices, base, inputs, options);
  const bool whole = !uses_density(options.method) || options.density == 1;
  const bool summed = options.method == MergeMethod::task_arithmetic;
  if (vectors.size() == 1 && whole && options.scale * (summed ? vectors[0].weight : 1.0) == 1) {
    copy(slices, vectors[0].theta, target);
  } else if (summed) {
    add_sum(slices, vectors, options.scale, base, target);
  } else if (options.method == MergeMethod::dare_linear) {
    double weights = 0;
    for (const TaskVector<T>& vector : vectors) weights += vector.weight;
    add_sum(slices, vectors, options.scale / weights, base, target);
  } else {
    add_elected(slices, vectors, options.scale, base, target);
  }
}

}  // namespace

void merge_task_vectors(std::span<const NamedSlice> slices, const Tensor& base,
                        std::span<const MergeInput> inputs, const MergeOptions& options,
                        const Tensor& target) {
  dispatch(target.dtype(), "merge",
           [&]<class T>() { merge_typed<T>(slices, base, inputs, options, target); });
}

}  // namespace holdfast
