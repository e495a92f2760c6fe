#include "tensor/kernels/layer_norm.h"

#include "tensor/kernels/dispatch.h"
#include "tensor/kernels/lanes.h"

namespace holdfast::kernels::HOLDFAST_ISA {
namespace {

inline float root(float x) { return __builtin_sqrtf(x); }
inline double root(double x) { return __builtin_sqrt(x); }

template <class T>
void forward(const T* x, const T* gamma, const T* beta, double eps, std::int64_t rows,
             std::int64_t C, T* xhat, T* rstd, T* y) {
  const T count = static_cast<T>(C);
  for (std::int64_t r = 0; r < rows; ++r, x += C, y += C) {
    const T mean =
        sum<T>(
            C, [=](std::int64_t i) { return load(x + i); }, [=](std::int64_t i) { return x[i]; }) /
        count;
    const auto square = [](auto d) { return d * d; };
    const T variance = sum<T>(
                           C, [=](std::int64_t i) { return square(load(x + i) - spread(mean)); },
                           [=](std::int64_t i) { return square(x[i] - mean); }) /
                       count;
    const T scale = T{1} / root(variance + static_cast<T>(eps));
    if (xhat == nullptr) {
#pragma GCC ivdep
      for (std::int64_t i = 0; i < C; ++i) y[i] = (x[i] - mean) * scale * gamma[i] + beta[i];
      continue;
    }
    rstd[r] = scale;
    T* xhat_r = xhat + r * C;
#pragma GCC ivdep
    for (std::int64_t i = 0; i < C; ++i) {
      const T normalised = (x[i] - mean) * scale;
      xhat_r[i] = normalised;
      y[i] = normalised * gamma[i] + beta[i];
    }
  }
}

template <class T>
void backward(const T* dout, const T* gamma, const T* xhat, const T* rstd, std::int64_t rows,
              std::int64_t C, T* dx) {
  const T count = static_cast<T>(C);
  for (std::int64_t r = 0; r < rows; ++r, dout += C, xhat += C, dx += C) {
    const T mean = sum<T>(
                       C, [=](std::int64_t i) { return load(dout + i) * load(gamma + i); },
                       [=](std::int64_t i) { return dout[i] * gamma[i]; }) /
                   count;
    const T slope =
        sum<T>(
            C, [=](std::int64_t i) { return load(dout + i) * load(gamma + i) * load(xhat + i); },
            [=](std::int64_t i) { return dout[i] * gamma[i] * xhat[i]; }) /
        count;
    const T scale = rstd[r];
#pragma GCC ivdep
    for (std::int64_t i = 0; i < C; ++i)
      dx[i] = scale * (dout[i] * gamma[i] - mean - xhat[i] * slope);
  }
}

template <class T>
constexpr LayerNorm<T> kTable{forward<T>, backward<T>};

}  // namespace

template <>
const LayerNorm<float>& table<LayerNorm<float>>() {
  return kTable<float>;
}
template <>
const LayerNorm<double>& table<LayerNorm<double>>() {
  return kTable<double>;
}

}  // namespace holdfast::kernels::HOLDFAST_ISA
