// The optimizer's arithmetic over flat spans: AdamW with penalties in one pass, and the sums of
// squares that clipping and penalties need. Sums run in double over 16 fixed lanes.
#pragma once

#include <cstdint>

namespace holdfast::kernels {

/// Constants of one AdamW step.
struct AdamWStep {
  double clip = 1;   // factor on the task gradient
  double decay = 1;  // 1 - lr * weight_decay
  double one_minus_beta1 = 0, beta2 = 0, one_minus_beta2 = 0;
  double step_size = 0;   // lr / (1 - beta1^t)
  double root_bias2 = 1;  // sqrt(1 - beta2^t)
  double epsilon = 0;
};

/// What pulls parameters back; spans of the same range as theta, null where there is none.
template <class T>
struct PullSpans {
  const T* importance = nullptr;  // Fh; needs anchor
  const T* anchor = nullptr;      // theta_old
  double lambda = 0;              // of the gradient 2 lambda Fh (theta - theta_old)
  double proximal = 0;        // theta - theta_old is divided by 1 + proximal Fh after the update
  double keep = 1;            // theta - theta_old is multiplied by this after the update
  double l2 = 0;              // weight of sum (theta - target)^2
  bool l2_to_anchor = false;  // else to zero
};

struct PullSums {
  double ewc = 0;  // sum Fh (theta - theta_old)^2
  double l2 = 0;   // sum (theta - target)^2
};

/// Inner products of two spans.
struct Dots {
  double xx = 0, xy = 0, yy = 0;
};

template <class T>
struct Update {
  /// One AdamW step without penalties on n elements.
  void (*adamw)(const AdamWStep& step, T* theta, const T* gradient, T* m, T* v, std::int64_t n);
  /// The same with penalty gradients 2 lambda Fh (theta - theta_old) + 2 l2 (theta - target) added
  /// after clipping, and theta - theta_old made smaller after the update: elements with Fh = 0 keep
  /// their bits when `keep` is 1. The sums are those before the update.
  PullSums (*adamw_pulled)(const AdamWStep& step, const PullSpans<T>& pull, T* theta,
                           const T* gradient, T* m, T* v, std::int64_t n);
  /// sum x_i^2
  double (*sum_squares)(const T* x, std::int64_t n);
  /// sum f_i (x_i - y_i)^2
  double (*sum_weighted_squares)(const T* f, const T* x, const T* y, std::int64_t n);
  /// sum (x_i - y_i)^2
  double (*sum_squared_differences)(const T* x, const T* y, std::int64_t n);
  /// sum x_i^2, sum x_i y_i, sum y_i^2
  Dots (*dots)(const T* x, const T* y, std::int64_t n);
  /// g += factor f (x - y)
  void (*add_weighted_difference)(double factor, const T* f, const T* x, const T* y, T* g,
                                  std::int64_t n);
};

}  // namespace holdfast::kernels
