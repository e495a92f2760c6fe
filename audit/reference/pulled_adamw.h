// AdamW with everything that holds weights back, one element at a time in double, each line a line
// of the formulas in train/optimizer.h and train/penalty.h. Oracle of the audit and the tests.
#pragma once

#include <cmath>
#include <cstddef>
#include <vector>

namespace holdfast::reference {

struct PulledAdamW {
  double rate = 1e-3, decay = 0, clip = 1;
  double beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8;
  double lambda = 0;  // of EWC
  bool decoupled = false;
  double l2 = 0;
  bool l2_to_old = true;
  // RecAdam; gamma 0: none
  double w = 1, slope = 0, midpoint = 0, gamma = 0;
  std::vector<double> theta, old, fisher, m, v;
  int t = 0;

  void step(const std::vector<double>& gradient) {
    ++t;
    const double k = gamma == 0 ? 1 : w / (1 + std::exp(-slope * (t - midpoint)));
    for (std::size_t i = 0; i < theta.size(); ++i) {
      double g = clip * gradient[i];
      if (!decoupled) g += 2 * lambda * fisher[i] * (theta[i] - old[i]);
      g += 2 * l2 * (theta[i] - (l2_to_old ? old[i] : 0));
      theta[i] -= rate * decay * theta[i];
      m[i] = beta1 * m[i] + (1 - beta1) * g;
      v[i] = beta2 * v[i] + (1 - beta2) * g * g;
      const double m_hat = m[i] / (1 - std::pow(beta1, t)), v_hat = v[i] / (1 - std::pow(beta2, t));
      theta[i] -= rate * k * m_hat / (std::sqrt(v_hat) + epsilon);
      if (decoupled) theta[i] = old[i] + (theta[i] - old[i]) / (1 + 2 * rate * lambda * fisher[i]);
      if (gamma != 0) theta[i] -= rate * (w - k) * gamma * (theta[i] - old[i]);
    }
  }
};

}  // namespace holdfast::reference
