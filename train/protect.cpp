#include "train/protect.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <iterator>
#include <numeric>
#include <stdexcept>

#include "autograd/ops/op.h"
#include "base/parallel.h"
#include "tensor/kernels/dispatch.h"
#include "tensor/kernels/element.h"
#include "tensor/kernels/update.h"
#include "train/device_update.h"
#include "train/names.h"

namespace holdfast {
namespace {

constexpr std::array kModes = {std::pair{ProtectMode::clamp, "clamp"},
                               std::pair{ProtectMode::freeze, "freeze"}};
constexpr std::array kUnits = {std::pair{ProtectUnit::weight, "weight"},
                               std::pair{ProtectUnit::neuron, "neuron"}};
constexpr std::array kBounds = {std::pair{ProtectBound::weight, "weight"},
                                std::pair{ProtectBound::tensor, "tensor"}};

bool is_protected(const ParameterArena& arena, const NamedSlice& slice, bool adapter) {
  return slice.task.empty() && (adapter || !slice.adapter) && arena.trainable(slice);
}

// 1 at the highest scores within `spans` that are above 0, `fraction` of all there are at most; of
// equal scores at the first ones.
template <class T>
std::vector<std::uint8_t> mark_highest(std::span<const T> scores, std::span<const ArenaSpan> spans,
                                       double fraction) {
  std::vector<std::uint8_t> marks(scores.size(), 0);
  const auto all = static_cast<double>(element_count(spans));
  auto count = static_cast<std::size_t>(std::llround(fraction * all));
  std::vector<T> positive;
  for (const auto& [begin, end] : spans) {
    std::copy_if(scores.begin() + begin, scores.begin() + end, std::back_inserter(positive),
                 [](T score) { return score > 0; });
  }
  count = std::min(count, positive.size());
  if (count == 0) return marks;
  const auto last = positive.begin() + static_cast<std::ptrdiff_t>(count) - 1;
  std::nth_element(positive.begin(), last, positive.end(), std::greater<T>());
  const T lowest = *last;
  const auto above = std::count_if(positive.begin(), last, [=](T score) { return score > lowest; });
  std::size_t ties = count - static_cast<std::size_t>(above);
  for (const auto& [begin, end] : spans) {
    for (auto i = static_cast<std::size_t>(begin); i < static_cast<std::size_t>(end); ++i) {
      const bool tied = scores[i] == lowest && ties > 0;
      if (tied) --ties;
      marks[i] = tied || scores[i] > lowest;
    }
  }
  return marks;
}

// Weights [first, first + size) of a row, and its bias where there is one.
struct Neuron {
  std::int64_t first, size;
  std::int64_t bias = -1;
};

std::vector<Neuron> neurons_of(const ParameterArena& arena, bool adapter) {
  constexpr std::string_view kWeight = "weight", kBias = "bias";
  std::vector<Neuron> neurons;
  for (const NamedSlice& slice : arena.slices()) {
    if (!is_protected(arena, slice, adapter) || slice.name.ends_with(kBias)) continue;
    const NamedSlice* bias = nullptr;
    if (slice.name.ends_with(kWeight)) {
      const std::string stem = slice.name.substr(0, slice.name.size() - kWeight.size());
      bias = arena.find(stem + std::string(kBias));
    }
    const std::int64_t rows = slice.shape[0], width = slice.size / rows;
    for (std::int64_t r = 0; r < rows; ++r) {
      neurons.push_back({slice.offset + r * width, width, bias ? bias->offset + r : -1});
    }
  }
  return neurons;
}

template <class T>
std::vector<std::uint8_t> key_neurons(const ParameterArena& arena, std::span<const T> importance,
                                      double fraction, bool adapter) {
  const std::vector<Neuron> neurons = neurons_of(arena, adapter);
  std::vector<double> scores;
  for (const auto& [first, size, bias] : neurons) {
    double sum = bias < 0 ? 0.0 : static_cast<double>(importance[bias]);
    for (std::int64_t i = first; i < first + size; ++i) sum += static_cast<double>(importance[i]);
    scores.push_back(sum / static_cast<double>(size + (bias < 0 ? 0 : 1)));
  }
  const ArenaSpan all{0, static_cast<std::int64_t>(scores.size())};
  const std::vector<std::uint8_t> chosen = mark_highest<double>(scores, {&all, 1}, fraction);
  std::vector<std::uint8_t> key(static_cast<std::size_t>(arena.numel()), 0);
  for (std::size_t n = 0; n < neurons.size(); ++n) {
    const auto& [first, size, bias] = neurons[n];
    if (chosen[n] == 0) continue;
    std::fill_n(key.begin() + first, size, std::uint8_t{1});
    if (bias >= 0) key[static_cast<std::size_t>(bias)] = 1;
  }
  return key;
}

// The largest T whose rounded product with any weight is not above max_drift times it.
template <class T>
T rounded_down(double max_drift) {
  T rounded = static_cast<T>(max_drift);
  if (static_cast<double>(rounded) > max_drift) rounded = std::nextafter(rounded, T{0});
  return std::nextafter(rounded, T{0});
}

// Cuts key weights to their bounds; how many were there or beyond.
template <class T>
std::int32_t clamp_piece(const cuda::UpdatePiece& piece, T max_drift,
                         const std::uint8_t* __restrict key, const T* __restrict old,
                         T* __restrict theta) {
  std::int32_t at_bound = 0;
  for (std::int64_t i = piece.begin; i < piece.end; ++i) {
    const auto [value, count] = kernels::bounded(theta[i], old[i], max_drift, key[i]);
    theta[i] = value;
    at_bound += count;
  }
  return at_bound;
}

using Pieces = std::vector<cuda::UpdatePiece>;

template <class Body>
void for_each_piece(const Pieces& pieces, const Body& body) {
  parallel_for(std::ssize(pieces), 1, [&](std::int64_t p, std::int64_t) {
    body(static_cast<std::size_t>(p), pieces[static_cast<std::size_t>(p)]);
  });
}

template <class T>
std::int64_t clamp_here(const Pieces& pieces, T max_drift, std::span<const std::uint8_t> key,
                        const T* old, T* theta) {
  std::vector<std::int64_t> counts(pieces.size());
  for_each_piece(pieces, [&](std::size_t p, const cuda::UpdatePiece& piece) {
    counts[p] = clamp_piece(piece, max_drift, key.data(), old, theta);
  });
  return std::accumulate(counts.begin(), counts.end(), std::int64_t{0});
}

// sum (x - y)^2 of every piece
std::vector<double> squared_differences(const Pieces& pieces, const Tensor& x, const Tensor& y) {
  std::vector<double> sums(pieces.size());
  dispatch(x.dtype(), "protect", [&]<class T>() {
    const auto& kernels = kernels::best<kernels::Update<T>>();
    for_each_piece(pieces, [&](std::size_t p, const cuda::UpdatePiece& piece) {
      sums[p] = kernels.sum_squared_differences(x.data<T>() + piece.begin,
                                                y.data<T>() + piece.begin, piece.end - piece.begin);
    });
  });
  return sums;
}

// theta = old + the tensor's factor (theta - old)
void pull_back(const Pieces& pieces, const std::vector<double>& factors, const Tensor& old,
               const Tensor& theta) {
  dispatch(theta.dtype(), "protect", [&]<class T>() {
    const T* middle = old.data<T>();
    T* x = theta.data<T>();
    for_each_piece(pieces, [&](std::size_t, const cuda::UpdatePiece& piece) {
      const double factor = factors[static_cast<std::size_t>(piece.range)];
      if (factor == 1) return;
      for (std::int64_t i = piece.begin; i < piece.end; ++i)
        x[i] = kernels::pulled_back(x[i], factor, middle[i]);
    });
  });
}

}  // namespace

std::string_view name_of(ProtectMode mode) { return name_in(kModes, mode); }
std::string_view name_of(ProtectUnit unit) { return name_in(kUnits, unit); }
std::string_view name_of(ProtectBound bound) { return name_in(kBounds, bound); }
ProtectMode parse_protect_mode(std::string_view name) { return parse_in(kModes, "mode", name); }
ProtectUnit parse_protect_unit(std::string_view name) { return parse_in(kUnits, "unit", name); }
ProtectBound parse_protect_bound(std::string_view name) { return parse_in(kBounds, "bound", name); }

Protection::Protection(const ParameterArena& arena, Tensor theta_old, const Tensor* importance,
                       const ProtectOptions& options)
    : options_(options), old_(std::move(theta_old)) {
  if (!(options.key_fraction > 0 && options.key_fraction <= 1) || !(options.max_drift >= 0) ||
      !std::isfinite(options.max_drift)) {
    throw std::invalid_argument(
        fmt::format("[protect] key_fraction {} must be in (0, 1] and max_drift {} at least 0",
                    options.key_fraction, options.max_drift));
  }
  const auto fits = [&](const Tensor& x) {
    return x.shape() == arena.values().shape() && x.dtype() == arena.dtype();
  };
  if (!fits(old_) || (importance != nullptr && !fits(*importance))) {
    throw std::invalid_argument("[protect] old weights and importance must be " +
                                std::string(name_of(arena.dtype())) + " " +
                                arena.values().shape().text() + " as the model");
  }
  if (options.bound == ProtectBound::tensor) {
    if (options.mode == ProtectMode::freeze) {
      throw std::invalid_argument("[protect] bound \"tensor\" needs mode \"clamp\"");
    }
    list_tensors(arena);
  } else {
    if (importance == nullptr) {
      throw std::invalid_argument("[protect] key weights are chosen by importance: there is none");
    }
    choose_keys(arena, *importance);
  }
}

void Protection::choose_keys(const ParameterArena& arena, const Tensor& importance) {
  const std::vector<ArenaSpan> shared = spans_of(
      arena, [&](const NamedSlice& slice) { return is_protected(arena, slice, options_.adapter); });
  std::vector<std::uint8_t> key;
  dispatch(old_.dtype(), "protect", [&]<class T>() {
    const std::span<const T> F = importance.span<T>();
    key = options_.unit == ProtectUnit::weight
              ? mark_highest<T>(F, shared, options_.key_fraction)
              : key_neurons<T>(arena, F, options_.key_fraction, options_.adapter);
  });
  for (const ArenaSpan& piece : pieces_of(shared)) {
    const auto count = std::count(key.begin() + piece.begin, key.begin() + piece.end, 1);
    if (count > 0) pieces_.push_back({piece.begin, piece.end, 0, 0});
    protected_ += count;
  }
  if (protected_ == 0) {
    throw std::invalid_argument("[protect] importance is zero everywhere: there is no key weight");
  }
  key_ = std::make_shared<Storage>(std::ssize(key), old_.device());
  std::memcpy(key_->data(), key.data(), key.size());
}

void Protection::list_tensors(const ParameterArena& arena) {
  for (const NamedSlice& slice : arena.slices()) {
    if (!is_protected(arena, slice, options_.adapter)) continue;
    const ArenaSpan whole{slice.offset, slice.offset + slice.size};
    double squares = 0;
    for (const ArenaSpan& piece : pieces_of({&whole, 1})) {
      pieces_.push_back({piece.begin, piece.end, std::ssize(norms_), 0});
      dispatch(old_.dtype(), "protect", [&]<class T>() {
        squares += kernels::best<kernels::Update<T>>().sum_squares(old_.data<T>() + piece.begin,
                                                                   piece.size());
      });
    }
    norms_.push_back(std::sqrt(squares));
    protected_ += slice.size;
  }
}

void Protection::apply(const Tensor& theta) {
  if (theta.shape() != old_.shape() || theta.dtype() != old_.dtype()) {
    throw std::invalid_argument("[protect] theta is " + theta.shape().text() +
                                ", the old weights are " + old_.shape().text());
  }
  if (options_.bound == ProtectBound::weight) {
    clamp(theta);
  } else {
    scale(theta);
  }
}

std::span<const std::uint8_t> Protection::key() const {
  if (!key_) return {};
  return {reinterpret_cast<const std::uint8_t*>(key_->data()),
          static_cast<std::size_t>(key_->bytes())};
}

void Protection::clamp(const Tensor& theta) {
  const double max_drift = options_.mode == ProtectMode::freeze ? 0 : options_.max_drift;
  const Device on = ops::device_of(theta, old_);
  dispatch(theta.dtype(), "protect", [&]<class T>() {
    const T reach = rounded_down<T>(max_drift);
    at_bound_ = on.is_cuda() ? clamp_on(on, pieces_, static_cast<double>(reach), *key_, old_, theta)
                             : clamp_here(pieces_, reach, key(), old_.data<T>(), theta.data<T>());
  });
}

void Protection::scale(const Tensor& theta) {
  const Device on = ops::device_of(theta, old_);
  const std::vector<double> partial = on.is_cuda()
                                          ? squared_differences_on(on, pieces_, theta, old_)
                                          : squared_differences(pieces_, theta, old_);
  std::vector<double> factors(norms_.size(), 0);
  for (std::size_t p = 0; p < pieces_.size(); ++p)
    factors[static_cast<std::size_t>(pieces_[p].range)] += partial[p];
  at_bound_ = 0;
  for (std::size_t t = 0; t < norms_.size(); ++t) {
    const double drift = std::sqrt(factors[t]), bound = options_.max_drift * norms_[t];
    at_bound_ += drift >= bound;
    factors[t] = drift > bound ? bound / drift : 1;
  }
  if (std::ranges::all_of(factors, [](double factor) { return factor == 1; })) return;
  on.is_cuda() ? pull_back_on(on, pieces_, factors, old_, theta)
               : pull_back(pieces_, factors, old_, theta);
}

}  // namespace holdfast
