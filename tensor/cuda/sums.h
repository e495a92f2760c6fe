// Sums over the rows of matrices in fixed order: blocks of rows first, then the blocks' sums.
#pragma once

#include "tensor/cuda/operations.h"
#include "tensor/cuda/team.h"

namespace holdfast::cuda {

inline constexpr std::int64_t kSumRows = 256;    // of a block
inline constexpr std::int64_t kSumColumns = 32;  // of a team

/// Memory of a block that sum_columns() takes.
template <class T>
constexpr std::int64_t kSumBytes = (kThreads + kSumColumns) * static_cast<std::int64_t>(sizeof(T));

/// take(column, sum of term(row, column) over rows [begin, end)) for columns [0, width), width up
/// to kSumColumns: threads take rows in turn, groups of them add up in order.
template <class T, class Team, class Term, class Take>
constexpr void sum_columns(Team& team, std::int64_t begin, std::int64_t end, std::int64_t width,
                           const Term& term, const Take& take) {
  // Threads (group, column), or few threads that take several columns each.
  const std::int64_t groups = team.size() / kSumColumns < 1 ? 1 : team.size() / kSumColumns;
  T* partial = team.template shared<T>();  // (groups, kSumColumns)
  for (std::int64_t i = team.rank(); i < groups * kSumColumns; i += team.size()) {
    const std::int64_t column = i % kSumColumns;
    T sum = 0;
    for (std::int64_t r = begin + i / kSumColumns; r < end && column < width; r += groups)
      sum += term(r, column);
    partial[i] = sum;
  }
  team.sync();
  for (std::int64_t c = team.rank(); c < width; c += team.size()) {
    T sum = partial[c];
    for (std::int64_t g = 1; g < groups; ++g) sum += partial[g * kSumColumns + c];
    take(c, sum);
  }
}

/// sums (outer, blocks, inner): block b of `outer` number o is rows [b kSumRows, (b+1) kSumRows) of
/// its n. A team takes kSumColumns columns.
template <class T>
struct SumRows {
  const T *x, *z;  // z may be null
  std::int64_t outer, n, inner, blocks;
  T* sums;

  constexpr Launch launch() const {
    return {outer * blocks * pieces(inner, kSumColumns), kThreads, kSumBytes<T>};
  }
  template <class Team>
  constexpr void operator()(Team& team, std::int64_t block) const {
    const std::int64_t across = pieces(inner, kSumColumns);
    const std::int64_t first = block % across * kSumColumns, o = block / across / blocks,
                       b = block / across % blocks;
    const std::int64_t begin = b * kSumRows, end = least(n, begin + kSumRows);
    sum_columns<T>(
        team, begin, end, least(kSumColumns, inner - first),
        [&](std::int64_t r, std::int64_t c) {
          const std::int64_t at = (o * n + r) * inner + first + c;
          return z == nullptr ? x[at] : x[at] * z[at];
        },
        [&](std::int64_t c, T sum) { sums[(o * blocks + b) * inner + first + c] = sum; });
  }
};

template <class Launcher, class T>
void sum_middle(const T* x, const T* z, std::int64_t outer, std::int64_t n, std::int64_t inner,
                T* partial, T* y) {
  const std::int64_t blocks = n <= kSumRows ? 1 : pieces(n, kSumRows);
  Launcher::run(SumRows<T>{x, z, outer, n, inner, blocks, blocks == 1 ? y : partial});
  if (blocks == 1) return;
  sum_middle<Launcher, T>(partial, nullptr, outer, blocks, inner, partial + outer * blocks * inner,
                          y);
}

template <class Launcher, class T>
constexpr Sums<T> sums{sum_middle<Launcher, T>};

}  // namespace holdfast::cuda
