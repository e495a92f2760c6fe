#include "train/device_per_sample.h"

#include <algorithm>

#include "autograd/ops/sums.h"
#include "tensor/cuda/runtime.h"

namespace holdfast {
namespace {

Tensor there(Device on, const std::vector<std::int32_t>& numbers) {
  return Tensor::from(numbers, {std::ssize(numbers)}, on);
}

Tensor there(Device on, const SampleOffsets& offsets) {
  return there(on, std::vector<std::int32_t>(offsets.begin(), offsets.end()));
}

cuda::Samples samples_of(Device on, const Tensor& offsets) {
  return {offsets.data<std::int32_t>(on), offsets.numel() - 1};
}

bool squares(SumOf what) { return what == SumOf::squares; }

}  // namespace

void add_products_on(Device on, const SampleOffsets& offsets, SumOf what, const Tensor& delta,
                     const Tensor& x, const Tensor& sums) {
  const Tensor starts = there(on, offsets);
  dispatch(x.dtype(), "per-sample sums", [&]<class T>() {
    cuda::table<cuda::PerSample<T>>(on.cuda).products(
        samples_of(on, starts), squares(what), delta.data<T>(on), delta.size(1), x.data<T>(on),
        x.size(1), sums.data<double>(on));
  });
}

void add_columns_on(Device on, const SampleOffsets& offsets, const Tensor& a, const Tensor& b,
                    const Tensor& gradients) {
  const Tensor starts = there(on, offsets);
  dispatch(a.dtype(), "per-sample sums", [&]<class T>() {
    cuda::table<cuda::PerSample<T>>(on.cuda).columns(samples_of(on, starts), a.data<T>(on),
                                                     b.defined() ? b.data<T>(on) : nullptr,
                                                     a.size(1), gradients.data<T>(on));
  });
}

void add_magnitudes_on(Device on, SumOf what, const Tensor& gradients, const Tensor& sums) {
  dispatch(gradients.dtype(), "per-sample sums", [&]<class T>() {
    cuda::table<cuda::PerSample<T>>(on.cuda).magnitudes(gradients.data<T>(on), gradients.size(0),
                                                        gradients.size(1), squares(what),
                                                        sums.data<double>(on));
  });
}

// Sorted by row of the table, then by place, and so by sample.
void add_lookups_on(Device on, const SampleOffsets& offsets, SumOf what, const Tensor& ids,
                    const Tensor& delta, const Tensor& sums) {
  const auto rows = ids.read<std::int32_t>();
  std::vector<std::int32_t> samples(rows.size());
  for (std::size_t n = 0; n + 1 < offsets.size(); ++n) {
    std::fill(samples.begin() + offsets[n], samples.begin() + offsets[n + 1],
              static_cast<std::int32_t>(n));
  }
  const ops::RowRuns sorted = ops::row_runs(rows, sums.numel() / delta.size(1));
  const std::int64_t runs = std::ssize(sorted.starts) - 1;
  const Tensor rows_there = there(on, std::vector<std::int32_t>(rows.begin(), rows.end())),
               order_there = there(on, sorted.order), starts_there = there(on, sorted.starts),
               samples_there = there(on, samples);
  dispatch(delta.dtype(), "per-sample sums", [&]<class T>() {
    cuda::table<cuda::PerSample<T>>(on.cuda).rows(
        {rows_there.data<std::int32_t>(on), order_there.data<std::int32_t>(on),
         starts_there.data<std::int32_t>(on), runs},
        samples_there.data<std::int32_t>(on), squares(what), delta.data<T>(on), delta.size(1),
        sums.data<double>(on));
  });
}

}  // namespace holdfast
