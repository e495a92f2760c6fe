#include "train/optimizer.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "base/parallel.h"
#include "tensor/kernels/dispatch.h"
#include "tensor/kernels/update.h"

namespace holdfast {
namespace {

constexpr std::int64_t kChunk = 1 << 14;  // elements a unit of parallel work and of summation

}  // namespace

std::vector<UpdateRange> update_ranges(const ParameterArena& arena,
                                       std::span<const double> layer_rates, double weight_decay,
                                       std::string_view new_task) {
  std::vector<UpdateRange> ranges;
  for (const NamedSlice& slice : arena.slices()) {
    const std::size_t layer = layer_rates.size() == 1 ? 0 : static_cast<std::size_t>(slice.layer);
    if (layer >= layer_rates.size()) {
      throw std::invalid_argument(
          fmt::format("[optimizer] {} is in layer {}, but there are {} learning rates", slice.name,
                      slice.layer, layer_rates.size()));
    }
    const UpdateRange range{slice.offset, slice.offset + slice.size, layer_rates[layer],
                            slice.decay ? weight_decay : 0.0,
                            slice.task.empty() || slice.task != new_task};
    if (!ranges.empty() && ranges.back().end == range.begin &&
        ranges.back().learning_rate == range.learning_rate &&
        ranges.back().weight_decay == range.weight_decay &&
        ranges.back().anchored == range.anchored) {
      ranges.back().end = range.end;
    } else {
      ranges.push_back(range);
    }
  }
  return ranges;
}

double gradient_norm(const Tensor& gradient) {
  std::vector<double> partial(static_cast<std::size_t>((gradient.numel() + kChunk - 1) / kChunk),
                              0);
  dispatch(gradient.dtype(), "gradient norm", [&]<class T>() {
    const auto& kernels = kernels::best<kernels::Update<T>>();
    const T* g = gradient.span<T>().data();
    parallel_for(gradient.numel(), kChunk, [&](std::int64_t begin, std::int64_t end) {
      partial[static_cast<std::size_t>(begin / kChunk)] =
          kernels.sum_squares(g + begin, end - begin);
    });
  });
  double sum = 0;
  for (const double x : partial) sum += x;
  return std::sqrt(sum);
}

double clip_factor(double norm, double max_norm) {
  return max_norm == 0 ? 1.0 : std::min(1.0, max_norm / (norm + 1e-6));
}

AdamW::AdamW(std::int64_t numel, DType dtype, std::vector<UpdateRange> ranges,
             const AdamWOptions& options)
    : ranges_(std::move(ranges)),
      options_(options),
      m_(Tensor::zeros({numel}, dtype)),
      v_(Tensor::zeros({numel}, dtype)) {
  const auto is_beta = [](double beta) { return beta >= 0 && beta < 1; };
  if (!is_beta(options.beta1) || !is_beta(options.beta2) || !(options.epsilon > 0)) {
    throw std::invalid_argument("[adamw] betas must be in [0, 1) and epsilon above 0");
  }
  std::int64_t before = 0;
  for (std::size_t r = 0; r < ranges_.size(); ++r) {
    if (ranges_[r].begin < before || ranges_[r].end <= ranges_[r].begin || ranges_[r].end > numel) {
      throw std::invalid_argument(
          fmt::format("[adamw] range {} [{}, {}) is empty, out of order or beyond {} elements", r,
                      ranges_[r].begin, ranges_[r].end, numel));
    }
    before = ranges_[r].end;
    for (std::int64_t begin = ranges_[r].begin; begin < before; begin += kChunk) {
      chunks_.push_back({begin, std::min(before, begin + kChunk), r});
    }
  }
}

namespace {

const Tensor* anchor_of(const Pull& pull) {
  return pull.ewc != nullptr ? &pull.ewc->anchor() : pull.anchor;
}

// What pulls the elements of `range` from `begin` on; neither importance nor l2 where nothing does.
template <class T>
kernels::PullSpans<T> pull_on(const UpdateRange& range, std::int64_t begin, const Pull& pull) {
  kernels::PullSpans<T> spans;
  if (const Tensor* anchor = anchor_of(pull)) spans.anchor = anchor->data<T>() + begin;
  if (pull.ewc != nullptr && pull.ewc->lambda() != 0) {
    spans.importance = pull.ewc->importance().data<T>() + begin;
    spans.lambda = pull.ewc->lambda();
  }
  spans.l2_to_anchor = pull.l2.toward == L2Target::old;
  if (range.anchored || !spans.l2_to_anchor) spans.l2 = pull.l2.weight;
  return spans;
}

}  // namespace

UpdateSums AdamW::step(const Tensor& theta, const Tensor& gradient, double rate_factor, double clip,
                       const Pull& pull) {
  const Tensor* anchor = anchor_of(pull);
  if (theta.shape() != m_.shape() || gradient.shape() != m_.shape() ||
      (anchor != nullptr && anchor->shape() != m_.shape())) {
    throw std::invalid_argument("[adamw] theta " + theta.shape().text() + ", gradient " +
                                gradient.shape().text() +
                                " and anchor must have the arena's shape " + m_.shape().text());
  }
  if (pull.l2.weight != 0 && pull.l2.toward == L2Target::old && anchor == nullptr) {
    throw std::invalid_argument("[adamw] L2 toward the old weights needs them as anchor");
  }
  ++steps_;
  std::vector<kernels::PullSums> partial(chunks_.size());
  dispatch(m_.dtype(), "adamw", [&]<class T>() {
    const auto& kernels = kernels::best<kernels::Update<T>>();
    parallel_for(static_cast<std::int64_t>(chunks_.size()), 1, [&](std::int64_t c, std::int64_t) {
      const auto& [begin, end, r] = chunks_[static_cast<std::size_t>(c)];
      const kernels::AdamWStep constants = constants_of(ranges_[r], rate_factor, clip);
      const kernels::PullSpans<T> spans = pull_on<T>(ranges_[r], begin, pull);
      T* x = theta.data<T>() + begin;
      const T* g = gradient.data<T>() + begin;
      T* m = m_.data<T>() + begin;
      T* v = v_.data<T>() + begin;
      if (spans.importance == nullptr && spans.l2 == 0) {
        kernels.adamw(constants, x, g, m, v, end - begin);
      } else {
        partial[static_cast<std::size_t>(c)] =
            kernels.adamw_pulled(constants, spans, x, g, m, v, end - begin);
      }
    });
  });
  UpdateSums sums;
  for (const kernels::PullSums& p : partial) {
    sums.ewc += p.ewc;
    sums.l2 += p.l2;
  }
  if (pull.ewc != nullptr) sums.ewc *= pull.ewc->lambda();
  sums.l2 *= pull.l2.weight;
  return sums;
}

kernels::AdamWStep AdamW::constants_of(const UpdateRange& range, double rate_factor,
                                       double clip) const {
  const double t = static_cast<double>(steps_);
  const double rate = range.learning_rate * rate_factor;
  kernels::AdamWStep step;
  step.clip = clip;
  step.decay = 1 - rate * range.weight_decay;
  step.one_minus_beta1 = 1 - options_.beta1;
  step.beta2 = options_.beta2;
  step.one_minus_beta2 = 1 - options_.beta2;
  step.step_size = rate / (1 - std::pow(options_.beta1, t));
  step.root_bias2 = std::sqrt(1 - std::pow(options_.beta2, t));
  step.epsilon = options_.epsilon;
  return step;
}

void AdamW::restore(std::int64_t steps, const Tensor& first_moment, const Tensor& second_moment) {
  if (steps < 0 || first_moment.shape() != m_.shape() || second_moment.shape() != v_.shape() ||
      first_moment.dtype() != m_.dtype() || second_moment.dtype() != v_.dtype()) {
    throw std::invalid_argument("[adamw] the saved moments must be " +
                                std::string(name_of(m_.dtype())) + " of shape " +
                                m_.shape().text());
  }
  steps_ = steps;
  m_.copy_from(first_moment);
  v_.copy_from(second_moment);
}

}  // namespace holdfast
