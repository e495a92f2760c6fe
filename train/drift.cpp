#include "train/drift.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <stdexcept>

#include "autograd/ops/op.h"
#include "base/parallel.h"
#include "tensor/kernels/element.h"
#include "train/device_update.h"

namespace holdfast {
namespace {

using Pieces = std::vector<cuda::UpdatePiece>;  // range: number of the tensor

std::vector<kernels::DriftSums> sum_pieces(const Pieces& pieces, double limit, const Tensor& now,
                                           const Tensor& old) {
  std::vector<kernels::DriftSums> sums(pieces.size());
  dispatch(now.dtype(), "drift", [&]<class T>() {
    const T *x = now.data<T>(), *before = old.data<T>();
    parallel_for(std::ssize(pieces), 1, [&](std::int64_t p, std::int64_t) {
      const cuda::UpdatePiece& piece = pieces[static_cast<std::size_t>(p)];
      kernels::DriftSums own;
      for (std::int64_t i = piece.begin; i < piece.end; ++i)
        own.add(x[i], before[i - piece.range_begin], limit);
      sums[static_cast<std::size_t>(p)] = own;
    });
  });
  return sums;
}

}  // namespace

std::vector<TensorDrift> measure_tensor_drift(const ParameterArena& now, const ParameterArena& old,
                                              double limit) {
  if (now.dtype() != old.dtype()) {
    throw std::invalid_argument("[drift] the models are " + std::string(name_of(now.dtype())) +
                                " and " + std::string(name_of(old.dtype())));
  }
  std::vector<TensorDrift> drift;
  Pieces pieces;
  for (const NamedSlice& slice : now.slices()) {
    const NamedSlice* before = old.find(slice.name);
    if (before == nullptr || before->shape != slice.shape) continue;
    const ArenaSpan whole{slice.offset, slice.offset + slice.size};
    for (const auto& [begin, end] : pieces_of({&whole, 1}))
      pieces.push_back({begin, end, std::ssize(drift), slice.offset - before->offset});
    drift.push_back({slice.name, slice.layer, slice.size});
  }
  const Device on = ops::device_of(now.values(), old.values());
  const std::vector<kernels::DriftSums> sums =
      on.is_cuda() ? drift_on(on, pieces, limit, now.values(), old.values())
                   : sum_pieces(pieces, limit, now.values(), old.values());
  for (std::size_t p = 0; p < pieces.size(); ++p) {
    TensorDrift& tensor = drift[static_cast<std::size_t>(pieces[p].range)];
    tensor.moved += sums[p].moved;
    tensor.norm += sums[p].norm;
    tensor.largest = std::max(tensor.largest, sums[p].largest);
    tensor.beyond += sums[p].beyond;
  }
  for (TensorDrift& tensor : drift) {
    tensor.moved = std::sqrt(tensor.moved);
    tensor.norm = std::sqrt(tensor.norm);
  }
  return drift;
}

}  // namespace holdfast
