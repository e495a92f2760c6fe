#include "tensor/kernels/update.h"

#include "tensor/kernels/dispatch.h"

namespace holdfast::kernels::HOLDFAST_ISA {
namespace {

constexpr std::int64_t kLanes = 16;
constexpr std::int64_t kBlock =
    256;  // elements whose gradients are formed before they are used; a multiple of kLanes

float square_root(float x) { return __builtin_sqrtf(x); }
double square_root(double x) { return __builtin_sqrt(x); }

std::uint32_t bits_of(float x) { return __builtin_bit_cast(std::uint32_t, x); }
std::uint64_t bits_of(double x) { return __builtin_bit_cast(std::uint64_t, x); }

// Sum of term(i), i < n: lane j takes i = j, j + 16, ...; lanes are added in order.
template <class Term>
double lane_sum(std::int64_t n, Term term) {
  double lanes[kLanes] = {};
  std::int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    for (std::int64_t j = 0; j < kLanes; ++j) lanes[j] += term(i + j);
  }
  for (std::int64_t j = 0; i + j < n; ++j) lanes[j] += term(i + j);
  double sum = 0;
  for (const double lane : lanes) sum += lane;
  return sum;
}

template <class T>
double sum_squares(const T* x, std::int64_t n) {
  return lane_sum(n, [x](std::int64_t i) {
    const double value = static_cast<double>(x[i]);
    return value * value;
  });
}

template <class T>
double sum_weighted_squares(const T* f, const T* x, const T* y, std::int64_t n) {
  return lane_sum(n, [f, x, y](std::int64_t i) {
    const double d = static_cast<double>(x[i]) - static_cast<double>(y[i]);
    return static_cast<double>(f[i]) * d * d;
  });
}

template <class T>
double sum_squared_differences(const T* x, const T* y, std::int64_t n) {
  return lane_sum(n, [x, y](std::int64_t i) {
    const double d = static_cast<double>(x[i]) - static_cast<double>(y[i]);
    return d * d;
  });
}

template <class T>
Dots dots(const T* x, const T* y, std::int64_t n) {
  Dots sums;
  for (std::int64_t begin = 0; begin < n; begin += kBlock) {
    const std::int64_t count = n - begin < kBlock ? n - begin : kBlock;
    const T *a = x + begin, *b = y + begin;
    sums.xx += sum_squares(a, count);
    sums.yy += sum_squares(b, count);
    sums.xy += lane_sum(count, [a, b](std::int64_t i) {
      return static_cast<double>(a[i]) * static_cast<double>(b[i]);
    });
  }
  return sums;
}

template <class T>
void add_weighted_difference(double factor, const T* f, const T* x, const T* y, T* g,
                             std::int64_t n) {
  const T scale = static_cast<T>(factor);
  for (std::int64_t i = 0; i < n; ++i) g[i] += scale * f[i] * (x[i] - y[i]);
}

// gradient(i, theta_i): what Adam sees.
template <class T, class Gradient>
void adamw_with(const AdamWStep& step, Gradient gradient, T* __restrict theta, T* __restrict m,
                T* __restrict v, std::int64_t n) {
  const T decay = static_cast<T>(step.decay),
          one_minus_beta1 = static_cast<T>(step.one_minus_beta1);
  const T beta2 = static_cast<T>(step.beta2),
          one_minus_beta2 = static_cast<T>(step.one_minus_beta2);
  const T step_size = static_cast<T>(step.step_size), root_bias2 = static_cast<T>(step.root_bias2);
  const T epsilon = static_cast<T>(step.epsilon);
#pragma GCC ivdep
  for (std::int64_t i = 0; i < n; ++i) {
    const T g = gradient(i, theta[i]);
    m[i] += one_minus_beta1 * (g - m[i]);
    v[i] = beta2 * v[i] + one_minus_beta2 * g * g;
    theta[i] = decay * theta[i] - step_size * (m[i] / (square_root(v[i]) / root_bias2 + epsilon));
  }
}

// Whether all elements are +0, bit for bit.
template <class T>
bool all_zero(const T* x, std::int64_t n) {
  auto any = bits_of(T{0});
  for (std::int64_t i = 0; i < n; ++i) any |= bits_of(x[i]);
  return any == 0;
}

// Where gradient and moments are zero, as in the rows of words that no text has had, m and v stay
// so and theta only decays: the same bits as the formula's, and memory that was never written stays
// so.
template <class T>
void adamw_clipped(const AdamWStep& step, T clip, T* theta, const T* gradient, T* m, T* v,
                   std::int64_t n) {
  constexpr std::int64_t kPage = 4096 / sizeof(T);
  const T decay = static_cast<T>(step.decay);
  for (std::int64_t begin = 0; begin < n; begin += kPage) {
    const std::int64_t count = n - begin < kPage ? n - begin : kPage;
    T* x = theta + begin;
    const T* g = gradient + begin;
    if (all_zero(g, count) && all_zero(m + begin, count) && all_zero(v + begin, count)) {
      if (decay != 1) {
        for (std::int64_t i = 0; i < count; ++i) x[i] = decay * x[i];
      }
      continue;
    }
    const auto clipped = [=](std::int64_t i, T) { return clip * g[i]; };
    adamw_with(step, clipped, x, m + begin, v + begin, count);
  }
}

template <class T>
void adamw(const AdamWStep& step, T* theta, const T* gradient, T* m, T* v, std::int64_t n) {
  adamw_clipped(step, static_cast<T>(step.clip), theta, gradient, m, v, n);
}

// The minimiser of (theta - x)^2 / 2 + proximal/2 sum f (theta - anchor)^2: no step is too large
// for it. A factor beyond the type's range leaves the anchor itself.
template <class T>
void divide_difference(double proximal, const T* __restrict f, const T* __restrict anchor,
                       T* __restrict x, std::int64_t n) {
  const T scale = static_cast<T>(proximal);
  for (std::int64_t i = 0; i < n; ++i) {
    const T strength = scale * f[i];
    const T held = anchor[i] + (x[i] - anchor[i]) / (T{1} + strength);
    x[i] = strength > 0 ? held : x[i];
  }
}

template <class T>
void multiply_difference(double keep, const T* __restrict anchor, T* __restrict x, std::int64_t n) {
  const T factor = static_cast<T>(keep);
  for (std::int64_t i = 0; i < n; ++i) x[i] = anchor[i] + factor * (x[i] - anchor[i]);
}

// gradient = clip * gradient + 2 l2 (x - target); the sum of (x - target)^2.
template <class T>
double add_l2(double l2, const T* target, const T* x, T clip, const T* gradient, std::int64_t n,
              T* sum) {
  const T factor = static_cast<T>(2 * l2);
  T difference[kBlock];
  for (std::int64_t i = 0; i < n; ++i) difference[i] = target != nullptr ? x[i] - target[i] : x[i];
  for (std::int64_t i = 0; i < n; ++i) sum[i] = clip * gradient[i] + factor * difference[i];
  return sum_squares(difference, n);
}

template <class T>
PullSums adamw_pulled(const AdamWStep& step, const PullSpans<T>& pull, T* theta, const T* gradient,
                      T* m, T* v, std::int64_t n) {
  PullSums sums;
  T with_l2[kBlock];
  const T scale = static_cast<T>(2 * pull.lambda);
  for (std::int64_t begin = 0; begin < n; begin += kBlock) {
    const std::int64_t count = n - begin < kBlock ? n - begin : kBlock;
    T clip = static_cast<T>(step.clip);
    T* x = theta + begin;
    const T* g = gradient + begin;
    const T* f = pull.importance == nullptr ? nullptr : pull.importance + begin;
    const T* anchor = pull.anchor == nullptr ? nullptr : pull.anchor + begin;
    if (f != nullptr) sums.ewc += sum_weighted_squares(f, x, anchor, count);
    if (pull.l2 != 0) {
      sums.l2 += add_l2(pull.l2, pull.l2_to_anchor ? anchor : nullptr, x, clip, g, count, with_l2);
      g = with_l2;
      clip = 1;
    }
    if (pull.lambda != 0) {
      const auto pulled = [=](std::int64_t i, T x_i) {
        return clip * g[i] + scale * f[i] * (x_i - anchor[i]);
      };
      adamw_with(step, pulled, x, m + begin, v + begin, count);
    } else {
      adamw_clipped(step, clip, x, g, m + begin, v + begin, count);
    }
    if (pull.proximal != 0) divide_difference(pull.proximal, f, anchor, x, count);
    if (pull.keep != 1) multiply_difference(pull.keep, anchor, x, count);
  }
  return sums;
}

template <class T>
constexpr Update<T> kTable{adamw<T>,
                           adamw_pulled<T>,
                           sum_squares<T>,
                           sum_weighted_squares<T>,
                           sum_squared_differences<T>,
                           dots<T>,
                           add_weighted_difference<T>};

}  // namespace

template <>
const Update<float>& table<Update<float>>() {
  return kTable<float>;
}
template <>
const Update<double>& table<Update<double>>() {
  return kTable<double>;
}

}  // namespace holdfast::kernels::HOLDFAST_ISA
