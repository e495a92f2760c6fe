#include "tensor/view_pair.h"

#include "tensor/tensor.h"

namespace holdfast {

static_assert(ViewPair::kMaxRank == Shape::kMaxRank);

ViewPair view_pair(const Tensor& a, const Tensor& b) {
  ViewPair pair;
  std::size_t count = 0;
  for (int i = a.rank() - 1; i >= 0; --i) {
    if (a.size(i) == 1) continue;
    const ViewPair::Axis next{a.size(i), a.stride(i), b.stride(i)};
    if (count > 0) {
      ViewPair::Axis& last = pair.axes[count - 1];
      if (next.step_a == last.step_a * last.extent && next.step_b == last.step_b * last.extent) {
        last.extent *= next.extent;
        continue;
      }
    }
    pair.axes[count++] = next;
  }
  if (count > 0) pair.rank = count;
  return pair;
}

}  // namespace holdfast
