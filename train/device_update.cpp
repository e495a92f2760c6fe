#include "train/device_update.h"

#include <memory>
#include <numeric>

#include "tensor/cuda/runtime.h"
#include "tensor/storage.h"

namespace holdfast {
namespace {

template <class Item>
std::int64_t bytes_of(const std::vector<Item>& items) {
  return static_cast<std::int64_t>(items.size() * sizeof(Item));
}

// Numbers in the GPU's memory.
template <class Item>
class There {
 public:
  There(Device on, const std::vector<Item>& items) : memory_(bytes_of(items), on) {
    memory_.write(items.data(), bytes_of(items));
  }
  Item* get() const { return reinterpret_cast<Item*>(memory_.data(memory_.device())); }
  /// Waits.
  std::vector<Item> read(std::size_t count) const {
    const auto* first = reinterpret_cast<const Item*>(memory_.data());
    return {first, first + count};
  }

 private:
  Storage memory_;
};

}  // namespace

double sum_squares_on(Device on, const Tensor& x, std::span<const ArenaSpan> pieces) {
  std::vector<cuda::UpdatePiece> numbers;
  for (const ArenaSpan& piece : pieces) numbers.push_back({piece.begin, piece.end, 0, 0});
  const There<cuda::UpdatePiece> there(on, numbers);
  const There<double> sums(on, std::vector<double>(numbers.size()));
  dispatch(x.dtype(), "gradient norm", [&]<class T>() {
    cuda::table<cuda::UpdateAll<T>>(on.cuda).sum_squares(there.get(), std::ssize(numbers),
                                                         x.data<T>(on), sums.get());
  });
  const std::vector<double> all = sums.read(numbers.size());
  return std::accumulate(all.begin(), all.end(), 0.0);
}

template <class T>
std::vector<kernels::PullSums> adamw_on(Device on, const std::vector<cuda::UpdateRange<T>>& ranges,
                                        const std::vector<cuda::UpdatePiece>& pieces,
                                        const Tensor& theta, const Tensor& gradient,
                                        const Tensor& m, const Tensor& v) {
  const There<cuda::UpdateRange<T>> ranges_there(on, ranges);
  const There<cuda::UpdatePiece> pieces_there(on, pieces);
  const There<kernels::PullSums> sums(on, std::vector<kernels::PullSums>(pieces.size()));
  cuda::table<cuda::UpdateAll<T>>(on.cuda).adamw(
      ranges_there.get(), pieces_there.get(), std::ssize(pieces), theta.data<T>(on),
      gradient.data<T>(on), m.data<T>(on), v.data<T>(on), sums.get());
  return sums.read(pieces.size());
}

template std::vector<kernels::PullSums> adamw_on<float>(
    Device, const std::vector<cuda::UpdateRange<float>>&, const std::vector<cuda::UpdatePiece>&,
    const Tensor&, const Tensor&, const Tensor&, const Tensor&);
template std::vector<kernels::PullSums> adamw_on<double>(
    Device, const std::vector<cuda::UpdateRange<double>>&, const std::vector<cuda::UpdatePiece>&,
    const Tensor&, const Tensor&, const Tensor&, const Tensor&);

}  // namespace holdfast
