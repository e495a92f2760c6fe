// L(theta) = 1/B sum_n CE(head of n's task) + lambda sum_i F_i (theta_i - theta_old,i)^2, and one
// AdamW step down its gradient. run() is the whole of it; what it calls is in the order of the
// calls.
#include "train/step.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <stdexcept>

namespace holdfast {

struct TrainingStep::Drawn {
  std::vector<const Sample*> samples;           // (B)
  std::vector<std::vector<std::int32_t>> rows;  // of each pool: its places in the batch
};

StepRecord TrainingStep::run(std::int64_t step) {
  const auto start = std::chrono::steady_clock::now();
  StepRecord record;
  record.step = step + 1;
  record.share = share_;

  // Mix: texts of the new task and of the memory, packed without padding.
  const Drawn drawn = draw(step);
  std::vector<TokenSpan> texts;
  for (const Sample* sample : drawn.samples) {
    texts.push_back({sample->ids, sample->type_ids, static_cast<std::int32_t>(texts.size())});
  }
  const Batch batch = pack(texts);
  record.tokens = batch.tokens();

  // Forward: one encoder for all tasks, each text's logits from its own task's head.
  const DropoutPlan dropout{true, seed_, static_cast<std::uint32_t>(step)};
  const Var pooled = model_.pool(model_.encode(batch, dropout), batch, dropout);
  const Var loss = task_losses(drawn, pooled, record);
  record.loss = loss.value().item();

  // Backward: into the arena's gradient, which every parameter must have received.
  ParameterArena& arena = model_.arena();
  arena.zero_grad();
  backward(loss);
  check_reached(drawn, step);

  // Clip the task gradient; the penalty's is added to it afterwards, so that it cannot erase the
  // task.
  record.grad_norm = gradient_norm(arena.grads());
  check_finite(drawn, record);
  record.clip = clip_factor(record.grad_norm, training_.clip_norm);

  // Update, with the penalty's gradient in the same pass.
  const double factor = schedule_.factor(step);
  record.rate_low = rates_.front() * factor;
  record.rate_high = rates_.back() * factor;
  const UpdateSums sums = optimizer_.step(arena.values(), arena.grads(), factor, record.clip,
                                          Pull{.ewc = ewc_, .l2 = {}});
  record.penalty = sums.ewc;
  check_finite(drawn, record);

  record.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return record;
}

TrainingStep::Drawn TrainingStep::draw(std::int64_t step) {
  Drawn drawn;
  drawn.rows.resize(pools_.size());
  for (const MixItem& item : mixer_.batch(step)) {
    const auto pool = static_cast<std::size_t>(item.source);
    drawn.rows[pool].push_back(static_cast<std::int32_t>(drawn.samples.size()));
    drawn.samples.push_back(&pools_[pool].samples[static_cast<std::size_t>(item.index)]);
  }
  return drawn;
}

// Sum over the batch's texts of 1/B of each one's cross entropy.
Var TrainingStep::task_losses(const Drawn& drawn, const Var& pooled, StepRecord& record) {
  const double B = static_cast<double>(drawn.samples.size());
  Var total;
  for (std::size_t pool = 0; pool < pools_.size(); ++pool) {
    const std::vector<std::int32_t>& rows = drawn.rows[pool];
    if (rows.empty()) {
      continue;
    }
    std::vector<std::int32_t> labels;
    for (const std::int32_t row : rows) {
      labels.push_back(drawn.samples[static_cast<std::size_t>(row)]->label);
    }
    const auto n = static_cast<std::int64_t>(rows.size());
    const Head& head = *model_.head(pools_[pool].task);
    const Var logits = model_.logits(pooled, head, Tensor::from(rows, {n}));
    const Tensor weights = Tensor::full({n}, model_.dtype(), 1 / B);
    const Var loss = softmax_cross_entropy(logits, Tensor::from(labels, {n}), weights,
                                           training_.label_smoothing);
    const double mean = loss.value().item() * B / static_cast<double>(n);
    record.task_loss.push_back({pools_[pool].task, n, mean});
    total = total.defined() ? add(total, loss) : loss;
  }
  return total;
}

// The heads of tasks that this batch does not have get a zero gradient; all else must have one.
void TrainingStep::check_reached(const Drawn& drawn, std::int64_t step) {
  ParameterArena& arena = model_.arena();
  const auto absent = [&](const std::string& name) {
    return std::any_of(model_.heads().begin(), model_.heads().end(), [&](const Head& head) {
      const bool own = arena[head.weight].name == name || arena[head.bias].name == name;
      for (std::size_t pool = 0; own && pool < pools_.size(); ++pool) {
        if (pools_[pool].task == head.task && !drawn.rows[pool].empty()) {
          return false;
        }
      }
      return own;
    });
  };
  for (const std::string& name : arena.clear_unreached()) {
    if (!absent(name)) {
      throw std::logic_error(
          fmt::format("[step] step {}: parameter {} received no gradient", step + 1, name));
    }
  }
}

void TrainingStep::check_finite(const Drawn& drawn, const StepRecord& record) const {
  const char* what = !std::isfinite(record.loss)        ? "loss"
                     : !std::isfinite(record.grad_norm) ? "gradient"
                     : !std::isfinite(record.penalty)   ? "penalty"
                                                        : nullptr;
  if (!what) {
    return;
  }
  std::string texts;
  for (std::size_t pool = 0; pool < pools_.size(); ++pool) {
    for (const std::int32_t row : drawn.rows[pool]) {
      texts += fmt::format("{}{} {}", texts.empty() ? "" : ", ", pools_[pool].task,
                           drawn.samples[static_cast<std::size_t>(row)]->id);
    }
  }
  throw std::runtime_error(fmt::format(
      "step {}: the {} is not finite; nothing was saved. Lower the learning rate or look "
      "at the batch's texts: {}",
      record.step, what, texts));
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

// What is trained: everything but the heads that no pool has texts for.
std::vector<UpdateRange> trained_ranges(const Model& model, const std::vector<double>& rates,
                                        double weight_decay, const std::vector<SamplePool>& pools) {
  std::vector<UpdateRange> ranges =
      update_ranges(model.arena(), rates, weight_decay, pools.front().task);
  for (const NamedSlice& slice : model.arena().slices()) {
    const bool trained =
        slice.task.empty() || std::any_of(pools.begin(), pools.end(), [&](const SamplePool& pool) {
          return pool.task == slice.task;
        });
    if (!trained) {
      ranges = without(ranges, slice.offset, slice.offset + slice.size);
    }
  }
  return ranges;
}

std::vector<SamplePool> checked(const Model& model, std::vector<SamplePool> pools) {
  if (pools.empty()) {
    throw std::invalid_argument("[step] there is no task to train");
  }
  for (const SamplePool& pool : pools) {
    if (!model.head(pool.task)) {
      throw std::invalid_argument("[step] the model has no head for task " + pool.task);
    }
  }
  return pools;
}

std::vector<std::int64_t> old_counts(const std::vector<SamplePool>& pools) {
  std::vector<std::int64_t> counts;
  for (std::size_t pool = 1; pool < pools.size(); ++pool) {
    counts.push_back(static_cast<std::int64_t>(pools[pool].samples.size()));
  }
  return counts;
}

}  // namespace

TrainingStep::TrainingStep(Model& model, const Recipe& recipe, std::vector<SamplePool> pools,
                           const EwcPenalty* ewc)
    : model_(model),
      training_(recipe.training),
      seed_(static_cast<std::uint64_t>(recipe.seed)),
      share_(recipe.replay ? recipe.replay->share : 0),
      pools_(checked(model, std::move(pools))),
      ewc_(ewc),
      rates_(rates_of(recipe.learning_rate, model.config().layers)),
      schedule_(ScheduleKind::cosine, training_.steps, recipe.learning_rate.warmup,
                recipe.learning_rate.minimum_ratio),
      mixer_(static_cast<std::int64_t>(pools_.front().samples.size()), old_counts(pools_),
             training_.batch_size, share_, seed_),
      optimizer_(model.arena().numel(), model.dtype(),
                 trained_ranges(model, rates_, training_.weight_decay, pools_),
                 {training_.beta1, training_.beta2, training_.epsilon}) {}

void TrainingStep::set_share(std::int64_t step, double share) {
  mixer_.set_share(step, share);
  share_ = share;
}

}  // namespace holdfast
