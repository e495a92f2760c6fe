// L(theta) = 1/B sum_n CE(head of n's task) + alpha D + lambda sum_i F_i (theta_i - theta_old,i)^2,
// and one AdamW step down its gradient. run() is the whole of it; what it calls is in the order of
// the calls.
#include "train/step.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <set>
#include <stdexcept>

#include "base/profile.h"
#include "train/gradient_projection.h"
#include "train/unfreeze.h"

namespace holdfast {

StepRecord TrainingStep::run(std::int64_t step) {
  const auto start = std::chrono::steady_clock::now();
  const Bf16Products bf16(bf16_);
  const Tf32Products tf32(tf32_);
  ParameterArena& arena = model_.arena();
  StepRecord record;
  record.step = step + 1;
  record.share = share_;
  thaw(step, record);

  // A-GEM's reference: the gradient of the memory's loss, which the step must not raise.
  if (reference_texts_ > 0) {
    refer(step);
    record.reference = objective_.drawn();
  }

  // Mix, forward, backward: into the arena's gradient, which every parameter must have received.
  mix(step);
  Objective::Terms terms = objective_.batch(step);
  record.samples = std::move(terms.drawn);
  record.matched = std::move(terms.matched);
  record.tokens = terms.tokens;
  arena.zero_grad();
  backward(terms.loss);
  terms.loss = {};  // the graph is done with
  check_reached(step);
  lap("backward", "release the graph");
  unmix();
  if (reference_texts_ > 0) {
    record.projected =
        project(arena.grads(), reference_, shared_spans(arena, measures_.shared_head)).acted;
    lap("update", "a-gem");
  }

  // Clip the loss's gradient; penalties are added to it afterwards, so that they cannot erase the
  // task.
  record.grad_norm = gradient_norm(arena.grads(), optimizer_.trained_spans());
  lap("update", "gradient norm");
  read_losses(terms, record);
  check_finite(record);
  record.clip = clip_factor(record.grad_norm, training_.clip_norm);

  descend(step, record);
  check_finite(record);
  record.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return record;
}

// Only now, when the gradient's norm is known: asked for earlier, a device would be waited for
// before it is given the backward pass.
void TrainingStep::read_losses(const Objective::Terms& terms, StepRecord& record) {
  record.loss = terms.task.item();
  record.distill = terms.distill.defined() ? terms.distill.item() : 0;
  for (const Objective::TaskTerm& task : terms.tasks) {
    record.task_loss.push_back(task.loss());
  }
}

// Gradual unfreezing: which layers learn in this step.
void TrainingStep::thaw(std::int64_t step, StepRecord& record) {
  if (thaw_every_) {
    const int lowest = lowest_trained_layer(step, model_.config().layers, *thaw_every_);
    if (lowest != lowest_layer_) {
      lowest_layer_ = lowest;
      model_.arena().train_only(
          [lowest](const NamedSlice& slice) { return slice.layer >= lowest; });
      optimizer_.train_from_layer(lowest);
    }
  }
  record.lowest_layer = lowest_layer_;
}

// On the same network as the step's own gradient.
void TrainingStep::refer(std::int64_t step) {
  ParameterArena& arena = model_.arena();
  mix(step);
  arena.zero_grad();
  backward(objective_.reference(step, reference_texts_));
  check_reached(step);
  lap("backward", "release the graph");
  unmix();
  reference_.copy_from(arena.grads());
  lap("update", "a-gem");
}

// Mixout: the step's gradient is that of another network.
void TrainingStep::mix(std::int64_t step) {
  if (mixout_) {
    mixout_->mix(model_.arena().values(), static_cast<std::uint32_t>(step));
    lap("prepare", "mixout");
  }
}

void TrainingStep::unmix() {
  if (mixout_) {
    mixout_->unmix(model_.arena().values(), model_.arena().grads());
    lap("update", "mixout");
  }
}

// Update, with the penalties' gradients in the same pass; then back within the bounds.
void TrainingStep::descend(std::int64_t step, StepRecord& record) {
  ParameterArena& arena = model_.arena();
  const double factor = schedule_.factor(step);
  for (const double rate : rates_) {
    record.rates.push_back(rate * factor);
  }
  record.rate_low = record.rates.front();
  record.rate_high = record.rates.back();
  const UpdateSums sums =
      optimizer_.step(arena.values(), arena.grads(), factor, record.clip, pull_);
  lap("update", "optimizer");
  record.penalty = sums.ewc;
  record.l2 = sums.l2 + sums.l2_head;
  if (measures_.protection) {
    measures_.protection->apply(arena.values());
    record.at_bound = measures_.protection->at_bound();
    lap("update", "protect");
  }
  if (measures_.path) {
    measures_.path->record(arena.grads(), arena.values());
    lap("update", "path importance");
  }
}

// The heads of tasks that this batch does not have get a zero gradient; all else must have one.
void TrainingStep::check_reached(std::int64_t step) {
  ParameterArena& arena = model_.arena();
  const std::vector<Head>& heads = model_.heads();
  for (const std::string& name : arena.clear_unreached()) {
    const bool absent = std::any_of(heads.begin(), heads.end(), [&](const Head& head) {
      const bool own = arena[head.weight].name == name || arena[head.bias].name == name;
      return own && !objective_.reached(head);
    });
    if (!absent) {
      throw std::logic_error(
          fmt::format("[step] step {}: parameter {} received no gradient", step + 1, name));
    }
  }
}

void TrainingStep::check_finite(const StepRecord& record) const {
  const char* what = !std::isfinite(record.loss + record.distill) ? "loss"
                     : !std::isfinite(record.grad_norm)           ? "gradient"
                     : !std::isfinite(record.penalty + record.l2) ? "penalty"
                                                                  : nullptr;
  if (what) {
    throw std::runtime_error(
        fmt::format("step {}: the {} is not finite; nothing was saved. Lower the learning rate or "
                    "look at these texts: {}",
                    record.step, what, objective_.texts()));
  }
}

namespace {

std::vector<double> rates_of(const RateRecipe& rate, std::int64_t layers) {
  return rate.layer_wise()
             ? layer_rates(*rate.bottom, *rate.top, layers, parse_spacing(rate.spacing))
             : std::vector<double>(static_cast<std::size_t>(layers) + 2, rate.rate);
}

// `ranges` less [begin, end).
std::vector<UpdateRange> without(const std::vector<UpdateRange>& ranges, std::int64_t begin,
                                 std::int64_t end) {
  std::vector<UpdateRange> rest;
  for (const UpdateRange& range : ranges) {
    for (const auto& [from, to] : {std::pair(range.begin, std::min(range.end, begin)),
                                   std::pair(std::max(range.begin, end), range.end)}) {
      if (from < to) {
        rest.push_back(range);
        rest.back().begin = from;
        rest.back().end = to;
      }
    }
  }
  return rest;
}

// What is trained: everything but what is frozen, and the heads that no text is answered by.
std::vector<UpdateRange> trained_ranges(const Model& model, const std::vector<double>& rates,
                                        double weight_decay, const std::vector<SamplePool>& pools,
                                        const Measures& measures) {
  std::vector<UpdateRange> ranges =
      update_ranges(model.arena(), rates, weight_decay, measures.fresh);
  std::set<std::string> heads{""};
  for (const SamplePool& pool : pools) {
    heads.insert(pool.head);
  }
  if (measures.distillation && measures.distillation->recipe.alpha > 0) {
    for (const DistillSource& source : measures.distillation->sources) {
      heads.insert(source.head);
    }
  }
  for (const NamedSlice& slice : model.arena().slices()) {
    if (!heads.contains(slice.task) || !model.arena().trainable(slice)) {
      ranges = without(ranges, slice.offset, slice.offset + slice.size);
    }
  }
  return ranges;
}

Pull pull_of(const Recipe& recipe, const Measures& measures) {
  Pull pull;
  pull.ewc = measures.ewc;
  pull.anchor = measures.start;
  if (recipe.ewc) {
    pull.coupling = parse_coupling(recipe.ewc->coupling);
  }
  if (recipe.l2) {
    pull.l2 = {recipe.l2->weight, parse_l2_target(recipe.l2->toward), recipe.l2->head};
  }
  const bool wants_start = recipe.recadam || recipe.mixout ||
                           (recipe.l2 && recipe.l2->weight > 0 && recipe.l2->toward == "old");
  if (wants_start && !measures.start) {
    throw std::invalid_argument("[step] a measure needs the weights at the start");
  }
  return pull;
}

}  // namespace

TrainingStep::TrainingStep(Model& model, const Recipe& recipe, std::vector<SamplePool> pools,
                           const Measures& measures)
    : model_(model),
      training_(recipe.training),
      measures_(measures),
      share_(recipe.replay ? recipe.replay->share : 0),
      bf16_(recipe.precision == DType::bf16),
      tf32_(recipe.tf32),
      objective_(model, recipe, std::move(pools), measures.distillation),
      rates_(rates_of(recipe.learning_rate, model.config().layers)),
      schedule_(ScheduleKind::cosine, training_.steps, recipe.learning_rate.warmup,
                recipe.learning_rate.minimum_ratio),
      optimizer_(
          model.arena().numel(), model.dtype(),
          trained_ranges(model, rates_, training_.weight_decay, objective_.pools(), measures),
          {training_.beta1, training_.beta2, training_.epsilon}),
      pull_(pull_of(recipe, measures)) {
  const auto seed = static_cast<std::uint64_t>(recipe.seed);
  if (recipe.recadam) {
    const double steps = static_cast<double>(training_.steps);
    recadam_ = RecAdam{.slope = recipe.recadam->slope,
                       .midpoint = recipe.recadam->midpoint * steps,
                       .pull = recipe.recadam->pull};
    recadam_->check(*std::max_element(rates_.begin(), rates_.end()));
    pull_.recadam = &*recadam_;
  }
  if (recipe.mixout) {
    mixout_ = std::make_unique<Mixout>(model.arena(), *measures.start, recipe.mixout->probability,
                                       seed, measures.shared_head, measures.fresh);
  }
  if (recipe.unfreeze) {
    thaw_every_ =
        recipe.unfreeze->every > 0 ? recipe.unfreeze->every : objective_.steps_per_epoch();
  }
  if (recipe.gradient) {
    reference_texts_ = recipe.gradient->texts > 0 ? recipe.gradient->texts : training_.batch_size;
    reference_ = Tensor::zeros({model.arena().numel()}, model.dtype());
  }
}

int TrainingStep::lowest_layer_at_end() const {
  return thaw_every_
             ? lowest_trained_layer(training_.steps - 1, model_.config().layers, *thaw_every_)
             : 0;
}

void TrainingStep::restore(const Tensor& weights, std::span<const std::int64_t> range_steps,
                           const Tensor& first_moment, const Tensor& second_moment) {
  optimizer_.restore(range_steps, first_moment, second_moment);
  model_.arena().values().copy_from(weights);
}

void TrainingStep::set_share(std::int64_t step, double share) {
  objective_.set_share(step, share);
  share_ = share;
}

}  // namespace holdfast
