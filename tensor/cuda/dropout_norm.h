// Dropout, residual and layer normalisation of a row by one team, in one launch: what one leaves,
// the next finds in cache.
#pragma once

#include "tensor/cuda/dropout.h"
#include "tensor/cuda/layer_norm.h"
#include "tensor/cuda/operations.h"

namespace holdfast::cuda {

/// `drop` of all octets of row r.
template <class T, class Team>
constexpr void drop_row(Team& team, const DropoutRows<T>& drop, std::int64_t r) {
  const std::int64_t octets = pieces(drop.C, 8);
  for (std::int64_t o = team.rank(); o < octets; o += team.size()) drop(r * octets + o);
}

template <class T>
struct DropoutNormForward {
  DropoutRows<T> drop;       // to y
  LayerNormForward<T> norm;  // of y, there

  constexpr Launch launch() const { return norm.launch(); }
  template <class Team>
  constexpr void operator()(Team& team, std::int64_t r) const {
    drop_row(team, drop, r);
    team.sync();
    norm(team, r);
  }
};

template <class T>
struct DropoutNormBackward {
  LayerNormBackward<T> norm;  // to dresidual
  DropoutRows<T> drop;        // from there; to null: not wanted

  constexpr Launch launch() const { return norm.launch(); }
  template <class Team>
  constexpr void operator()(Team& team, std::int64_t r) const {
    norm(team, r);
    team.sync();
    if (drop.y != nullptr) drop_row(team, drop, r);
  }
};

template <class Launcher, class T>
constexpr DropoutNorm<T> dropout_norm{
    .forward =
        [](const kernels::DropoutMask& mask, const std::int32_t* slots, const std::int32_t* tokens,
           const T* x, const T* residual, const T* gamma, const T* beta, double eps,
           std::int64_t rows, std::int64_t C, T* xhat, T* rstd, T* y) {
          Launcher::run(
              DropoutNormForward<T>{{mask, slots, tokens, x, residual, C, y},
                                    {y, gamma, beta, static_cast<T>(eps), rows, C, xhat, rstd, y}});
        },
    .backward =
        [](const kernels::DropoutMask& mask, const std::int32_t* slots, const std::int32_t* tokens,
           const T* dout, const T* gamma, const T* xhat, const T* rstd, std::int64_t rows,
           std::int64_t C, T* dresidual, T* dx) {
          Launcher::run(DropoutNormBackward<T>{{dout, gamma, xhat, rstd, rows, C, dresidual},
                                               {mask, slots, tokens, dresidual, nullptr, C, dx}});
        }};

}  // namespace holdfast::cuda
