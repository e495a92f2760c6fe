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
  /// Waits. A copy, as pages that the host reads itself leave the GPU, which wants them back in the
  /// next step.
  std::vector<Item> read(std::size_t count) const {
    std::vector<Item> items(count);
    const int device = memory_.device().cuda;
    cuda::runtime()->copy(device, get(), items.data(), bytes_of(items));
    cuda::runtime()->wait(device);
    return items;
  }

 private:
  Storage memory_;
};

std::vector<cuda::UpdatePiece> numbered(std::span<const ArenaSpan> spans) {
  std::vector<cuda::UpdatePiece> pieces;
  for (const ArenaSpan& span : spans) pieces.push_back({span.begin, span.end, 0, 0});
  return pieces;
}

}  // namespace

double sum_squares_on(Device on, const Tensor& x, std::span<const ArenaSpan> pieces) {
  const std::vector<cuda::UpdatePiece> numbers = numbered(pieces);
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

namespace {

// Calls ask.operator()<T>(passes, list, sums) for one Sum a piece; what it has written there.
template <class Sum, class Ask>
std::vector<Sum> sums_on(Device on, const std::vector<cuda::UpdatePiece>& pieces, DType dtype,
                         const Ask& ask) {
  const There<cuda::UpdatePiece> there(on, pieces);
  const There<Sum> sums(on, std::vector<Sum>(pieces.size()));
  dispatch(dtype, "measures", [&]<class T>() {
    ask.template operator()<T>(cuda::table<cuda::Passes<T>>(on.cuda),
                               {there.get(), std::ssize(pieces)}, sums.get());
  });
  return sums.read(pieces.size());
}

}  // namespace

std::vector<kernels::Dots> dots_on(Device on, std::span<const ArenaSpan> pieces, const Tensor& x,
                                   const Tensor& y) {
  return sums_on<kernels::Dots>(
      on, numbered(pieces), x.dtype(),
      [&]<class T>(const cuda::Passes<T>& passes, const cuda::PieceList& list,
                   kernels::Dots* sums) { passes.dots(list, x.data<T>(on), y.data<T>(on), sums); });
}

void subtract_on(Device on, std::span<const ArenaSpan> pieces, double factor, const Tensor& y,
                 const Tensor& x) {
  const There<cuda::UpdatePiece> there(on, numbered(pieces));
  dispatch(x.dtype(), "measures", [&]<class T>() {
    cuda::table<cuda::Passes<T>>(on.cuda).subtract({there.get(), std::ssize(pieces)}, factor,
                                                   y.data<T>(on), x.data<T>(on));
  });
}

std::vector<double> squared_differences_on(Device on, const std::vector<cuda::UpdatePiece>& pieces,
                                           const Tensor& x, const Tensor& y) {
  return sums_on<double>(
      on, pieces, x.dtype(),
      [&]<class T>(const cuda::Passes<T>& passes, const cuda::PieceList& list, double* sums) {
        passes.squared_differences(list, x.data<T>(on), y.data<T>(on), sums);
      });
}

void pull_back_on(Device on, const std::vector<cuda::UpdatePiece>& pieces,
                  const std::vector<double>& factors, const Tensor& old, const Tensor& x) {
  const There<cuda::UpdatePiece> there(on, pieces);
  const There<double> factors_there(on, factors);
  dispatch(x.dtype(), "measures", [&]<class T>() {
    cuda::table<cuda::Passes<T>>(on.cuda).pull_back(
        {there.get(), std::ssize(pieces)}, factors_there.get(), old.data<T>(on), x.data<T>(on));
  });
}

std::int64_t clamp_on(Device on, const std::vector<cuda::UpdatePiece>& pieces, double max_drift,
                      const Storage& key, const Tensor& old, const Tensor& theta) {
  const auto* keys = reinterpret_cast<const std::uint8_t*>(key.data(on));
  const std::vector<std::int64_t> counts =
      sums_on<std::int64_t>(on, pieces, theta.dtype(),
                            [&]<class T>(const cuda::Passes<T>& passes, const cuda::PieceList& list,
                                         std::int64_t* at_bound) {
                              passes.clamp(list, static_cast<T>(max_drift), keys, old.data<T>(on),
                                           theta.data<T>(on), at_bound);
                            });
  return std::accumulate(counts.begin(), counts.end(), std::int64_t{0});
}

void mix_on(Device on, const kernels::DropoutMask& mask, const std::vector<cuda::MaskedRows>& rows,
            const Tensor& old, const Tensor& theta, const Tensor& aside) {
  const There<cuda::MaskedRows> there(on, rows);
  dispatch(theta.dtype(), "mixout", [&]<class T>() {
    cuda::table<cuda::Passes<T>>(on.cuda).mix(mask, there.get(), std::ssize(rows), old.data<T>(on),
                                              theta.data<T>(on), aside.data<T>(on));
  });
}

void unmix_on(Device on, const kernels::DropoutMask& mask,
              const std::vector<cuda::MaskedRows>& rows, const Tensor& aside, const Tensor& theta,
              const Tensor& gradient) {
  const There<cuda::MaskedRows> there(on, rows);
  dispatch(theta.dtype(), "mixout", [&]<class T>() {
    cuda::table<cuda::Passes<T>>(on.cuda).unmix(mask, there.get(), std::ssize(rows),
                                                aside.data<T>(on), theta.data<T>(on),
                                                gradient.data<T>(on));
  });
}

void add_normalised_on(Device on, const Tensor& x, double factor, double divisor,
                       const Tensor& sum) {
  dispatch(x.dtype(), "importance", [&]<class T>() {
    cuda::table<cuda::Passes<T>>(on.cuda).add_normalised(factor, divisor, x.data<T>(on), x.numel(),
                                                         sum.data<T>(on));
  });
}

std::vector<kernels::DriftSums> drift_on(Device on, const std::vector<cuda::UpdatePiece>& pieces,
                                         double limit, const Tensor& now, const Tensor& old) {
  return sums_on<kernels::DriftSums>(
      on, pieces, now.dtype(),
      [&]<class T>(const cuda::Passes<T>& passes, const cuda::PieceList& list,
                   kernels::DriftSums* sums) {
        passes.drift(list, limit, now.data<T>(on), old.data<T>(on), sums);
      });
}

std::vector<cuda::ImportanceSums> importance_sums_on(Device on, std::span<const ArenaSpan> pieces,
                                                     const Tensor& x) {
  return sums_on<cuda::ImportanceSums>(
      on, numbered(pieces), x.dtype(),
      [&]<class T>(const cuda::Passes<T>& passes, const cuda::PieceList& list,
                   cuda::ImportanceSums* sums) {
        passes.importance_sums(list, x.data<T>(on), sums);
      });
}

template std::vector<kernels::PullSums> adamw_on<float>(
    Device, const std::vector<cuda::UpdateRange<float>>&, const std::vector<cuda::UpdatePiece>&,
    const Tensor&, const Tensor&, const Tensor&, const Tensor&);
template std::vector<kernels::PullSums> adamw_on<double>(
    Device, const std::vector<cuda::UpdateRange<double>>&, const std::vector<cuda::UpdatePiece>&,
    const Tensor&, const Tensor&, const Tensor&, const Tensor&);

}  // namespace holdfast
