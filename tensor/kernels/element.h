// Arithmetic on one weight that measures do in loops on the CPU (train/) and in kernels on a GPU
// (tensor/cuda/passes.h).
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>

namespace holdfast::kernels {

/// x - factor y, in double and then rounded.
template <class T>
constexpr T less(T x, double factor, T y) {
  return static_cast<T>(static_cast<double>(x) - factor * static_cast<double>(y));
}

/// old + factor (x - old), in double and then rounded.
template <class T>
constexpr T pulled_back(T x, double factor, T old) {
  const double middle = static_cast<double>(old);
  return static_cast<T>(middle + factor * (static_cast<double>(x) - middle));
}

/// A weight within its bounds, and 1 where it was at one or beyond.
template <class T>
struct Bounded {
  T value;
  std::int32_t at_bound;
};
/// x cut to old -+ max_drift |old| when key is 1; when it is 0 the interval holds all numbers, so
/// that a loop has no branch.
template <class T>
constexpr Bounded<T> bounded(T x, T old, T max_drift, std::uint8_t key) {
  const T reach =
      max_drift * std::abs(old) + static_cast<T>(1 - key) * std::numeric_limits<T>::max();
  const T low = old - reach, high = old + reach;
  const T above = x < low ? low : x;
  return {above > high ? high : above,
          static_cast<std::int32_t>(x <= low) | static_cast<std::int32_t>(x >= high)};
}

/// What a step from `before` to `after` adds to the path integral of the loss: -g (after - before).
template <class T>
constexpr double fall(T g, T before, T after) {
  return -(static_cast<double>(g) * (static_cast<double>(after) - static_cast<double>(before)));
}

/// factor x / divisor, in double and then rounded.
template <class T>
constexpr T normalised(T x, double factor, double divisor) {
  return static_cast<T>(factor * (static_cast<double>(x) / divisor));
}

/// Sums over weights that have moved by d from old ones.
struct DriftSums {
  double moved = 0, norm = 0;  // sum d^2, sum old^2
  double largest = 0;          // max |d|
  std::int64_t beyond = 0;     // with |d| > limit |old|

  template <class T>
  constexpr void add(T now, T old, double limit) {
    const double before = static_cast<double>(old);
    const double d = std::abs(static_cast<double>(now) - before);
    moved += d * d;
    norm += before * before;
    largest = largest < d ? d : largest;
    beyond += d > limit * std::abs(before) ? 1 : 0;
  }
};

}  // namespace holdfast::kernels
