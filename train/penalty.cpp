#include "train/penalty.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <vector>

#include "base/elementary.h"
#include "base/parallel.h"
#include "tensor/kernels/dispatch.h"
#include "tensor/kernels/update.h"
#include "train/names.h"

namespace holdfast {
namespace {

void check_same(const Tensor& a, const Tensor& b, const char* what) {
  if (a.shape() != b.shape() || a.dtype() != b.dtype()) {
    throw std::invalid_argument(fmt::format("[ewc] {} is {} {}, the model {} {}", what,
                                            name_of(a.dtype()), a.shape().text(),
                                            name_of(b.dtype()), b.shape().text()));
  }
}

// Where x is not zero, in whole groups of 128: a third of a word of 384 channels.
template <class T>
std::vector<ArenaSpan> nonzero_spans(std::span<const T> x) {
  constexpr std::size_t kGroup = 128;
  std::vector<ArenaSpan> spans;
  for (std::size_t begin = 0; begin < x.size(); begin += kGroup) {
    const std::size_t end = std::min(begin + kGroup, x.size());
    if (std::all_of(&x[begin], &x[begin] + (end - begin), [](T value) { return value == 0; }))
      continue;
    append_span(spans, {static_cast<std::int64_t>(begin), static_cast<std::int64_t>(end)});
  }
  return spans;
}

}  // namespace

EwcPenalty::EwcPenalty(double lambda, const ParameterArena& theta_old)
    : lambda_(lambda),
      slices_(theta_old.slices()),
      importance_(Tensor::zeros(theta_old.values().shape(), theta_old.dtype())),
      anchor_(theta_old.values().clone()) {
  if (!(lambda >= 0) || !std::isfinite(lambda)) {
    throw std::invalid_argument(
        fmt::format("[ewc] lambda is {}, it must be finite and at least 0", lambda));
  }
}

ImportanceScale EwcPenalty::add(const Tensor& fisher, Normalization normalization, double factor) {
  check_same(fisher, importance_, "importance");
  if (!(factor >= 0) || !std::isfinite(factor)) {
    throw std::invalid_argument(
        fmt::format("[ewc] a task's factor is {}, it must be finite and at least 0", factor));
  }
  const ImportanceScale scale = add_normalised(fisher, slices_, normalization, factor, importance_);
  // An update on a GPU takes whole ranges; looking for zeros would move the importance here.
  const ArenaSpan whole{0, importance_.numel()};
  held_ = importance_.device().is_cuda() ? std::vector{whole}
                                         : dispatch(importance_.dtype(), "ewc", [&]<class T>() {
                                             return nonzero_spans<T>(importance_.span<T>());
                                           });
  return scale;
}

double EwcPenalty::value(const Tensor& theta) const {
  check_same(theta, anchor_, "theta");
  std::vector<double> partial(static_cast<std::size_t>((theta.numel() + kPiece - 1) / kPiece), 0);
  dispatch(theta.dtype(), "ewc", [&]<class T>() {
    const auto& kernels = kernels::best<kernels::Update<T>>();
    parallel_for(theta.numel(), kPiece, [&](std::int64_t begin, std::int64_t end) {
      partial[static_cast<std::size_t>(begin / kPiece)] =
          kernels.sum_weighted_squares(importance_.data<T>() + begin, theta.data<T>() + begin,
                                       anchor_.data<T>() + begin, end - begin);
    });
  });
  double sum = 0;
  for (const double x : partial) sum += x;
  return lambda_ * sum;
}

void EwcPenalty::add_gradient(const Tensor& theta, const Tensor& gradient) const {
  check_same(theta, anchor_, "theta");
  check_same(gradient, anchor_, "gradient");
  dispatch(theta.dtype(), "ewc", [&]<class T>() {
    const auto& kernels = kernels::best<kernels::Update<T>>();
    parallel_for(theta.numel(), kPiece, [&](std::int64_t begin, std::int64_t end) {
      kernels.add_weighted_difference(2 * lambda_, importance_.data<T>() + begin,
                                      theta.data<T>() + begin, anchor_.data<T>() + begin,
                                      gradient.data<T>() + begin, end - begin);
    });
  });
}

namespace {

constexpr std::array kCouplings = {std::pair{Coupling::coupled, "coupled"},
                                   std::pair{Coupling::decoupled, "decoupled"}};
constexpr std::array kTargets = {std::pair{L2Target::old, "old"},
                                 std::pair{L2Target::zero, "zero"}};

}  // namespace

std::string_view name_of(Coupling coupling) { return name_in(kCouplings, coupling); }
Coupling parse_coupling(std::string_view name) { return parse_in(kCouplings, "coupling", name); }
std::string_view name_of(L2Target target) { return name_in(kTargets, target); }
L2Target parse_l2_target(std::string_view name) { return parse_in(kTargets, "L2 target", name); }

double RecAdam::task_share(std::int64_t step) const {
  return weight / (1 + elementary::exp(-slope * (static_cast<double>(step) - midpoint)));
}

double RecAdam::keep(double rate, std::int64_t step) const {
  return 1 - rate * (weight - task_share(step)) * pull;
}

void RecAdam::check(double largest_rate) const {
  if (!(weight > 0) || !(slope >= 0) || !(pull >= 0) || !std::isfinite(weight) ||
      !std::isfinite(slope) || !std::isfinite(pull) || !std::isfinite(midpoint)) {
    throw std::invalid_argument(
        fmt::format("[recadam] weight {}, slope {}, pull {}, midpoint {}: the weight must be above "
                    "0, slope and pull at least 0, and all finite",
                    weight, slope, pull, midpoint));
  }
  if (!(largest_rate * pull * weight < 2)) {
    throw std::invalid_argument(fmt::format(
        "[recadam] learning rate {} with a pull of {}: weights would be thrown past the "
        "old ones and away; the rate must stay below {}",
        largest_rate, pull, 2 / (pull * weight)));
  }
}

}  // namespace holdfast
