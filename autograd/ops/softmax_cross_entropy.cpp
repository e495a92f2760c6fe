#include <algorithm>

#include "autograd/ops/fused_common.h"
#include "base/elementary.h"
#include "tensor/cuda/runtime.h"

namespace holdfast {
namespace {

constexpr std::string_view kName = "softmax_cross_entropy";

// -(1-s) log p[label] - s/K sum_k log p[k] of one row; p becomes softmax(logits).
template <class T>
double row_loss(const T* logits, std::int64_t K, std::int32_t label, double smoothing, T* p) {
  const double max = *std::max_element(logits, logits + K);
  double total = 0, sum = 0;
  for (std::int64_t k = 0; k < K; ++k) total += elementary::exp(logits[k] - max);
  for (std::int64_t k = 0; k < K; ++k) {
    p[k] = static_cast<T>(elementary::exp(logits[k] - max) / total);
    sum += logits[k] - max;
  }
  const double log_total = elementary::log(total);
  return (1 - smoothing) * (log_total - (logits[label] - max)) +
         smoothing * (log_total - sum / static_cast<double>(K));
}

template <class T>
double loss(const Tensor& logits, const Tensor& labels, const Tensor& weights, double smoothing,
            const Tensor& p) {
  const std::int64_t N = logits.size(0), K = logits.size(1);
  double total = 0;
  for (std::int64_t n = 0; n < N; ++n) {
    total += static_cast<double>(weights.data<T>()[n]) * row_loss(logits.data<T>() + n * K, K,
                                                                  labels.data<std::int32_t>()[n],
                                                                  smoothing, p.data<T>() + n * K);
  }
  return total;
}

// dlogits[n,k] = dout w[n] (p[n,k] - (1-s) [k = y[n]] - s/K)
template <class T>
Tensor logits_gradient(const Tensor& p, const Tensor& labels, const Tensor& weights,
                       double smoothing, double dout) {
  const std::int64_t N = p.size(0), K = p.size(1);
  const Tensor dlogits = Tensor::empty(p.shape(), p.dtype());
  for (std::int64_t n = 0; n < N; ++n) {
    const double weight = dout * static_cast<double>(weights.data<T>()[n]);
    for (std::int64_t k = 0; k < K; ++k) {
      const double target = (k == labels.data<std::int32_t>()[n] ? 1 - smoothing : 0.0) +
                            smoothing / static_cast<double>(K);
      dlogits.data<T>()[n * K + k] =
          static_cast<T>(weight * (static_cast<double>(p.data<T>()[n * K + k]) - target));
    }
  }
  return dlogits;
}

template <class T>
Tensor loss_of(const Tensor& logits, const Tensor& labels, const Tensor& weights, double smoothing,
               const Tensor& p) {
  const Tensor value = Tensor::empty({}, logits.dtype());
  const Device on = ops::device_of(logits, labels, weights, p, value);
  if (on.is_cuda()) {
    const std::int64_t N = logits.size(0), K = logits.size(1);
    const Tensor losses = Tensor::empty({N}, DType::f64, on);
    cuda::table<cuda::CrossEntropy<T>>(on.cuda).forward(
        logits.data<T>(on), labels.data<std::int32_t>(on), weights.data<T>(on), N, K, smoothing,
        p.data<T>(on), losses.data<double>(on), value.data<T>(on));
  } else {
    value.fill(loss<T>(logits, labels, weights, smoothing, p));
  }
  return value;
}

template <class T>
Tensor gradient_of(const Tensor& p, const Tensor& labels, const Tensor& weights, double smoothing,
                   const Tensor& dout) {
  const Device on = ops::device_of(p, labels, weights, dout);
  if (!on.is_cuda()) return logits_gradient<T>(p, labels, weights, smoothing, dout.item());
  const Tensor dlogits = Tensor::empty(p.shape(), p.dtype(), on);
  cuda::table<cuda::CrossEntropy<T>>(on.cuda).backward(
      p.data<T>(on), labels.data<std::int32_t>(on), weights.data<T>(on), p.size(0), p.size(1),
      smoothing, dout.data<T>(on), dlogits.data<T>(on));
  return dlogits;
}

}  // namespace

Var softmax_cross_entropy(const Var& logits, const Tensor& labels, const Tensor& weights,
                          double smoothing) {
  ops::require_same_type(kName, logits.value(), weights);
  if (logits.value().rank() != 2 || logits.value().numel() == 0) {
    ops::fail(kName, "logits has shape " + logits.shape().text() +
                         ", expected (N,K) with at least one row and class");
  }
  ops::require_places(kName, "labels", labels, logits.size(0));
  ops::require_rows(kName, "labels", labels, logits.size(1));
  ops::require_shape(kName, "weights", weights, {logits.size(0)}, "one number a row of logits");
  if (!(smoothing >= 0 && smoothing <= 1)) ops::fail(kName, "smoothing must be in [0,1]");
  const Tensor y = labels.contiguous(), w = weights.contiguous();
  const Tensor p = Tensor::empty(logits.shape(), logits.dtype());
  return dispatch(logits.dtype(), kName, [&]<class T>() {
    const Tensor value = loss_of<T>(logits.value().contiguous(), y, w, smoothing, p);
    return ops::record(kName, value, {logits},
                       [p, y, w, smoothing](const Tensor& dout, Gradients& gradients) {
                         gradients.add(0, gradient_of<T>(p, y, w, smoothing, dout));
                       });
  });
}

}  // namespace holdfast
