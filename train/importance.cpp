#include "train/importance.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "autograd/ops/op.h"
#include "base/hash.h"
#include "base/parallel.h"
#include "tensor/kernels/element.h"
#include "train/device_update.h"
#include "train/names.h"

namespace holdfast {
namespace {

constexpr std::int64_t kChunk = 1 << 14;  // elements a unit of parallel work

constexpr std::array kKinds = {std::pair{ImportanceKind::true_fisher, "true"},
                               std::pair{ImportanceKind::empirical, "empirical"},
                               std::pair{ImportanceKind::sampled, "sampled"},
                               std::pair{ImportanceKind::sketch, "sketch"},
                               std::pair{ImportanceKind::mas, "mas"},
                               std::pair{ImportanceKind::si, "si"}};
constexpr std::array kNormalizations = {
    std::pair{Normalization::none, "none"}, std::pair{Normalization::mean, "mean"},
    std::pair{Normalization::max, "max"}, std::pair{Normalization::tensor, "tensor"}};

std::int64_t parameter_count(const std::vector<NamedSlice>& slices) {
  std::int64_t count = 0;
  for (const NamedSlice& slice : slices) count += slice.size;
  return count;
}

// sum += fisher * factor / divisor over a range.
void add_scaled(const Tensor& fisher, double factor, double divisor, std::int64_t first,
                std::int64_t n, const Tensor& sum) {
  if (const Device on = ops::device_of(fisher, sum); on.is_cuda()) {
    return add_normalised_on(on, fisher.slice(0, first, first + n), factor, divisor,
                             sum.slice(0, first, first + n));
  }
  dispatch(fisher.dtype(), "importance", [&]<class T>() {
    const T* raw = fisher.data<T>() + first;
    T* out = sum.data<T>() + first;
    parallel_for(n, kChunk, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i)
        out[i] += kernels::normalised(raw[i], factor, divisor);
    });
  });
}

template <class T>
cuda::ImportanceSums sums_of(std::span<const T> values) {
  cuda::ImportanceSums sums{};
  for (const T x : values) {
    if (!(x >= 0) || !std::isfinite(x)) {
      ++sums.refused;
    } else if (x > 0) {
      sums.sum += static_cast<double>(x);
      sums.maximum = std::max(sums.maximum, static_cast<double>(x));
      ++sums.positive;
    }
  }
  return sums;
}

cuda::ImportanceSums sums_of(const Tensor& fisher) {
  if (const Device on = fisher.device(); on.is_cuda()) {
    const ArenaSpan whole{0, fisher.numel()};
    cuda::ImportanceSums sums{};
    for (const auto& [sum, maximum, positive, refused] :
         importance_sums_on(on, pieces_of({&whole, 1}), fisher)) {
      sums.sum += sum;
      sums.maximum = std::max(sums.maximum, maximum);
      sums.positive += positive;
      sums.refused += refused;
    }
    return sums;
  }
  return dispatch(fisher.dtype(), "importance",
                  [&]<class T>() { return sums_of<T>(fisher.span<T>()); });
}

}  // namespace

std::string_view name_of(ImportanceKind kind) { return name_in(kKinds, kind); }
ImportanceKind parse_importance_kind(std::string_view name) {
  return parse_in(kKinds, "kind of importance", name);
}

std::string_view name_of(Normalization normalization) {
  return name_in(kNormalizations, normalization);
}
Normalization parse_normalization(std::string_view name) {
  return parse_in(kNormalizations, "normalization", name);
}

ImportanceScale importance_scale(const Tensor& fisher, std::int64_t parameter_count) {
  const cuda::ImportanceSums sums = sums_of(fisher);
  if (sums.refused > 0)
    throw std::invalid_argument("[ewc] importance holds a negative or non-finite value");
  ImportanceScale scale;
  scale.maximum = sums.maximum;
  if (sums.positive == 0) return scale;
  const auto positive = static_cast<double>(sums.positive);
  scale.mean_positive = sums.sum / positive;
  scale.positive_share = positive / static_cast<double>(parameter_count);
  return scale;
}

ImportanceScale add_normalised(const Tensor& fisher, const std::vector<NamedSlice>& slices,
                               Normalization normalization, double factor, const Tensor& sum) {
  ImportanceScale scale = importance_scale(fisher, parameter_count(slices));
  if (scale.maximum == 0) {
    throw std::invalid_argument("[ewc] importance is zero everywhere: it would hold nothing");
  }
  if (normalization == Normalization::tensor) {
    scale.divisor = 0;
    for (const NamedSlice& slice : slices) {
      const Tensor own = fisher.slice(0, slice.offset, slice.offset + slice.size);
      const ImportanceScale own_scale = importance_scale(own, slice.size);
      if (own_scale.maximum == 0) continue;
      add_scaled(fisher, factor, own_scale.mean_positive, slice.offset, slice.size, sum);
    }
    return scale;
  }
  if (normalization == Normalization::mean) scale.divisor = scale.mean_positive;
  if (normalization == Normalization::max) scale.divisor = scale.maximum;
  add_scaled(fisher, factor, scale.divisor, 0, fisher.numel(), sum);
  return scale;
}

std::string weights_digest(const ParameterArena& arena) {
  Hasher hasher;
  for (const NamedSlice& slice : arena.slices()) {
    if (!slice.task.empty()) continue;
    const Tensor values = arena.value(slice).to(DType::f32);
    hasher.update(std::as_bytes(values.span<float>()));
  }
  return to_hex(hasher.digest());
}

}  // namespace holdfast
