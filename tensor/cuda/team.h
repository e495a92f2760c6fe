// What kernels are written in. A kernel is a struct of its arguments with
//   Launch launch() const                     how many blocks, of how many threads
//   operator()(Team& team, block) const       what the team's threads do, all of them, for a block
// Team is a template parameter: CUDA's threads of a block (runtime.cu), or threads of the host in
// tests. It has rank() in [0, size()), sync(), at which all wait for all, and shared<T>(), memory
// of the block. The size is not fixed: one thread computes the same sums in another order.
// Functions are constexpr so that nvcc compiles them for both sides without marks
// (--expt-relaxed-constexpr); elementary functions are those of <cmath>, which on a device are
// CUDA's.
#pragma once

#include <cmath>
#include <cstdint>

#include "tensor/cuda/launch.h"

namespace holdfast::cuda {

/// All ranks' x joined by `join`, as a tree in fixed order; the same in every rank. scratch: memory
/// of the block for size() elements, free again on return.
template <class Team, class T, class Join>
constexpr T team_fold(Team& team, T x, T* scratch, Join join) {
  const int rank = team.rank();
  scratch[rank] = x;
  team.sync();
  for (int width = team.size(); width > 1;) {
    const int half = (width + 1) / 2;
    if (rank < width - half) scratch[rank] = join(scratch[rank], scratch[rank + half]);
    team.sync();
    width = half;
  }
  const T result = scratch[0];
  team.sync();
  return result;
}

template <class Team, class T>
constexpr T team_sum(Team& team, T x, T* scratch) {
  return team_fold(team, x, scratch, [](T a, T b) { return a + b; });
}

/// Sum of term(i), i < n: a rank takes every size()-th.
template <class T, class Team, class Term>
constexpr T team_sum_of(Team& team, std::int64_t n, T* scratch, Term term) {
  T sum = 0;
  for (std::int64_t i = team.rank(); i < n; i += team.size()) sum += term(i);
  return team_sum(team, sum, scratch);
}

/// A kernel of n independent elements: f(i) for every i.
template <class F>
struct ForEach {
  F f;
  std::int64_t n;

  constexpr Launch launch() const { return over_elements(n); }
  template <class Team>
  constexpr void operator()(Team& team, std::int64_t block) const {
    const std::int64_t begin = block * kElementsPerBlock, end = least(n, begin + kElementsPerBlock);
    for (std::int64_t i = begin + team.rank(); i < end; i += team.size()) f(i);
  }
};

/// Asks for f(i) for every i < n.
template <class Launcher, class F>
void for_each(const F& f, std::int64_t n) {
  Launcher::run(ForEach<F>{f, n});
}

}  // namespace holdfast::cuda
