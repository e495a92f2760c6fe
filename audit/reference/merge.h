// Merging written for obviousness: whole vectors of double, one formula after the other. Oracles of
// tests/train/merge_test.cpp.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

namespace holdfast::reference {

using Vector = std::vector<double>;

inline double total(const Vector& values) {
  double sum = 0;
  for (const double x : values) sum += x;
  return sum;
}

/// sum_k w_k theta_k / sum_k w_k
inline Vector mean_of(const std::vector<Vector>& models, const Vector& weights) {
  Vector out(models[0].size());
  for (std::size_t i = 0; i < out.size(); ++i) {
    for (std::size_t k = 0; k < models.size(); ++k) out[i] += weights[k] * models[k][i];
    out[i] /= total(weights);
  }
  return out;
}

/// sum_k w_k max(F_k / mean, floor) theta_k / the same without theta
inline Vector fisher_mean(const std::vector<Vector>& models, const Vector& weights,
                          const std::vector<Vector>& fisher, double floor) {
  Vector out(models[0].size());
  Vector means;
  for (const Vector& f : fisher) {
    const auto positive = std::count_if(f.begin(), f.end(), [](double x) { return x > 0; });
    means.push_back(total(f) / static_cast<double>(positive));
  }
  for (std::size_t i = 0; i < out.size(); ++i) {
    double above = 0, below = 0;
    for (std::size_t k = 0; k < models.size(); ++k) {
      const double c = weights[k] * std::max(fisher[k][i] / means[k], floor);
      above += c * models[k][i];
      below += c;
    }
    out[i] = above / below;
  }
  return out;
}

/// Along the great circle through two tensors, linear where they are almost parallel.
inline Vector slerp(const Vector& x, const Vector& y, double a) {
  double xx = 0, yy = 0, xy = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    xx += x[i] * x[i];
    yy += y[i] * y[i];
    xy += x[i] * y[i];
  }
  const double cosine = xx > 0 && yy > 0 ? xy / std::sqrt(xx * yy) : 1.0;
  if (std::abs(cosine) > 0.9995) return mean_of({x, y}, {1 - a, a});
  const double omega = std::acos(cosine);
  Vector out(x.size());
  for (std::size_t i = 0; i < x.size(); ++i) {
    out[i] = (std::sin((1 - a) * omega) * x[i] + std::sin(a * omega) * y[i]) / std::sin(omega);
  }
  return out;
}

inline Vector task_vector(const Vector& theta, const Vector& base) {
  Vector out(theta.size());
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = theta[i] - base[i];
  return out;
}

/// Only the share `density` of the largest magnitudes; the others are 0.
inline Vector trimmed(const Vector& tau, double density) {
  Vector sorted;
  for (const double x : tau) sorted.push_back(std::abs(x));
  std::sort(sorted.rbegin(), sorted.rend());
  const auto kept = static_cast<std::size_t>(density * static_cast<double>(tau.size()));
  Vector out = tau;
  for (double& x : out) x = std::abs(x) >= sorted[kept - 1] ? x : 0.0;
  return out;
}

/// Elect the sign of the larger mass, then the weighted mean of those that have it.
inline Vector elected_mean(const std::vector<Vector>& taus, const Vector& weights) {
  Vector out(taus[0].size());
  for (std::size_t i = 0; i < out.size(); ++i) {
    double mass = 0;
    for (std::size_t k = 0; k < taus.size(); ++k) mass += weights[k] * taus[k][i];
    double sum = 0, agreeing = 0;
    for (std::size_t k = 0; k < taus.size(); ++k) {
      if (taus[k][i] * mass > 0) {
        sum += weights[k] * taus[k][i];
        agreeing += weights[k];
      }
    }
    out[i] = agreeing > 0 ? sum / agreeing : 0.0;
  }
  return out;
}

/// base + scale tau
inline Vector moved(const Vector& base, double scale, const Vector& tau) {
  Vector out = base;
  for (std::size_t i = 0; i < out.size(); ++i) out[i] += scale * tau[i];
  return out;
}

}  // namespace holdfast::reference
