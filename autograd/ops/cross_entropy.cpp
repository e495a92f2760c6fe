#include "autograd/ops/op.h"

namespace holdfast {

// -1/N sum_n log softmax(logits)[n, labels[n]], from elementary operations: the picked elements are
// rows of the log probabilities seen as a column (N K, 1).
Var cross_entropy(const Var& logits, const Tensor& labels) {
  ops::require_float("cross_entropy", logits.value());
  if (logits.value().rank() != 2 || labels.rank() != 1 || logits.size(0) != labels.size(0)) {
    ops::fail("cross_entropy", "logits " + logits.shape().text() + " and labels " +
                                   labels.shape().text() + ", expected (N,K) and (N)");
  }
  const std::int64_t N = logits.size(0), K = logits.size(1);
  ops::require_rows("cross_entropy", "labels", labels, K);
  if (N == 0) ops::fail("cross_entropy", "no rows: the mean of nothing is undefined");
  if (N * K > INT32_MAX)
    ops::fail("cross_entropy", "more than 2^31-1 logits " + logits.shape().text());
  const Tensor picked = Tensor::empty({N}, DType::i32);
  const Tensor chosen = labels.contiguous();
  for (std::int64_t n = 0; n < N; ++n) {
    picked.data<std::int32_t>()[n] =
        static_cast<std::int32_t>(n * K) + chosen.read<std::int32_t>()[static_cast<std::size_t>(n)];
  }
  return scale(mean(gather(reshape(log_softmax(logits), {N * K, 1}), picked)), -1.0);
}

}  // namespace holdfast
