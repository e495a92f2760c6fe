// Naive attention of one head in double: exact; rounding to bf16 where tensor/cuda/attention_bf16.h
// does; and how far that may be from exact.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <vector>

#include "audit/reference/bf16.h"

namespace holdfast::reference {

using Numbers = std::vector<double>;

/// An element with how far another order of f32 sums and another exp may take it: by a step of bf16
/// where a number to be rounded lies within `error` of the middle between two.
struct Uncertain {
  double value = 0, slack = 0;
  void add(const Uncertain& x, double factor) {
    value += x.value * factor;
    slack += x.slack * std::abs(factor);
  }
};

inline Uncertain rounded(double x, double error) {
  return {nearest_bf16(x), std::abs(nearest_bf16(x + error) - nearest_bf16(x - error))};
}

/// Queries (I, D) and keys (J, D) of a head; mask (I, J) 0 or 1, `keep` what kept ones are times.
struct AttentionProblem {
  std::size_t I, J, D;
  Numbers q, k, v, dout, mask;
  double keep;

  double dot(const Numbers& a, std::size_t i, const Numbers& b, std::size_t j) const {
    double sum = 0;
    for (std::size_t d = 0; d < D; ++d) sum += a[i * D + d] * b[j * D + d];
    return sum;
  }
  double score(std::size_t i, std::size_t j) const {
    return dot(q, i, k, j) / std::sqrt(static_cast<double>(D));
  }
  AttentionProblem in_bf16() const {
    AttentionProblem result = *this;
    for (Numbers* x : {&result.q, &result.k, &result.v, &result.dout})
      for (double& element : *x) element = nearest_bf16(element);
    return result;
  }
};

constexpr double kSingle = 1e-5;  // error of a probability in f32, relative

struct RoundedForward {
  std::vector<Uncertain> out;  // (I, D)
  Numbers lse;                 // (I)
};

/// A running maximum over tiles of 64 keys: what is rounded are the exponentials over it.
inline RoundedForward rounded_forward(const AttentionProblem& exact) {
  const AttentionProblem x = exact.in_bf16();
  RoundedForward result{std::vector<Uncertain>(x.I * x.D), Numbers(x.I)};
  for (std::size_t i = 0; i < x.I; ++i) {
    double max = -std::numeric_limits<double>::infinity(), total = 0;
    std::vector<Uncertain> sum(x.D);
    for (std::size_t first = 0; first < x.J; first += 64) {
      const std::size_t end = std::min(x.J, first + 64);
      const double before = max;
      for (std::size_t j = first; j < end; ++j) max = std::max(max, x.score(i, j));
      const double shrink = std::exp(before - max);
      total *= shrink;
      for (Uncertain& s : sum) s = {s.value * shrink, s.slack * shrink};
      for (std::size_t j = first; j < end; ++j) {
        const double p = std::exp(x.score(i, j) - max);
        total += p;
        const Uncertain kept = rounded(p * x.mask[i * x.J + j], p * kSingle);
        for (std::size_t d = 0; d < x.D; ++d) sum[d].add(kept, x.v[j * x.D + d]);
      }
    }
    for (std::size_t d = 0; d < x.D; ++d) result.out[i * x.D + d].add(sum[d], x.keep / total);
    result.lse[i] = max + std::log(total);
  }
  return result;
}

struct RoundedGradients {
  std::vector<Uncertain> q, k, v;
};

/// From the result and log-sum-exp that were given.
inline RoundedGradients rounded_backward(const AttentionProblem& exact, const Numbers& out,
                                         const Numbers& lse) {
  const AttentionProblem x = exact.in_bf16();
  const double scale = 1 / std::sqrt(static_cast<double>(x.D));
  RoundedGradients result{std::vector<Uncertain>(x.I * x.D), std::vector<Uncertain>(x.J * x.D),
                          std::vector<Uncertain>(x.J * x.D)};
  for (std::size_t i = 0; i < x.I; ++i) {
    const double delta = x.dot(exact.dout, i, out, i);
    for (std::size_t j = 0; j < x.J; ++j) {
      const double p = std::exp(x.score(i, j) - lse[i]), mask = x.mask[i * x.J + j];
      const double dp = mask * x.keep * x.dot(x.dout, i, x.v, j);
      const Uncertain kept = rounded(p * mask, p * kSingle);
      const Uncertain ds =
          rounded(p * (dp - delta), p * kSingle * (std::abs(dp) + std::abs(delta)));
      for (std::size_t d = 0; d < x.D; ++d) {
        result.q[i * x.D + d].add(ds, scale * x.k[j * x.D + d]);
        result.k[j * x.D + d].add(ds, scale * x.q[i * x.D + d]);
        result.v[j * x.D + d].add(kept, x.keep * x.dout[i * x.D + d]);
      }
    }
  }
  return result;
}

struct AttentionBounds {
  Numbers out, q, k, v;
};

/// How far results may be from exact when all that is rounded is within u = 2^-9, relative: a score
/// then within e = 2 (u + u^2) sum |q k| / sqrt(D), a probability within exp(2 e) - 1, relative, of
/// the row's largest e; sums and products carry on what their parts have.
inline AttentionBounds bf16_bounds(const AttentionProblem& x) {
  const double u = std::ldexp(1.0, -9), scale = 1 / std::sqrt(static_cast<double>(x.D));
  AttentionBounds bound{Numbers(x.I * x.D), Numbers(x.I * x.D), Numbers(x.J * x.D),
                        Numbers(x.J * x.D)};
  const auto sizes = [&](const Numbers& a, std::size_t i, const Numbers& b, std::size_t j) {
    double sum = 0;
    for (std::size_t d = 0; d < x.D; ++d) sum += std::abs(a[i * x.D + d] * b[j * x.D + d]);
    return sum;
  };
  for (std::size_t i = 0; i < x.I; ++i) {
    double e = 0, total = 0, delta = 0, delta_bound = 0;
    for (std::size_t j = 0; j < x.J; ++j) {
      e = std::max(e, 2 * (u + u * u) * scale * sizes(x.q, i, x.k, j));
      total += std::exp(x.score(i, j));
    }
    const double r = std::exp(2 * e) - 1, weight = (1 + r) * (1 + u) * (1 + u) - 1;
    const auto p = [&](std::size_t j) { return std::exp(x.score(i, j)) / total; };
    const auto factor = [&](std::size_t j) { return x.keep * x.mask[i * x.J + j]; };
    for (std::size_t j = 0; j < x.J; ++j) {
      delta += p(j) * factor(j) * x.dot(x.dout, i, x.v, j);
      delta_bound += p(j) * factor(j) * weight * sizes(x.dout, i, x.v, j);
      for (std::size_t d = 0; d < x.D; ++d) {
        bound.out[i * x.D + d] += p(j) * factor(j) * weight * std::abs(x.v[j * x.D + d]);
        bound.v[j * x.D + d] += p(j) * factor(j) * weight * std::abs(x.dout[i * x.D + d]);
      }
    }
    for (std::size_t j = 0; j < x.J; ++j) {
      const double dp_bound = (2 * u + u * u) * factor(j) * sizes(x.dout, i, x.v, j);
      const double slope = std::abs(factor(j) * x.dot(x.dout, i, x.v, j) - delta);
      const double before = p(j) * ((1 + r) * (dp_bound + delta_bound) + r * slope);
      const double ds = p(j) * slope, ds_bound = before + u * (ds + before);
      for (std::size_t d = 0; d < x.D; ++d) {
        const double carried = scale * (ds_bound * (1 + u) + ds * u);
        bound.q[i * x.D + d] += carried * std::abs(x.k[j * x.D + d]);
        bound.k[j * x.D + d] += carried * std::abs(x.q[i * x.D + d]);
      }
    }
  }
  return bound;
}

}  // namespace holdfast::reference
