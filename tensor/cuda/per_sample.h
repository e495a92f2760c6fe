// Sums of squared or absolute per-sample gradients, as train/per_sample.h: every element of a sum
// has one owner, which takes the samples in their order.
#pragma once

#include "tensor/cuda/operations.h"
#include "tensor/cuda/sums.h"
#include "tensor/cuda/team.h"

namespace holdfast::cuda {

template <class T>
constexpr T magnitude(T x, bool squares) {
  return squares ? x * x : x < 0 ? -x : x;
}

template <class T>
struct SampleProducts {
  Samples samples;
  bool squares;
  const T* delta;
  std::int64_t O;
  const T* x;
  std::int64_t I;
  double* sums;
  constexpr void operator()(std::int64_t element) const {
    const std::int64_t o = element / I, i = element % I;
    T total = 0;
    for (std::int64_t n = 0; n < samples.count; ++n) {
      T gradient = 0;
      for (std::int64_t t = samples.offsets[n]; t < samples.offsets[n + 1]; ++t)
        gradient += delta[t * O + o] * x[t * I + i];
      total += magnitude(gradient, squares);
    }
    sums[element] += static_cast<double>(total);
  }
};

template <class T>
struct SampleColumns {
  Samples samples;
  const T *a, *b;  // b may be null
  std::int64_t C;
  T* gradients;
  constexpr void operator()(std::int64_t element) const {
    const std::int64_t n = element / C, c = element % C;
    T sum = gradients[element];
    for (std::int64_t t = samples.offsets[n]; t < samples.offsets[n + 1]; ++t)
      sum += b == nullptr ? a[t * C + c] : a[t * C + c] * b[t * C + c];
    gradients[element] = sum;
  }
};

template <class T>
struct SumMagnitudes {
  const T* gradients;
  std::int64_t count, C;
  bool squares;
  double* sums;
  constexpr void operator()(std::int64_t c) const {
    double sum = sums[c];
    for (std::int64_t n = 0; n < count; ++n)
      sum += magnitude(static_cast<double>(gradients[n * C + c]), squares);
    sums[c] = sum;
  }
};

/// A team owns kSumColumns columns of one row of the table; rows of a sample are neighbours in its
/// run.
template <class T>
struct SampleRows {
  RowRuns runs;
  const std::int32_t* samples;
  bool squares;
  const T* source;
  std::int64_t cols;
  double* sums;

  constexpr Launch launch() const {
    return {runs.count * pieces(cols, kSumColumns), static_cast<int>(kSumColumns)};
  }
  template <class Team>
  constexpr void operator()(Team& team, std::int64_t block) const {
    const std::int64_t across = pieces(cols, kSumColumns), run = block / across,
                       first = block % across * kSumColumns,
                       last = least(cols, first + kSumColumns);
    const std::int32_t begin = runs.starts[run], end = runs.starts[run + 1];
    double* row = sums + runs.rows[runs.order[begin]] * cols;
    for (std::int64_t c = first + team.rank(); c < last; c += team.size()) {
      T gradient = 0;
      for (std::int32_t i = begin; i < end; ++i) {
        const std::int32_t m = runs.order[i];
        gradient += source[m * cols + c];
        if (i + 1 < end && samples[runs.order[i + 1]] == samples[m]) continue;
        row[c] += magnitude(static_cast<double>(gradient), squares);
        gradient = 0;
      }
    }
  }
};

template <class Launcher, class T>
constexpr PerSample<T> per_sample{
    .products =
        [](const Samples& samples, bool squares, const T* delta, std::int64_t O, const T* x,
           std::int64_t I, double* sums) {
          for_each<Launcher>(SampleProducts<T>{samples, squares, delta, O, x, I, sums}, O * I);
        },
    .columns =
        [](const Samples& samples, const T* a, const T* b, std::int64_t C, T* gradients) {
          for_each<Launcher>(SampleColumns<T>{samples, a, b, C, gradients}, samples.count * C);
        },
    .magnitudes =
        [](const T* gradients, std::int64_t count, std::int64_t C, bool squares, double* sums) {
          for_each<Launcher>(SumMagnitudes<T>{gradients, count, C, squares, sums}, C);
        },
    .rows =
        [](const RowRuns& runs, const std::int32_t* samples, bool squares, const T* source,
           std::int64_t cols, double* sums) {
          Launcher::run(SampleRows<T>{runs, samples, squares, source, cols, sums});
        }};

}  // namespace holdfast::cuda
