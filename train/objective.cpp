#include "train/objective.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "autograd/fused.h"
#include "autograd/ops.h"
#include "base/profile.h"

namespace holdfast {
namespace {

std::vector<SamplePool> checked(const Model& model, std::vector<SamplePool> pools) {
  if (pools.empty()) {
    throw std::invalid_argument("[step] there is no task to train");
  }
  for (const SamplePool& pool : pools) {
    if (!model.head(pool.head)) {
      throw std::invalid_argument(
          fmt::format("[step] the model has no head {} for task {}", pool.head, pool.task));
    }
  }
  return pools;
}

std::vector<std::int64_t> memory_sizes(const std::vector<SamplePool>& pools) {
  std::vector<std::int64_t> sizes;
  for (std::size_t pool = 1; pool < pools.size(); ++pool) {
    sizes.push_back(static_cast<std::int64_t>(pools[pool].samples.size()));
  }
  return sizes;
}

}  // namespace

Objective::Objective(Model& model, const Recipe& recipe, std::vector<SamplePool> pools,
                     const Distillation* distillation)
    : model_(model),
      seed_(static_cast<std::uint64_t>(recipe.seed)),
      smoothing_(recipe.training.label_smoothing),
      pools_(checked(model, std::move(pools))),
      distillation_(distillation),
      mixer_(static_cast<std::int64_t>(pools_.front().samples.size()), memory_sizes(pools_),
             recipe.training.batch_size, recipe.replay ? recipe.replay->share : 0, seed_),
      matching_(memory_sizes(pools_), RandomStream(seed_, "der++")),
      referring_(memory_sizes(pools_), RandomStream(seed_, "a-gem")) {}

Objective::Terms Objective::batch(std::int64_t step) {
  clear();
  for (const MixItem& item : mixer_.batch(step)) {
    take(item, mixed_);
  }
  if (distillation_ && distillation_->recipe.method == "der++") {  // as many as there are old ones
    take_memory(matching_, mixer_.old_before(step), mixer_.old_before(step + 1), matched_);
  }
  lap("prepare", "choose texts");
  Terms terms;
  const Var pooled = forward(step, terms.tokens);
  terms.loss = cross_entropies(pooled, mixed_, terms.tasks);
  terms.task = PendingItem(terms.loss.value());
  terms.drawn = drawn();
  terms.matched = ids_of(matched_);
  if (distillation_ && distillation_->recipe.alpha > 0) {
    const Var term = scale(distilled(pooled), distillation_->recipe.alpha);
    terms.distill = PendingItem(term.value());
    terms.loss = add(terms.loss, term);
  }
  return terms;
}

Var Objective::reference(std::int64_t step, std::int64_t texts) {
  clear();
  take_memory(referring_, step * texts, (step + 1) * texts, mixed_);
  lap("prepare", "choose texts");
  std::int64_t tokens = 0;
  std::vector<TaskTerm> terms;
  return cross_entropies(forward(step, tokens), mixed_, terms);
}

TaskLoss Objective::TaskTerm::loss() const {
  return {task, texts, value.item() * static_cast<double>(of_batch) / static_cast<double>(texts)};
}

void Objective::clear() {
  samples_.clear();
  variants_.clear();
  heads_.clear();
  mixed_.assign(pools_.size(), {});
  matched_.assign(pools_.size(), {});
}

void Objective::take(const MixItem& item, std::vector<Rows>& rows) {
  const auto pool = static_cast<std::size_t>(item.source);
  rows[pool].rows.push_back(static_cast<std::int32_t>(samples_.size()));
  rows[pool].indices.push_back(item.index);
  const SamplePool& from = pools_[pool];
  const bool varies = from.variant && &rows != &matched_;  // the teacher has seen it as it is
  samples_.push_back(varies ? &variants_.emplace_back(from.variant(item.index, item.epoch))
                            : &from.samples[static_cast<std::size_t>(item.index)]);
}

// The texts of the memories at positions [begin, end) of the cycle.
void Objective::take_memory(BufferCycle& cycle, std::int64_t begin, std::int64_t end,
                            std::vector<Rows>& rows) {
  for (std::int64_t i = begin; i < end; ++i) {
    take(cycle.at(i), rows);
  }
}

// One encoder for all tasks: the batch is packed without padding.
Var Objective::forward(std::int64_t step, std::int64_t& tokens) {
  std::vector<TokenSpan> texts;
  for (const Sample* sample : samples_) {
    texts.push_back({sample->ids, sample->type_ids, static_cast<std::int32_t>(texts.size())});
  }
  const Batch batch = pack(texts);
  tokens = batch.tokens();
  lap("prepare", "pack");
  const DropoutPlan dropout{true, seed_, static_cast<std::uint32_t>(step)};
  return model_.pool(batch, dropout);
}

Var Objective::logits(const Var& pooled, const std::string& head,
                      const std::vector<std::int32_t>& rows) {
  heads_.push_back(head);
  return model_.logits(pooled, *model_.head(head),
                       Tensor::from(rows, {static_cast<std::int64_t>(rows.size())}));
}

// Sum over these texts of w/n of each one's cross entropy.
Var Objective::cross_entropies(const Var& pooled, const std::vector<Rows>& rows,
                               std::vector<TaskTerm>& terms) {
  std::int64_t of_batch = 0;
  for (const Rows& of_pool : rows) {
    of_batch += std::ssize(of_pool.rows);
  }
  const auto texts = static_cast<double>(of_batch);
  Var total;
  for (std::size_t p = 0; p < pools_.size(); ++p) {
    const SamplePool& pool = pools_[p];
    if (rows[p].rows.empty()) {
      continue;
    }
    std::vector<std::int32_t> labels;
    std::vector<double> weights;
    for (const std::int32_t row : rows[p].rows) {
      const std::int32_t label = samples_[static_cast<std::size_t>(row)]->label;
      labels.push_back(label);
      weights.push_back(pool.class_weights.empty()
                            ? 1 / texts
                            : pool.class_weights[static_cast<std::size_t>(label)] / texts);
    }
    const auto n = static_cast<std::int64_t>(labels.size());
    const Var loss =
        softmax_cross_entropy(logits(pooled, pool.head, rows[p].rows), Tensor::from(labels, {n}),
                              Tensor::from(weights, {n}).to(model_.dtype()), smoothing_);
    terms.push_back({pool.task, n, of_batch, PendingItem(loss.value())});
    total = total.defined() ? add(total, loss) : loss;
  }
  return total;
}

// D: the mean over the texts that the old model has answered, summed over heads.
Var Objective::distilled(const Var& pooled) {
  const bool lwf = distillation_->recipe.method == "lwf";
  const std::vector<Rows>& rows = lwf ? mixed_ : matched_;
  Var total;
  for (const DistillSource& source : distillation_->sources) {
    const Rows& of_pool = rows[source.pool];
    if (of_pool.rows.empty()) {
      continue;
    }
    Var answers = logits(pooled, source.head, of_pool.rows);
    if (answers.size(1) > source.teacher.classes()) {
      answers = slice(answers, 1, 0, source.teacher.classes());
    }
    const Tensor teacher = source.teacher.of(of_pool.indices, model_.dtype());
    const double part = static_cast<double>(of_pool.rows.size()) / static_cast<double>(matched());
    const Var loss = lwf ? distillation_loss(answers, teacher, distillation_->recipe.temperature)
                         : scale(logit_matching_loss(answers, teacher), part);
    total = total.defined() ? add(total, loss) : loss;
  }
  return total.defined() ? total : Var(Tensor::zeros({}, model_.dtype()));
}

std::int64_t Objective::matched() const {
  std::size_t texts = 0;
  for (const Rows& of_pool : matched_) {
    texts += of_pool.rows.size();
  }
  return static_cast<std::int64_t>(texts);
}

bool Objective::reached(const Head& head) const {
  return std::find(heads_.begin(), heads_.end(), head.task) != heads_.end();
}

std::string Objective::texts() const {
  std::string out;
  for (const DrawnTexts& of_task : drawn()) {
    for (const std::int64_t id : of_task.ids) {
      out += fmt::format("{}{} {}", out.empty() ? "" : ", ", of_task.task, id);
    }
  }
  return out;
}

std::vector<DrawnTexts> Objective::ids_of(const std::vector<Rows>& rows) const {
  std::vector<DrawnTexts> drawn;
  for (std::size_t pool = 0; pool < pools_.size(); ++pool) {
    if (rows[pool].rows.empty()) {
      continue;
    }
    DrawnTexts& of_task = drawn.emplace_back(DrawnTexts{pools_[pool].task, {}});
    for (const std::int32_t row : rows[pool].rows) {
      of_task.ids.push_back(samples_[static_cast<std::size_t>(row)]->id);
    }
  }
  return drawn;
}

}  // namespace holdfast
