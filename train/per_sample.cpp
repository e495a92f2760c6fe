#include "train/per_sample.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <stdexcept>
#include <tuple>

#include "autograd/ops/op.h"
#include "base/parallel.h"
#include "tensor/blas.h"
#include "tensor/kernels/dispatch.h"
#include "tensor/kernels/per_sample.h"
#include "train/device_per_sample.h"

namespace holdfast {
namespace {

// Tiles of a weight (rows of W, columns of W) whose per-sample gradient and sums stay in the
// second-level cache.
constexpr std::int64_t kTileRows = 96, kTileColumns = 384;
constexpr std::int64_t kColumns = 64;  // columns of a vector parameter a unit of work

std::int64_t pieces(std::int64_t n, std::int64_t size) { return (n + size - 1) / size; }

bool one_row_each(const std::vector<std::int64_t>& offsets) {
  return offsets.back() == static_cast<std::int64_t>(offsets.size()) - 1;
}

// A rectangle of a linear layer's weight gradient.
struct Tile {
  std::int64_t row, rows, column, columns;
};

Tile tile_at(std::int64_t index, std::int64_t O, std::int64_t I) {
  const std::int64_t across = pieces(I, kTileColumns);
  const std::int64_t row = index / across * kTileRows, column = index % across * kTileColumns;
  return {row, std::min(kTileRows, O - row), column, std::min(kTileColumns, I - column)};
}

template <class T>
const kernels::Magnitude<T>& magnitude_of(SumOf what) {
  const auto& kernels = kernels::best<kernels::PerSample<T>>();
  return what == SumOf::squares ? kernels.squares : kernels.absolutes;
}

// sums (rows, columns) = sum over samples n of f(delta_n^T x_n) within the tile; `gradient` is
// scratch of its size.
template <class T>
void sum_over_products(const Tile& tile, const std::vector<std::int64_t>& offsets, const T* delta,
                       std::int64_t O, const T* x, std::int64_t I, SumOf what, T* gradient,
                       T* sums) {
  const auto& f = magnitude_of<T>(what);
  std::fill_n(sums, tile.rows * tile.columns, T{0});
  for (std::size_t n = 0; n + 1 < offsets.size(); ++n) {
    const std::int64_t begin = offsets[n], rows = offsets[n + 1] - begin;
    gemm_serial(Trans::yes, Trans::no, tile.rows, tile.columns, rows, T{1},
                delta + begin * O + tile.row, O, x + begin * I + tile.column, I, T{0}, gradient,
                tile.columns);
    f.add(gradient, sums, tile.rows * tile.columns);
  }
}

// sums_j += sum over samples of f(sum over the sample's rows t of delta_tj)
template <class T>
void add_column_sums(double* sums, const T* delta, std::int64_t C,
                     const std::vector<std::int64_t>& offsets, SumOf what) {
  const auto& kernels = kernels::best<kernels::PerSample<T>>();
  const auto& f = magnitude_of<T>(what);
  parallel_for(C, kColumns, [&](std::int64_t begin, std::int64_t end) {
    std::array<T, kColumns> gradient;
    for (std::size_t n = 0; n + 1 < offsets.size(); ++n) {
      gradient.fill(0);
      kernels.column_sums(delta + offsets[n] * C + begin, offsets[n + 1] - offsets[n], C,
                          gradient.data(), end - begin);
      f.widen_add(gradient.data(), sums + begin, end - begin);
    }
  });
}

}  // namespace

PerSampleSums::PerSampleSums(const ParameterArena& arena, SumOf what)
    : arena_(&arena), what_(what), sums_(Tensor::zeros({arena.numel()}, DType::f64)) {}

void PerSampleSums::begin(const Packing& packing) {
  flush();
  const auto offsets = packing.offsets.read<std::int32_t>();
  offsets_.assign(offsets.begin(), offsets.end());
  used_.clear();
}

const Tensor& PerSampleSums::sums() {
  flush();
  return sums_;
}

Tensor PerSampleSums::sums_of(const Parameter& parameter) {
  if (parameter.value.storage() != arena_->values().storage()) {
    throw std::invalid_argument(
        fmt::format("[per-sample sums] {} is not in the arena", parameter.name));
  }
  return Tensor::view(sums_.storage(),
                      parameter.value.storage_offset() - arena_->values().storage_offset(),
                      parameter.value.shape(), DType::f64);
}

Tensor PerSampleSums::use(const Parameter& parameter) {
  if (!used_.insert(&parameter).second) {
    throw std::invalid_argument(fmt::format(
        "[per-sample sums] {} is used twice in one pass: its gradients would have to be added "
        "before they are squared or made absolute, which is not supported",
        parameter.name));
  }
  return sums_of(parameter);
}

std::vector<std::int64_t> PerSampleSums::segments(std::int64_t rows) const {
  if (offsets_.empty()) throw std::logic_error("[per-sample sums] begin() was not called");
  if (rows == offsets_.back()) return offsets_;
  if (rows > static_cast<std::int64_t>(offsets_.size()) - 1) {
    throw std::invalid_argument(fmt::format(
        "[per-sample sums] an operation has {} rows, the batch {} texts of {} tokens in all", rows,
        offsets_.size() - 1, offsets_.back()));
  }
  std::vector<std::int64_t> singles(static_cast<std::size_t>(rows) + 1);
  for (std::size_t n = 0; n < singles.size(); ++n) singles[n] = static_cast<std::int64_t>(n);
  return singles;
}

void PerSampleSums::linear(Parameter& weight, Parameter* bias, const Tensor& x,
                           const Tensor& dout) {
  const std::vector<std::int64_t> offsets = segments(x.size(0));
  const std::int64_t N = x.size(0), I = x.size(1), O = dout.size(1);
  const Tensor sums_of_weight = use(weight);
  const Tensor x_dense = x.contiguous(), delta_dense = dout.contiguous();
  if (const Device on = ops::device_of(x_dense, delta_dense, sums_); on.is_cuda()) {
    add_products_on(on, offsets, what_, delta_dense, x_dense, sums_of_weight);
    if (bias != nullptr) add_bias_on(on, offsets, delta_dense, use(*bias));
    return;
  }
  auto* weight_sums = sums_of_weight.data<double>();
  dispatch(x.dtype(), "per-sample sums", [&]<class T>() {
    const T* values = x_dense.data<T>();
    const T* delta = delta_dense.data<T>();
    // One row a sample: f(delta^T x) = f(delta)^T f(x), one product for all samples.
    const bool single = one_row_each(offsets);
    Tensor x_magnitudes, delta_magnitudes;
    if (single) {
      const auto& f = magnitude_of<T>(what_);
      x_magnitudes = Tensor::empty(x.shape(), x.dtype());
      delta_magnitudes = Tensor::empty(dout.shape(), x.dtype());
      f.assign(values, x_magnitudes.data<T>(), N * I);
      f.assign(delta, delta_magnitudes.data<T>(), N * O);
    }
    const std::int64_t tiles = pieces(O, kTileRows) * pieces(I, kTileColumns);
    parallel_for(tiles, 1, [&](std::int64_t index, std::int64_t) {
      alignas(64) thread_local std::array<T, kTileRows * kTileColumns> gradient, sums;
      const Tile tile = tile_at(index, O, I);
      if (single) {
        gemm_serial(Trans::yes, Trans::no, tile.rows, tile.columns, N, T{1},
                    delta_magnitudes.data<T>() + tile.row, O, x_magnitudes.data<T>() + tile.column,
                    I, T{0}, sums.data(), tile.columns);
      } else {
        sum_over_products(tile, offsets, delta, O, values, I, what_, gradient.data(), sums.data());
      }
      for (std::int64_t r = 0; r < tile.rows; ++r) {
        kernels::best<kernels::PerSample<T>>().widen_add(
            sums.data() + r * tile.columns, weight_sums + (tile.row + r) * I + tile.column,
            tile.columns);
      }
    });
    if (bias != nullptr) add_column_sums<T>(use(*bias).data<double>(), delta, O, offsets, what_);
  });
}

void PerSampleSums::add_bias_on(Device on, const std::vector<std::int64_t>& offsets,
                                const Tensor& delta, const Tensor& sums) const {
  const Tensor gradients =
      Tensor::empty({std::ssize(offsets) - 1, delta.size(1)}, delta.dtype(), on);
  gradients.storage()->clear(0, gradients.numel() * size_of(gradients.dtype()));
  add_columns_on(on, offsets, delta, {}, gradients);
  add_magnitudes_on(on, what_, gradients, sums);
}

void PerSampleSums::norm(Parameter& gamma, Parameter& beta, const Tensor& xhat,
                         const Tensor& dout) {
  const std::vector<std::int64_t> offsets = segments(xhat.size(0));
  const Tensor delta = dout.contiguous();
  hold(gamma, delta, xhat.contiguous(), offsets);
  hold(beta, delta, {}, offsets);
}

void PerSampleSums::hold(const Parameter& parameter, const Tensor& delta, const Tensor& factor,
                         const std::vector<std::int64_t>& offsets) {
  sums_of(parameter);
  const Shape shape{static_cast<std::int64_t>(offsets.size()) - 1, delta.size(1)};
  Tensor& gradients = held_.try_emplace(&parameter).first->second;
  if (!gradients.defined()) gradients = Tensor::zeros(shape, delta.dtype());
  if (gradients.shape() != shape) {
    throw std::invalid_argument(
        fmt::format("[per-sample sums] {} is used for {} and for {} samples in one pass",
                    parameter.name, gradients.size(0), shape[0]));
  }
  if (const Device on = ops::device_of(delta, factor, gradients); on.is_cuda())
    return add_columns_on(on, offsets, delta, factor, gradients);
  dispatch(delta.dtype(), "per-sample sums", [&]<class T>() {
    const auto& kernels = kernels::best<kernels::PerSample<T>>();
    const std::int64_t C = shape[1];
    parallel_for(shape[0], 1, [&](std::int64_t n, std::int64_t) {
      const std::int64_t first = offsets[static_cast<std::size_t>(n)];
      const std::int64_t rows = offsets[static_cast<std::size_t>(n) + 1] - first;
      const T* a = delta.data<T>() + first * C;
      T* gradient = gradients.data<T>() + n * C;
      if (factor.defined()) {
        kernels.column_products(a, factor.data<T>() + first * C, rows, C, gradient, C);
      } else {
        kernels.column_sums(a, rows, C, gradient, C);
      }
    });
  });
}

void PerSampleSums::flush() {
  for (const auto& [parameter, gradients] : held_) {
    const Tensor sums_tensor = sums_of(*parameter);
    if (const Device on = ops::device_of(gradients, sums_tensor); on.is_cuda()) {
      add_magnitudes_on(on, what_, gradients, sums_tensor);
      continue;
    }
    auto* sums = sums_tensor.data<double>();
    dispatch(gradients.dtype(), "per-sample sums", [&]<class T>() {
      const std::int64_t C = gradients.size(1);
      for (std::int64_t n = 0; n < gradients.size(0); ++n) {
        magnitude_of<T>(what_).widen_add(gradients.data<T>() + n * C, sums, C);
      }
    });
  }
  held_.clear();
}

namespace {

// A row of a table looked up by a sample.
struct Lookup {
  std::int32_t id;
  std::int64_t sample, row;
  bool operator<(const Lookup& o) const {
    return std::tie(sample, id, row) < std::tie(o.sample, o.id, o.row);
  }
  bool same_gradient(const Lookup& o) const { return sample == o.sample && id == o.id; }
};

std::vector<Lookup> sorted_lookups(std::span<const std::int32_t> ids,
                                   const std::vector<std::int64_t>& offsets) {
  std::vector<Lookup> lookups;
  lookups.reserve(ids.size());
  for (std::size_t n = 0; n + 1 < offsets.size(); ++n) {
    for (std::int64_t row = offsets[n]; row < offsets[n + 1]; ++row) {
      lookups.push_back({ids[static_cast<std::size_t>(row)], static_cast<std::int64_t>(n), row});
    }
  }
  std::sort(lookups.begin(), lookups.end());
  return lookups;
}

}  // namespace

void PerSampleSums::embedding(Parameter& table, const Tensor& ids, const Tensor& dout) {
  const std::vector<std::int64_t> offsets = segments(ids.numel());
  const std::int64_t C = dout.size(1);
  const Tensor sums_of_table = use(table);
  const Tensor delta_dense = dout.contiguous();
  if (const Device on = ops::device_of(delta_dense, sums_); on.is_cuda())
    return add_lookups_on(on, offsets, what_, ids, delta_dense, sums_of_table);
  const std::vector<Lookup> lookups = sorted_lookups(ids.read<std::int32_t>(), offsets);
  auto* sums = sums_of_table.data<double>();
  dispatch(dout.dtype(), "per-sample sums", [&]<class T>() {
    const auto& f = magnitude_of<T>(what_);
    const T* delta = delta_dense.data<T>();
    parallel_for(C, kColumns, [&](std::int64_t begin, std::int64_t end) {
      std::array<T, kColumns> gradient;
      for (auto first = lookups.begin(); first != lookups.end();) {
        gradient.fill(0);
        auto last = first;
        for (; last != lookups.end() && last->same_gradient(*first); ++last) {
          const T* row = delta + last->row * C + begin;
          for (std::int64_t j = 0; j < end - begin; ++j)
            gradient[static_cast<std::size_t>(j)] += row[j];
        }
        f.widen_add(gradient.data(), sums + first->id * C + begin, end - begin);
        first = last;
      }
    });
  });
}

void PerSampleSums::dense(Parameter& parameter, const Tensor&) {
  throw std::invalid_argument(
      fmt::format("[per-sample sums] {} is used by an operation that only knows its whole "
                  "gradient: no samples are left in it",
                  parameter.name));
}

}  // namespace holdfast
