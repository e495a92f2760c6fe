// Passes over the arena that measures make; formulas as in train/gradient_projection.h, mixout.h,
// protect.h, path_importance.h, importance.h and drift.h. A team owns a piece.
#pragma once

#include "tensor/cuda/dropout.h"
#include "tensor/cuda/operations.h"
#include "tensor/kernels/element.h"

namespace holdfast::cuda {

/// body(i) for the elements of piece p, shared by the team.
template <class Team, class Body>
constexpr void for_piece(Team& team, const UpdatePiece& piece, const Body& body) {
  for (std::int64_t i = piece.begin + team.rank(); i < piece.end; i += team.size()) body(i);
}

template <class Team>
constexpr double team_max(Team& team, double x, double* scratch) {
  return team_fold(team, x, scratch, [](double a, double b) { return a > b ? a : b; });
}

template <class T>
struct DotsOfPieces {
  PieceList pieces;
  const T *x, *y;
  kernels::Dots* sums;

  constexpr Launch launch() const { return over_rows(pieces.count, sizeof(double)); }
  template <class Team>
  constexpr void operator()(Team& team, std::int64_t p) const {
    kernels::Dots own;
    for_piece(team, pieces.first[p], [&](std::int64_t i) {
      const double a = static_cast<double>(x[i]), b = static_cast<double>(y[i]);
      own.xx += a * a;
      own.xy += a * b;
      own.yy += b * b;
    });
    auto* scratch = team.template shared<double>();
    const double xx = team_sum(team, own.xx, scratch), xy = team_sum(team, own.xy, scratch),
                 yy = team_sum(team, own.yy, scratch);
    if (team.rank() == 0) sums[p] = {xx, xy, yy};
  }
};

template <class T>
struct SquaredDifferences {
  PieceList pieces;
  const T *x, *y;
  double* sums;

  constexpr Launch launch() const { return over_rows(pieces.count, sizeof(double)); }
  template <class Team>
  constexpr void operator()(Team& team, std::int64_t p) const {
    double own = 0;
    for_piece(team, pieces.first[p], [&](std::int64_t i) {
      const double d = static_cast<double>(x[i]) - static_cast<double>(y[i]);
      own += d * d;
    });
    const double sum = team_sum(team, own, team.template shared<double>());
    if (team.rank() == 0) sums[p] = sum;
  }
};

template <class T>
struct SubtractScaled {
  PieceList pieces;
  double factor;
  const T* y;
  T* x;

  constexpr Launch launch() const { return {pieces.count, kThreads}; }
  template <class Team>
  constexpr void operator()(Team& team, std::int64_t p) const {
    for_piece(team, pieces.first[p],
              [&](std::int64_t i) { x[i] = kernels::less(x[i], factor, y[i]); });
  }
};

template <class T>
struct PullBack {
  PieceList pieces;
  const double* factors;
  const T* old;
  T* x;

  constexpr Launch launch() const { return {pieces.count, kThreads}; }
  template <class Team>
  constexpr void operator()(Team& team, std::int64_t p) const {
    const double factor = factors[pieces.first[p].range];
    if (factor == 1) return;
    for_piece(team, pieces.first[p],
              [&](std::int64_t i) { x[i] = kernels::pulled_back(x[i], factor, old[i]); });
  }
};

template <class T>
struct ClampPieces {
  PieceList pieces;
  T max_drift;
  const std::uint8_t* key;
  const T* old;
  T* theta;
  std::int64_t* at_bound;

  constexpr Launch launch() const { return over_rows(pieces.count, sizeof(std::int64_t)); }
  template <class Team>
  constexpr void operator()(Team& team, std::int64_t p) const {
    std::int64_t own = 0;
    for_piece(team, pieces.first[p], [&](std::int64_t i) {
      const auto [value, count] = kernels::bounded(theta[i], old[i], max_drift, key[i]);
      theta[i] = value;
      own += count;
    });
    const std::int64_t sum = team_sum(team, own, team.template shared<std::int64_t>());
    if (team.rank() == 0) at_bound[p] = sum;
  }
};

/// body(i, factor) for every element of the rows, factor that of its column's dropout.
template <class T, class Team, class Body>
constexpr void for_masked(Team& team, const kernels::DropoutMask& mask, const MaskedRows& rows,
                          const Body& body) {
  const std::int64_t octets = pieces(rows.C, 8);
  const T scale = static_cast<T>(mask.keep_scale);
  for (std::int64_t e = team.rank(); e < rows.rows * octets; e += team.size()) {
    const std::int64_t octet = e % octets, first = rows.begin + e / octets * rows.C + 8 * octet;
    const DropoutOctet decisions(mask, octet, rows.slot, 0);
    const int width = static_cast<int>(least(8, rows.C - 8 * octet));
    for (int c = 0; c < width; ++c) body(first + c, decisions.kept(c) ? scale : T(0));
  }
}

template <class T>
struct MixRows {
  kernels::DropoutMask mask;
  const MaskedRows* rows;
  std::int64_t count;
  const T* old;
  T *theta, *aside;

  constexpr Launch launch() const { return {count, kThreads}; }
  template <class Team>
  constexpr void operator()(Team& team, std::int64_t p) const {
    for_masked<T>(team, mask, rows[p], [&](std::int64_t i, T factor) {
      aside[i] = theta[i];
      theta[i] = old[i] + (theta[i] - old[i]) * factor;
    });
  }
};

template <class T>
struct UnmixRows {
  kernels::DropoutMask mask;
  const MaskedRows* rows;
  std::int64_t count;
  const T* aside;
  T *theta, *gradient;

  constexpr Launch launch() const { return {count, kThreads}; }
  template <class Team>
  constexpr void operator()(Team& team, std::int64_t p) const {
    for_masked<T>(team, mask, rows[p], [&](std::int64_t i, T factor) {
      theta[i] = aside[i];
      gradient[i] *= factor;
    });
  }
};

template <class T>
struct FollowPath {
  const T *gradient, *after;
  T* before;
  double* falls;
  constexpr void operator()(std::int64_t i) const {
    falls[i] += kernels::fall(gradient[i], before[i], after[i]);
    before[i] = after[i];
  }
};

template <class T>
struct AddNormalised {
  double factor, divisor;
  const T* x;
  T* sum;
  constexpr void operator()(std::int64_t i) const {
    sum[i] += kernels::normalised(x[i], factor, divisor);
  }
};

template <class T>
struct SumImportance {
  PieceList pieces;
  const T* x;
  ImportanceSums* sums;

  constexpr Launch launch() const { return over_rows(pieces.count, sizeof(double)); }
  template <class Team>
  constexpr void operator()(Team& team, std::int64_t p) const {
    double sum = 0, maximum = 0;
    std::int64_t positive = 0, refused = 0;
    for_piece(team, pieces.first[p], [&](std::int64_t i) {
      const double value = static_cast<double>(x[i]);
      const bool fits = value >= 0 && value <= kLargest;
      refused += fits ? 0 : 1;
      positive += fits && value > 0 ? 1 : 0;
      sum += fits ? value : 0;
      maximum = fits && value > maximum ? value : maximum;
    });
    auto* scratch = team.template shared<double>();
    sum = team_sum(team, sum, scratch);
    maximum = team_max(team, maximum, scratch);
    auto* counts = team.template shared<std::int64_t>();
    positive = team_sum(team, positive, counts);
    refused = team_sum(team, refused, counts);
    if (team.rank() == 0) sums[p] = {sum, maximum, positive, refused};
  }

 private:
  static constexpr double kLargest = std::numeric_limits<double>::max();
};

template <class T>
struct DriftOfPieces {
  PieceList pieces;
  double limit;
  const T *now, *old;
  kernels::DriftSums* sums;

  constexpr Launch launch() const { return over_rows(pieces.count, sizeof(double)); }
  template <class Team>
  constexpr void operator()(Team& team, std::int64_t p) const {
    const UpdatePiece piece = pieces.first[p];
    kernels::DriftSums own;
    for_piece(team, piece,
              [&](std::int64_t i) { own.add(now[i], old[i - piece.range_begin], limit); });
    auto* scratch = team.template shared<double>();
    own.moved = team_sum(team, own.moved, scratch);
    own.norm = team_sum(team, own.norm, scratch);
    own.largest = team_max(team, own.largest, scratch);
    own.beyond = team_sum(team, own.beyond, team.template shared<std::int64_t>());
    if (team.rank() == 0) sums[p] = own;
  }
};

template <class Launcher, class T>
constexpr Passes<T> passes{
    .dots =
        [](const PieceList& pieces, const T* x, const T* y, kernels::Dots* sums) {
          Launcher::run(DotsOfPieces<T>{pieces, x, y, sums});
        },
    .squared_differences =
        [](const PieceList& pieces, const T* x, const T* y, double* sums) {
          Launcher::run(SquaredDifferences<T>{pieces, x, y, sums});
        },
    .subtract =
        [](const PieceList& pieces, double factor, const T* y, T* x) {
          Launcher::run(SubtractScaled<T>{pieces, factor, y, x});
        },
    .pull_back =
        [](const PieceList& pieces, const double* factors, const T* old, T* x) {
          Launcher::run(PullBack<T>{pieces, factors, old, x});
        },
    .clamp =
        [](const PieceList& pieces, T max_drift, const std::uint8_t* key, const T* old, T* theta,
           std::int64_t* at_bound) {
          Launcher::run(ClampPieces<T>{pieces, max_drift, key, old, theta, at_bound});
        },
    .mix =
        [](const kernels::DropoutMask& mask, const MaskedRows* rows, std::int64_t count,
           const T* old, T* theta, T* aside) {
          Launcher::run(MixRows<T>{mask, rows, count, old, theta, aside});
        },
    .unmix =
        [](const kernels::DropoutMask& mask, const MaskedRows* rows, std::int64_t count,
           const T* aside, T* theta, T* gradient) {
          Launcher::run(UnmixRows<T>{mask, rows, count, aside, theta, gradient});
        },
    .follow =
        [](const T* gradient, const T* after, std::int64_t n, T* before, double* falls) {
          for_each<Launcher>(FollowPath<T>{gradient, after, before, falls}, n);
        },
    .add_normalised =
        [](double factor, double divisor, const T* x, std::int64_t n, T* sum) {
          for_each<Launcher>(AddNormalised<T>{factor, divisor, x, sum}, n);
        },
    .importance_sums =
        [](const PieceList& pieces, const T* x, ImportanceSums* sums) {
          Launcher::run(SumImportance<T>{pieces, x, sums});
        },
    .drift =
        [](const PieceList& pieces, double limit, const T* now, const T* old,
           kernels::DriftSums* sums) {
          Launcher::run(DriftOfPieces<T>{pieces, limit, now, old, sums});
        }};

}  // namespace holdfast::cuda
