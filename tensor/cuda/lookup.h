// Rows by number: look-ups in tables, their sum, and their gradient with one owner a row.
#pragma once

#include "tensor/cuda/operations.h"
#include "tensor/cuda/sums.h"
#include "tensor/cuda/team.h"

namespace holdfast::cuda {

template <class T>
struct EmbeddingSumForward {
  const T *words, *positions, *types;
  const std::int32_t *ids, *pos, *type_ids;
  std::int64_t C;
  T* y;
  constexpr void operator()(std::int64_t i) const {
    const std::int64_t n = i / C, c = i % C;
    y[i] = words[ids[n] * C + c] + types[type_ids[n] * C + c] + positions[pos[n] * C + c];
  }
};

template <class Launcher, class T>
constexpr kernels::EmbeddingSum<T> embedding_sum{
    [](const T* words, const T* positions, const T* types, const std::int32_t* ids,
       const std::int32_t* pos, const std::int32_t* type_ids, std::int64_t rows, std::int64_t C,
       T* y) {
      for_each<Launcher>(EmbeddingSumForward<T>{words, positions, types, ids, pos, type_ids, C, y},
                         rows * C);
    }};

template <class T>
struct TakeRows {
  const T* table;
  const std::int32_t* rows;
  std::int64_t cols;
  T* y;
  constexpr void operator()(std::int64_t i) const {
    y[i] = table[rows[i / cols] * cols + i % cols];
  }
};

/// A team owns kSumColumns columns of one row of the destination; its threads take the sources in
/// turn, as many of a table's few rows have thousands.
template <class T>
struct AddRows {
  const std::int32_t *rows, *order, *starts;
  std::int64_t runs;
  const T* source;
  std::int64_t cols;
  T* destination;

  constexpr Launch launch() const {
    return {runs * pieces(cols, kSumColumns), kThreads, kSumBytes<T>};
  }
  template <class Team>
  constexpr void operator()(Team& team, std::int64_t block) const {
    const std::int64_t across = pieces(cols, kSumColumns), run = block / across,
                       first = block % across * kSumColumns;
    const std::int32_t begin = starts[run], end = starts[run + 1];
    T* row = destination + rows[order[begin]] * cols + first;
    sum_columns<T>(
        team, begin, end, least(kSumColumns, cols - first),
        [&](std::int64_t i, std::int64_t c) { return source[order[i] * cols + first + c]; },
        [&](std::int64_t c, T sum) { row[c] += sum; });
  }
};

template <class Launcher, class T>
constexpr Lookup<T> lookup{
    .take =
        [](const T* table, const std::int32_t* rows, std::int64_t count, std::int64_t cols, T* y) {
          for_each<Launcher>(TakeRows<T>{table, rows, cols, y}, count * cols);
        },
    .add =
        [](const std::int32_t* rows, const std::int32_t* order, const std::int32_t* starts,
           std::int64_t runs, const T* source, std::int64_t cols, T* destination) {
          Launcher::run(AddRows<T>{rows, order, starts, runs, source, cols, destination});
        }};

}  // namespace holdfast::cuda
