#include "train/drift.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "base/parallel.h"
#include "train/spans.h"

namespace holdfast {
namespace {

struct Sums {
  double moved = 0, norm = 0, largest = 0;
  std::int64_t beyond = 0;
};

template <class T>
Sums sum_piece(const T* now, const T* old, std::int64_t n, double limit) {
  Sums sums;
  for (std::int64_t i = 0; i < n; ++i) {
    const double before = static_cast<double>(old[i]);
    const double d = std::abs(static_cast<double>(now[i]) - before);
    sums.moved += d * d;
    sums.norm += before * before;
    sums.largest = std::max(sums.largest, d);
    sums.beyond += d > limit * std::abs(before);
  }
  return sums;
}

template <class T>
Sums sum_slice(const T* now, const T* old, std::int64_t n, double limit) {
  std::vector<Sums> partial(static_cast<std::size_t>((n + kPiece - 1) / kPiece));
  parallel_for(n, kPiece, [&](std::int64_t begin, std::int64_t end) {
    partial[static_cast<std::size_t>(begin / kPiece)] =
        sum_piece(now + begin, old + begin, end - begin, limit);
  });
  Sums sums;
  for (const Sums& piece : partial) {
    sums.moved += piece.moved;
    sums.norm += piece.norm;
    sums.largest = std::max(sums.largest, piece.largest);
    sums.beyond += piece.beyond;
  }
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
  for (const NamedSlice& slice : now.slices()) {
    const NamedSlice* before = old.find(slice.name);
    if (before == nullptr || before->shape != slice.shape) continue;
    dispatch(now.dtype(), "drift", [&]<class T>() {
      const Sums sums = sum_slice(now.values().data<T>() + slice.offset,
                                  old.values().data<T>() + before->offset, slice.size, limit);
      drift.push_back({slice.name, slice.layer, slice.size, std::sqrt(sums.moved),
                       std::sqrt(sums.norm), sums.largest, sums.beyond});
    });
  }
  return drift;
}

}  // namespace holdfast
