// Products of bf16 matrices with f32 sums on tensor cores, by warps: 32 lanes that compute together
// [PTX ISA, mma.sync.m16n8k16 and ldmatrix; compute capability 8.0]. Who holds which element is
// fixed there: with g = lane / 4 and t = lane % 4, c (16, 8) += a (16, 16) b (16, 8) has in lane's
// registers
//   a: rows g, g + 8, g, g + 8; columns 2t and 2t + 1, for the last two registers 8 to the right
//   b: rows 2t and 2t + 1, for the second register 8 below; column g
//   c: (g, 2t), (g, 2t + 1), (g + 8, 2t), (g + 8, 2t + 1)
// two bf16 in a 32-bit register, the first in its lower half. A Team (team.h) for such kernels has
// further
//   kLanes                     lanes that a thread stands for: one on a device, all 32 in tests
//   warp() in [0, warps())
//   lane(l)                    number of the thread's lane l < kLanes
//   bf16_pair(x, y)            a register of x and y, each rounded to nearest, ties to even
//   aligned(x), load_four(x, four)  whether x is 16-byte aligned; four = x[0] to x[3] if it is
//   load(rows, offset, m)      four matrices (8, 8): at lane l's rows[0] + offset is row l % 8 of
//                              matrix l / 8, four registers in memory of the block, 16-byte
//                              aligned; m[j] becomes (g, 2t) and (g, 2t + 1) of matrix j
//   load_transposed(rows, offset, m)  the same of the matrices' transposes: (2t, g), (2t + 1, g)
//   multiply(c, a, b, n)       c += a b, b in registers 2n and 2n + 1
//   exchange(x, mask)          what lane ^ mask holds
// All lanes of a warp call the last four together: what decides about a call is the same in them.
#pragma once

#include <cstdint>
#include <utility>

#include "tensor/cuda/team.h"

namespace holdfast::cuda {

inline constexpr int kWarp = 32;

/// N values of every lane that a thread stands for.
template <class Team, class T, int N>
struct Fragment {
  T of[Team::kLanes][N];
};

/// f(0) to f(N - 1), written out: what they index stays in registers.
template <int N, class F>
constexpr void unrolled(const F& f) {
  [&]<int... I>(std::integer_sequence<int, I...>) { (f(I), ...); }
  (std::make_integer_sequence<int, N>());
}

/// An element of an accumulator, and where it is held.
struct Element {
  int row, column;
  int lane, tile, number;  // lane l, register `number` of a tile of 8 columns
};

/// f32 matrix (16, 8 N) of a warp.
template <class Team, int N>
struct Accumulator {
  Fragment<Team, float, 4> tile[N];
  constexpr float& operator[](const Element& at) { return tile[at.tile].of[at.lane][at.number]; }
};

/// A number for each of 16 rows, the same in the four lanes that hold a row.
template <class Team>
struct RowValues {
  Fragment<Team, float, 2> rows;
  constexpr float& operator[](const Element& at) { return rows.of[at.lane][at.number / 2]; }
};

/// f(element) for the elements of columns < `columns`, rounded up to sixteens, of an
/// Accumulator<N>.
template <int N, class Team, class F>
constexpr void for_elements(const Team& team, std::int64_t columns, const F& f) {
  for (int l = 0; l < Team::kLanes; ++l) {
    const int g = team.lane(l) / 4, t = team.lane(l) % 4;
    unrolled<4 * N>([&](int i) {
      const int tile = i / 4, number = i % 4;
      if (tile / 2 * 16 < columns)
        f(Element{g + number / 2 * 8, 8 * tile + 2 * t + number % 2, l, tile, number});
    });
  }
}

/// f(element) for one element of each row that a lane holds; in one of four lanes column is 0.
template <class Team, class F>
constexpr void for_rows(const Team& team, const F& f) {
  for (int l = 0; l < Team::kLanes; ++l) {
    const int g = team.lane(l) / 4, t = team.lane(l) % 4;
    unrolled<2>([&](int half) { f(Element{g + 8 * half, 2 * t, l, 0, 2 * half}); });
  }
}

/// Joins what the four lanes of each row hold; `join` gives the same bits for (a, b) and (b, a).
template <class Team, class Join>
constexpr void fold_rows(const Team& team, RowValues<Team>& x, const Join& join) {
  for (int mask = 1; mask <= 2; mask *= 2) {
    RowValues<Team> other{team.exchange(x.rows, mask)};
    for_rows(team, [&](const Element& at) { x[at] = join(x[at], other[at]); });
  }
}

/// Registers from row to row of a matrix of K bf16 in memory of the block, K a multiple of 32: four
/// more than it fills, so that loads of eight rows meet different banks.
template <int K>
constexpr int kRowRegisters = K / 2 + 4;

/// For loads of four matrices (8, 8) of squares (16, 16): the second `down` rows below and `right`
/// registers to the right of the first, the third the other way round, the fourth opposite.
template <class Team>
constexpr Fragment<Team, const std::uint32_t*, 1> rows_of_square(const Team& team,
                                                                 const std::uint32_t* x, int ld,
                                                                 int down, int right) {
  Fragment<Team, const std::uint32_t*, 1> rows;
  for (int l = 0; l < Team::kLanes; ++l) {
    const int lane = team.lane(l), second = lane / 8 % 2, third = lane / 16;
    const int row = lane % 8 + second * down + third * (8 - down);
    rows.of[l][0] = x + row * ld + second * right + third * (4 - right);
  }
  return rows;
}

/// c (16, 8 N) += a b^T, rows of a and b in memory of the block: a (16, K), b (8 N, K), of which
/// the first `count` rows, rounded up to sixteens.
template <int K, int N, class Team>
constexpr void add_product_of_rows(Team& team, const std::uint32_t* a, const std::uint32_t* b,
                                   std::int64_t count, Accumulator<Team, N>& c) {
  constexpr int ld = kRowRegisters<K>;
  const auto a_rows = rows_of_square(team, a, ld, 8, 0), b_rows = rows_of_square(team, b, ld, 0, 4);
  unrolled<K / 16>([&](int k) {
    Fragment<Team, std::uint32_t, 4> left, right;
    team.load(a_rows, 8 * k, left);
    unrolled<N / 2>([&](int n) {
      if (16 * n >= count) return;
      team.load(b_rows, 16 * n * ld + 8 * k, right);
      team.multiply(c.tile[2 * n], left, right, 0);
      team.multiply(c.tile[2 * n + 1], left, right, 1);
    });
  });
}

/// c (16, 8 N) += p b, p (16, 8 M) rounded to bf16, b (8 M, 8 N) in memory of the block, of which
/// the first `count` rows, rounded up to sixteens. The registers of two tiles of p are those of an
/// a.
template <int M, int N, class Team>
constexpr void add_product(Team& team, const Accumulator<Team, M>& p, const std::uint32_t* b,
                           std::int64_t count, Accumulator<Team, N>& c) {
  constexpr int ld = kRowRegisters<8 * N>;
  const auto b_rows = rows_of_square(team, b, ld, 8, 0);
  unrolled<M / 2>([&](int m) {
    if (16 * m >= count) return;
    Fragment<Team, std::uint32_t, 4> left, right;
    for (int l = 0; l < Team::kLanes; ++l) {
      unrolled<4>([&](int i) {
        const float* x = p.tile[2 * m + i / 2].of[l] + i % 2 * 2;
        left.of[l][i] = Team::bf16_pair(x[0], x[1]);
      });
    }
    unrolled<N / 2>([&](int n) {
      team.load_transposed(b_rows, 16 * m * ld + 8 * n, right);
      team.multiply(c.tile[2 * n], left, right, 0);
      team.multiply(c.tile[2 * n + 1], left, right, 1);
    });
  });
}

}  // namespace holdfast::cuda
