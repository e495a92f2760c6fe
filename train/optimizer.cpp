#include "train/optimizer.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <utility>

#include "autograd/ops/op.h"
#include "base/elementary.h"
#include "base/parallel.h"
#include "tensor/kernels/dispatch.h"
#include "tensor/kernels/update.h"
#include "train/device_update.h"

namespace holdfast {

namespace {

void append_range(std::vector<UpdateRange>& ranges, const UpdateRange& range) {
  if (range.begin == range.end) return;
  if (!ranges.empty() && ranges.back().end == range.begin && ranges.back().layer == range.layer &&
      ranges.back().learning_rate == range.learning_rate &&
      ranges.back().weight_decay == range.weight_decay &&
      ranges.back().anchored == range.anchored) {
    ranges.back().end = range.end;
  } else {
    ranges.push_back(range);
  }
}

}  // namespace

std::vector<UpdateRange> update_ranges(const ParameterArena& arena,
                                       std::span<const double> layer_rates, double weight_decay,
                                       std::span<const ArenaSpan> fresh) {
  std::vector<UpdateRange> ranges;
  for (const NamedSlice& slice : arena.slices()) {
    const std::size_t layer = layer_rates.size() == 1 ? 0 : static_cast<std::size_t>(slice.layer);
    if (layer >= layer_rates.size()) {
      throw std::invalid_argument(
          fmt::format("[optimizer] {} is in layer {}, but there are {} learning rates", slice.name,
                      slice.layer, layer_rates.size()));
    }
    UpdateRange range{
        slice.offset, slice.offset, layer_rates[layer], slice.decay ? weight_decay : 0.0,
        true,         slice.layer};
    const auto append_to = [&](std::int64_t end, bool anchored) {
      range.begin = std::exchange(range.end, end);
      range.anchored = anchored;
      append_range(ranges, range);
    };
    const ArenaSpan whole{slice.offset, slice.offset + slice.size};
    for (const ArenaSpan& span : intersection({&whole, 1}, fresh)) {
      append_to(span.begin, true);
      append_to(span.end, false);
    }
    append_to(whole.end, true);
  }
  return ranges;
}

double gradient_norm(const Tensor& gradient) {
  const ArenaSpan whole{0, gradient.numel()};
  return gradient_norm(gradient, {&whole, 1});
}

double gradient_norm(const Tensor& gradient, std::span<const ArenaSpan> spans) {
  if (const Device on = gradient.device(); on.is_cuda())
    return std::sqrt(sum_squares_on(on, gradient, pieces_of(spans)));
  std::vector<double> partial(static_cast<std::size_t>((gradient.numel() + kPiece - 1) / kPiece),
                              0);
  dispatch(gradient.dtype(), "gradient norm", [&]<class T>() {
    const auto& kernels = kernels::best<kernels::Update<T>>();
    const T* g = gradient.span<T>().data();
    parallel_for(gradient.numel(), kPiece, [&](std::int64_t begin, std::int64_t end) {
      auto span = std::upper_bound(spans.begin(), spans.end(), begin,
                                   [](std::int64_t at, const ArenaSpan& s) { return at < s.end; });
      if (span == spans.end() || span->begin >= end) return;
      double& sum = partial[static_cast<std::size_t>(begin / kPiece)];
      if (span->begin <= begin && span->end >= end) {
        sum = kernels.sum_squares(g + begin, end - begin);
        return;
      }
      // Zeros outside keep every element in its lane of the sum.
      std::vector<T> inside(static_cast<std::size_t>(end - begin), T{0});
      for (; span != spans.end() && span->begin < end; ++span) {
        const std::int64_t first = std::max(begin, span->begin);
        std::copy(g + first, g + std::min(end, span->end), inside.data() + (first - begin));
      }
      sum = kernels.sum_squares(inside.data(), end - begin);
    });
  });
  double sum = 0;
  for (const double x : partial) sum += x;
  return std::sqrt(sum);
}

double clip_factor(double norm, double max_norm) {
  return max_norm == 0 ? 1.0 : std::min(1.0, max_norm / (norm + 1e-6));
}

namespace {

// Of embeddings much stays zero: the rows of words that no text has.
Tensor moment(std::int64_t numel, DType dtype, std::span<const UpdateRange> ranges) {
  const std::shared_ptr<Storage> zeros = Storage::zeros(numel * size_of(dtype));
  for (const UpdateRange& range : ranges) {
    if (range.layer == 0)
      zeros->expect_sparse(range.begin * size_of(dtype), range.end * size_of(dtype));
  }
  return Tensor::view(zeros, 0, {numel}, dtype);
}

}  // namespace

AdamW::AdamW(std::int64_t numel, DType dtype, std::vector<UpdateRange> ranges,
             const AdamWOptions& options)
    : ranges_(std::move(ranges)),
      steps_(ranges_.size(), 0),
      options_(options),
      m_(moment(numel, dtype, ranges_)),
      v_(moment(numel, dtype, ranges_)) {
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
  }
  train_from_layer(0);
}

void AdamW::train_from_layer(int layer) {
  chunks_.clear();
  for (std::size_t r = 0; r < ranges_.size(); ++r) {
    if (ranges_[r].layer < layer) continue;
    const ArenaSpan whole{ranges_[r].begin, ranges_[r].end};
    for (const auto& [begin, end] : pieces_of({&whole, 1})) chunks_.push_back({begin, end, r});
  }
}

std::vector<ArenaSpan> AdamW::trained_spans() const {
  std::vector<ArenaSpan> spans;
  for (const Chunk& chunk : chunks_) append_span(spans, {chunk.begin, chunk.end});
  return spans;
}

std::int64_t AdamW::steps() const {
  return steps_.empty() ? 0 : *std::max_element(steps_.begin(), steps_.end());
}

namespace {

const Tensor* anchor_of(const Pull& pull) {
  return pull.ewc != nullptr ? &pull.ewc->anchor() : pull.anchor;
}

// What has no anchor cannot be pulled there, but toward zero with a weight of its own.
bool by_head(const UpdateRange& range, const L2Penalty& l2) {
  return !range.anchored && l2.toward == L2Target::old;
}

// What pulls the elements of `range` from `begin` on, `held` if their importance does; nothing
// where this equals PullSpans<T>{}. Pointers are for the device.
template <class T>
kernels::PullSpans<T> pull_on(Device on, const UpdateRange& range, std::int64_t begin, bool held,
                              double rate, std::int64_t step, const Pull& pull) {
  kernels::PullSpans<T> spans;
  if (const Tensor* anchor = anchor_of(pull)) spans.anchor = anchor->data<T>(on) + begin;
  if (held) {
    spans.importance = pull.ewc->importance().data<T>(on) + begin;
    if (pull.coupling == Coupling::coupled) {
      spans.lambda = pull.ewc->lambda();
    } else {
      spans.proximal = std::min(2 * rate * pull.ewc->lambda(),
                                static_cast<double>(std::numeric_limits<T>::max()));
    }
  }
  spans.l2_to_anchor = pull.l2.toward == L2Target::old && range.anchored;
  spans.l2 = by_head(range, pull.l2) ? pull.l2.head : pull.l2.weight;
  if (pull.recadam != nullptr && range.anchored) spans.keep = pull.recadam->keep(rate, step);
  return spans;
}

template <class T>
bool pulls(const kernels::PullSpans<T>& spans) {
  return spans.importance != nullptr || spans.l2 != 0 || spans.keep != 1;
}

// Whether importance pulls at all.
bool holds(const Pull& pull) { return pull.ewc != nullptr && pull.ewc->lambda() != 0; }

// Where all of an update is.
Device device_of(const Tensor& theta, const Tensor& gradient, const Tensor& moments,
                 const Pull& pull) {
  const Tensor* anchor = anchor_of(pull);
  return ops::device_of(theta, gradient, moments, anchor != nullptr ? *anchor : Tensor(),
                        pull.ewc != nullptr ? pull.ewc->importance() : Tensor());
}

// Calls body(from, to, held) for the runs of [begin, end) that importance holds and those that it
// does not.
template <class Body>
void for_each_run(std::int64_t begin, std::int64_t end, const Pull& pull, const Body& body) {
  const std::span<const ArenaSpan> held =
      holds(pull) ? pull.ewc->held() : std::span<const ArenaSpan>();
  auto next = std::ranges::partition_point(
      held, [begin](const ArenaSpan& span) { return span.end <= begin; });
  for (std::int64_t from = begin; from < end;) {
    const bool inside = next != held.end() && next->begin <= from;
    const std::int64_t edge = next == held.end() ? end : inside ? next->end : next->begin;
    const std::int64_t to = std::min(end, edge);
    body(from, to, inside);
    if (inside) ++next;
    from = to;
  }
}

}  // namespace

UpdateSums AdamW::step(const Tensor& theta, const Tensor& gradient, double rate_factor, double clip,
                       const Pull& pull) {
  check(theta, gradient, pull);
  for (std::size_t c = 0; c < chunks_.size(); ++c) {
    if (c == 0 || chunks_[c].range != chunks_[c - 1].range) ++steps_[chunks_[c].range];
  }
  const Device on = device_of(theta, gradient, m_, pull);
  const std::vector<kernels::PullSums> partial = dispatch(m_.dtype(), "adamw", [&]<class T>() {
    return on.is_cuda() ? step_on<T>(on, theta, gradient, rate_factor, clip, pull)
                        : step_here<T>(theta, gradient, rate_factor, clip, pull);
  });
  UpdateSums sums;
  for (std::size_t c = 0; c < chunks_.size(); ++c) {
    sums.ewc += partial[c].ewc;
    (by_head(ranges_[chunks_[c].range], pull.l2) ? sums.l2_head : sums.l2) += partial[c].l2;
  }
  if (pull.ewc != nullptr) sums.ewc *= pull.ewc->lambda();
  sums.l2 *= pull.l2.weight;
  sums.l2_head *= pull.l2.head;
  return sums;
}

template <class T>
std::vector<kernels::PullSums> AdamW::step_here(const Tensor& theta, const Tensor& gradient,
                                                double rate_factor, double clip,
                                                const Pull& pull) const {
  const std::int64_t step = steps();
  std::vector<kernels::PullSums> partial(chunks_.size());
  const auto& kernels = kernels::best<kernels::Update<T>>();
  parallel_for(static_cast<std::int64_t>(chunks_.size()), 1, [&](std::int64_t c, std::int64_t) {
    const Chunk& chunk = chunks_[static_cast<std::size_t>(c)];
    const kernels::AdamWStep constants = constants_of(chunk.range, rate_factor, clip, pull);
    const double rate = ranges_[chunk.range].learning_rate * rate_factor;
    kernels::PullSums& sums = partial[static_cast<std::size_t>(c)];
    for_each_run(chunk.begin, chunk.end, pull, [&](std::int64_t from, std::int64_t to, bool held) {
      const kernels::PullSpans<T> spans =
          pull_on<T>(Device(), ranges_[chunk.range], from, held, rate, step, pull);
      T* x = theta.data<T>() + from;
      const T* g = gradient.data<T>() + from;
      T *m = m_.data<T>() + from, *v = v_.data<T>() + from;
      if (!pulls(spans)) return kernels.adamw(constants, x, g, m, v, to - from);
      const kernels::PullSums run = kernels.adamw_pulled(constants, spans, x, g, m, v, to - from);
      sums.ewc += run.ewc;
      sums.l2 += run.l2;
    });
  });
  return partial;
}

// Whole ranges, what importance does not hold too: there it is zero, and pulls nothing.
template <class T>
std::vector<kernels::PullSums> AdamW::step_on(Device on, const Tensor& theta,
                                              const Tensor& gradient, double rate_factor,
                                              double clip, const Pull& pull) const {
  std::vector<cuda::UpdateRange<T>> ranges;
  for (std::size_t r = 0; r < ranges_.size(); ++r) {
    const double rate = ranges_[r].learning_rate * rate_factor;
    ranges.push_back(
        {constants_of(r, rate_factor, clip, pull),
         pull_on<T>(on, ranges_[r], ranges_[r].begin, holds(pull), rate, steps(), pull)});
  }
  std::vector<cuda::UpdatePiece> pieces;
  for (const Chunk& chunk : chunks_) {
    pieces.push_back({chunk.begin, chunk.end, static_cast<std::int64_t>(chunk.range),
                      ranges_[chunk.range].begin});
  }
  return adamw_on<T>(on, ranges, pieces, theta, gradient, m_, v_);
}

void AdamW::check(const Tensor& theta, const Tensor& gradient, const Pull& pull) const {
  const Tensor* anchor = anchor_of(pull);
  if (theta.shape() != m_.shape() || gradient.shape() != m_.shape() ||
      (anchor != nullptr && anchor->shape() != m_.shape())) {
    throw std::invalid_argument("[adamw] theta " + theta.shape().text() + ", gradient " +
                                gradient.shape().text() +
                                " and anchor must have the arena's shape " + m_.shape().text());
  }
  const bool l2_to_old = pull.l2.weight != 0 && pull.l2.toward == L2Target::old;
  if (anchor == nullptr && (l2_to_old || pull.recadam != nullptr)) {
    throw std::invalid_argument("[adamw] a pull toward the old weights needs them as anchor");
  }
}

kernels::AdamWStep AdamW::constants_of(std::size_t r, double rate_factor, double clip,
                                       const Pull& pull) const {
  const UpdateRange& range = ranges_[r];
  const double rate = range.learning_rate * rate_factor;
  const bool annealed = pull.recadam != nullptr && range.anchored;
  kernels::AdamWStep step;
  step.clip = clip;
  step.decay = 1 - rate * range.weight_decay;
  step.one_minus_beta1 = 1 - options_.beta1;
  step.beta2 = options_.beta2;
  step.one_minus_beta2 = 1 - options_.beta2;
  step.step_size = rate / (1 - elementary::power(options_.beta1, steps_[r]));
  if (annealed) step.step_size *= pull.recadam->task_share(steps());
  step.root_bias2 = std::sqrt(1 - elementary::power(options_.beta2, steps_[r]));
  step.epsilon = options_.epsilon;
  return step;
}

void AdamW::restore(std::span<const std::int64_t> range_steps, const Tensor& first_moment,
                    const Tensor& second_moment) {
  if (range_steps.size() != steps_.size() ||
      std::any_of(range_steps.begin(), range_steps.end(), [](std::int64_t n) { return n < 0; })) {
    throw std::invalid_argument(
        fmt::format("[adamw] there must be one number of steps, at least 0, for each of {} ranges",
                    steps_.size()));
  }
  if (first_moment.shape() != m_.shape() || second_moment.shape() != v_.shape() ||
      first_moment.dtype() != m_.dtype() || second_moment.dtype() != v_.dtype()) {
    throw std::invalid_argument("[adamw] the saved moments must be " +
                                std::string(name_of(m_.dtype())) + " of shape " +
                                m_.shape().text());
  }
  steps_.assign(range_steps.begin(), range_steps.end());
  m_.copy_from(first_moment);
  v_.copy_from(second_moment);
}

}  // namespace holdfast
