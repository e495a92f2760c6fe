#include "tensor/kernels/softmax.h"

#include "tensor/kernels/dispatch.h"
#include "tensor/kernels/lanes.h"
#include "tensor/kernels/math.h"

namespace holdfast::kernels::HOLDFAST_ISA {
namespace {

template <class T>
T row_max(const T* x, std::int64_t n) {
  constexpr int W = kLanes<T>;
  Lanes<T> lanes = spread(x[0]);
  std::int64_t i = 0;
  for (; i + W <= n; i += W) {
    const Lanes<T> next = load(x + i);
    lanes = next > lanes ? next : lanes;
  }
  T lane[W];
  store(lane, lanes);
  T largest = lane[0];
  for (int l = 1; l < W; ++l) largest = lane[l] > largest ? lane[l] : largest;
  for (; i < n; ++i) largest = x[i] > largest ? x[i] : largest;
  return largest;
}

template <class T>
T row_sum(const T* x, std::int64_t n) {
  return sum<T>(
      n, [=](std::int64_t i) { return load(x + i); }, [=](std::int64_t i) { return x[i]; });
}

template <class T>
void softmax(const T* x, T* y, std::int64_t rows, std::int64_t cols) {
  for (std::int64_t r = 0; r < rows; ++r, x += cols, y += cols) {
    const T largest = row_max(x, cols);
    for (std::int64_t c = 0; c < cols; ++c) y[c] = exp(x[c] - largest);
    const T factor = T(1) / row_sum(y, cols);
    for (std::int64_t c = 0; c < cols; ++c) y[c] *= factor;
  }
}

template <class T>
void softmax_backward(const T* y, const T* dout, T* dx, std::int64_t rows, std::int64_t cols) {
  for (std::int64_t r = 0; r < rows; ++r, y += cols, dout += cols, dx += cols) {
    const T mean = sum<T>(
        cols, [=](std::int64_t c) { return load(y + c) * load(dout + c); },
        [=](std::int64_t c) { return y[c] * dout[c]; });
    for (std::int64_t c = 0; c < cols; ++c) dx[c] = y[c] * (dout[c] - mean);
  }
}

template <class T>
void log_softmax(const T* x, T* y, std::int64_t rows, std::int64_t cols) {
  for (std::int64_t r = 0; r < rows; ++r, x += cols, y += cols) {
    const T largest = row_max(x, cols);
    for (std::int64_t c = 0; c < cols; ++c) y[c] = exp(x[c] - largest);
    const T log_sum = log(row_sum(y, cols));
    for (std::int64_t c = 0; c < cols; ++c) y[c] = (x[c] - largest) - log_sum;
  }
}

template <class T>
void log_softmax_backward(const T* y, const T* dout, T* dx, std::int64_t rows, std::int64_t cols) {
  for (std::int64_t r = 0; r < rows; ++r, y += cols, dout += cols, dx += cols) {
    const T total = row_sum(dout, cols);
    for (std::int64_t c = 0; c < cols; ++c) dx[c] = dout[c] - exp(y[c]) * total;
  }
}

template <class T>
constexpr Softmax<T> kTable{.softmax = softmax<T>,
                            .softmax_backward = softmax_backward<T>,
                            .log_softmax = log_softmax<T>,
                            .log_softmax_backward = log_softmax_backward<T>};

}  // namespace

template <>
const Softmax<float>& table<Softmax<float>>() {
  return kTable<float>;
}
template <>
const Softmax<double>& table<Softmax<double>>() {
  return kTable<double>;
}

}  // namespace holdfast::kernels::HOLDFAST_ISA
