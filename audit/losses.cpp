// What a step minimises, term by term; the complete loss and its gradient; and a whole step.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "audit/case.h"
#include "audit/reference/pulled_adamw.h"
#include "audit/reference/random_tensor.h"
#include "audit/reference/tiny_classifier.h"
#include "autograd/grad_check.h"
#include "train/distill.h"
#include "train/objective.h"
#include "train/step.h"

namespace holdfast::audit {
namespace {

using reference::random_tensor;
using Vector = std::vector<double>;

Vector softmax_of(Vector z, double temperature = 1) {
  double total = 0;
  for (double& x : z) total += x = std::exp(x / temperature);
  for (double& x : z) x /= total;
  return z;
}

double kl(const Vector& teacher, const Vector& answer, double temperature) {
  const Vector p = softmax_of(teacher, temperature), q = softmax_of(answer, temperature);
  double sum = 0;
  for (std::size_t k = 0; k < p.size(); ++k) sum += p[k] * std::log(p[k] / q[k]);
  return temperature * temperature * sum;
}

double distillation() {
  const Tensor z = random_tensor({4, 3}, 1, -2, 2), teacher = random_tensor({4, 3}, 2, -2, 2);
  Worst worst;
  for (const double temperature : {1.0, 2.5}) {
    double expected = 0, squares = 0;
    for (std::int64_t n = 0; n < 4; ++n) {
      const Vector answer = z.slice(0, n, n + 1).to_vector(),
                   told = teacher.slice(0, n, n + 1).to_vector();
      expected += kl(told, answer, temperature) / 4;
      for (std::size_t k = 0; k < 3; ++k)
        squares += (answer[k] - told[k]) * (answer[k] - told[k]) / 12;
    }
    worst.add(
        relative_error(distillation_loss(Var(z), teacher, temperature).value().item(), expected));
    worst.add(relative_error(logit_matching_loss(Var(z), teacher).value().item(), squares));
  }
  return worst.value();
}

double distillation_gradient() {
  const Tensor z = random_tensor({4, 3}, 1, -2, 2), teacher = random_tensor({4, 3}, 2, -2, 2);
  Worst worst;
  for (const double temperature : {1.0, 2.5}) {
    worst.add(check_gradients(
                  [&](const std::vector<Var>& x) {
                    return distillation_loss(x[0], teacher, temperature);
                  },
                  {z})
                  .max_error);
  }
  worst.add(check_gradients(
                [&](const std::vector<Var>& x) { return logit_matching_loss(x[0], teacher); }, {z})
                .max_error);
  return worst.value();
}

// A new task with class weights, an old one with a memory, and an old model that answers otherwise.
struct Training {
  Model model = tiny_model(DType::f64), old = tiny_model(DType::f64);
  std::vector<Sample> fresh = texts(13, 3), memory = texts(5, 2);
  std::vector<SamplePool> pools;
  Recipe recipe;
  Distillation distillation;

  explicit Training(const std::string& method, double dropout = 0) {
    model.set_dropout(dropout);
    const Vector noise = random_tensor(old.arena().values().shape(), 4, -0.1, 0.1).to_vector();
    for (const NamedSlice& slice : old.arena().slices()) {
      for (auto i = static_cast<std::size_t>(slice.offset);
           i < static_cast<std::size_t>(slice.offset + slice.size); ++i) {
        model.arena().values().data<double>()[i] +=
            noise[i];  // away from 0 and 1, as after training
      }
    }
    pools = {{.task = "news", .samples = fresh, .class_weights = {0.5, 2, 1.25}},
             {.task = "other", .samples = memory}};
    recipe.seed = 11;
    recipe.training.batch_size = 8;
    recipe.training.steps = 5;
    recipe.training.label_smoothing = 0.1;
    recipe.training.weight_decay = 0.1;
    recipe.training.clip_norm = 0.5;
    recipe.learning_rate.warmup = 0.4;
    recipe.learning_rate.rate = 0.01;
    recipe.training.beta1 = 0.8, recipe.training.beta2 = 0.95, recipe.training.epsilon = 1e-4;
    recipe.replay.emplace();
    recipe.replay->share = 0.375;
    const bool lwf = method == "lwf";
    distillation.recipe = {method, 0.7, 2.5};
    distillation.sources.push_back(
        {lwf ? 0U : 1U, "other", Teacher(old, *old.head("other"), lwf ? fresh : memory)});
  }

  Vector logits(Model& of, const char* head, const Sample& sample) {
    const TokenSpan text{sample.ids, sample.type_ids, 0};
    return of.logits(of.pool(pack(std::span(&text, 1))), *of.head(head)).value().to_vector();
  }
};

// 1/B sum_n w_n CE + alpha D over the texts that the mixer drew, one at a time, without dropout.
double objective(const std::string& method) {
  Training t(method);
  Objective objective(t.model, t.recipe, t.pools, &t.distillation);
  Mixer mixer(13, {5}, 8, 0.375, 11);
  BufferCycle matching({5}, RandomStream(11, "der++"));
  Worst worst;
  for (std::int64_t step = 0; step < 3; ++step) {
    double task = 0, distilled = 0;
    for (const MixItem& item : mixer.batch(step)) {
      const bool is_new = item.source == 0;
      const Sample& sample = (is_new ? t.fresh : t.memory)[static_cast<std::size_t>(item.index)];
      const Vector p = softmax_of(t.logits(t.model, is_new ? "news" : "other", sample));
      const double w =
          is_new ? t.pools[0].class_weights[static_cast<std::size_t>(sample.label)] : 1;
      for (std::size_t k = 0; k < p.size(); ++k) {
        const double target = (static_cast<std::int32_t>(k) == sample.label ? 0.9 : 0) +
                              0.1 / static_cast<double>(p.size());
        task -= w * target * std::log(p[k]) / 8;
      }
      if (method == "lwf" && is_new) {
        distilled += kl(t.logits(t.old, "other", sample), t.logits(t.model, "other", sample), 2.5) /
                     static_cast<double>(mixer.new_before(step + 1) - mixer.new_before(step));
      }
    }
    const std::int64_t begin = mixer.old_before(step), end = mixer.old_before(step + 1);
    for (std::int64_t i = begin; method == "der++" && i < end; ++i) {
      const Sample& sample = t.memory[static_cast<std::size_t>(matching.at(i).index)];
      const Vector a = t.logits(t.model, "other", sample), b = t.logits(t.old, "other", sample);
      for (std::size_t k = 0; k < 2; ++k)
        distilled += (a[k] - b[k]) * (a[k] - b[k]) / 2 / static_cast<double>(end - begin);
    }
    const Objective::Terms terms = objective.batch(step);
    worst.add(relative_error(terms.task.item(), task));
    worst.add(relative_error(terms.distill.item(), 0.7 * distilled));
    worst.add(relative_error(terms.loss.value().item(), task + 0.7 * distilled));
  }
  return worst.value();
}

// s(theta) = batch loss with dropout, smoothing, class weights and distillation, plus EWC and L2:
// its gradient along random unit directions, one within every tensor and some through all.
double complete_gradient(const std::string& method) {
  Training t(method, 0.1);
  Objective objective(t.model, t.recipe, t.pools, &t.distillation);
  ParameterArena& arena = t.model.arena();
  const auto n = static_cast<std::size_t>(arena.numel());
  EwcPenalty ewc(0.3, t.old.arena());
  const Tensor fisher = Tensor::zeros({arena.numel()}, DType::f64);
  const Vector random = random_tensor({arena.numel()}, 5, 0, 1).to_vector();
  for (const NamedSlice& slice : arena.slices()) {
    for (auto i = static_cast<std::size_t>(slice.offset);
         i < static_cast<std::size_t>(slice.offset + slice.size); ++i)
      fisher.data<double>()[i] = random[i];
  }
  ewc.add(fisher, Normalization::mean);
  const Vector anchor = t.old.arena().values().to_vector(), base = arena.values().to_vector();
  const auto value = [&] {
    double l2 = 0;
    const auto theta = arena.values().span<double>();
    for (std::size_t i = 0; i < n; ++i)
      l2 += 0.02 * (theta[i] - anchor[i]) * (theta[i] - anchor[i]);
    const NoGrad no_grad;
    return objective.batch(1).loss.value().item() + ewc.value(arena.values()) + l2;
  };
  arena.zero_grad();
  backward(objective.batch(1).loss);
  arena.clear_unreached();
  ewc.add_gradient(arena.values(), arena.grads());
  Vector gradient = arena.grads().to_vector();
  for (std::size_t i = 0; i < n; ++i) gradient[i] += 0.04 * (base[i] - anchor[i]);

  Worst worst;
  const RandomStream stream(6, "audit directions");
  const std::vector<NamedSlice> slices = arena.slices();
  for (std::size_t which = 0; which < slices.size() + 4; ++which) {
    Vector direction(n, 0);
    double length = 0, analytic = 0;
    for (std::size_t s = 0; s < slices.size(); ++s) {
      if (which < slices.size() && s != which) continue;
      for (auto i = static_cast<std::size_t>(slices[s].offset);
           i < static_cast<std::size_t>(slices[s].offset + slices[s].size); ++i) {
        direction[i] = stream.normal(which, i);
        length += direction[i] * direction[i];
      }
    }
    for (std::size_t i = 0; i < n; ++i)
      analytic += gradient[i] * (direction[i] /= std::sqrt(length));
    const auto at = [&](double distance) {
      for (std::size_t i = 0; i < n; ++i)
        arena.values().data<double>()[i] = base[i] + distance * direction[i];
      return value();
    };
    const auto central = [&](double h) { return (at(h) - at(-h)) / (2 * h); };
    const double h = 2e-3, numeric = (64 * central(h) - 20 * central(2 * h) + central(4 * h)) / 45;
    worst.add(std::abs(analytic - numeric) /
              std::max({1.0, std::abs(analytic), std::abs(numeric)}));
  }
  return worst.value();
}

// theta after two steps of the recipe: the gradient by another model's backward pass, then norm,
// clipping, schedule and AdamW with EWC written out.
double whole_step() {
  Training t("lwf", 0.1), twin("lwf", 0.1);
  EwcPenalty ewc(0.3, t.old.arena());
  ewc.add(Tensor::full({t.old.arena().numel()}, DType::f64, 1), Normalization::none);
  const Measures measures{.ewc = &ewc, .distillation = &t.distillation};
  t.recipe.ewc.emplace();
  TrainingStep step(t.model, t.recipe, t.pools, measures);
  Objective objective(twin.model, twin.recipe, twin.pools, &twin.distillation);
  ParameterArena& arena = twin.model.arena();
  const auto n = static_cast<std::size_t>(arena.numel());
  std::vector<reference::PulledAdamW> oracles;  // matrices decay, the rest does not
  for (const double decay : {0.1, 0.0}) {
    reference::PulledAdamW& o = oracles.emplace_back();
    o.decay = decay, o.lambda = 0.3, o.beta1 = 0.8, o.beta2 = 0.95, o.epsilon = 1e-4;
    o.theta = arena.values().to_vector();
    o.old = t.old.arena().values().to_vector(), o.fisher = Vector(n, 1), o.m = o.v = Vector(n, 0);
  }
  Worst worst;
  for (std::int64_t s = 0; s < 3; ++s) {
    arena.zero_grad();
    const Objective::Terms terms = objective.batch(s);
    backward(terms.loss);
    arena.clear_unreached();
    const Vector g = arena.grads().to_vector();
    const double norm = std::sqrt(std::inner_product(g.begin(), g.end(), g.begin(), 0.0));
    const double factor = Schedule(ScheduleKind::cosine, 5, 0.4, 0.05).factor(s);
    double penalty = 0;
    for (const NamedSlice& slice : arena.slices()) {
      const reference::PulledAdamW& o = oracles[slice.decay ? 0 : 1];
      for (auto i = static_cast<std::size_t>(slice.offset);
           i < static_cast<std::size_t>(slice.offset + slice.size); ++i)
        penalty += 0.3 * (arena.values().data<double>()[i] - o.old[i]) *
                   (arena.values().data<double>()[i] - o.old[i]);
    }
    for (reference::PulledAdamW& o : oracles) {
      o.rate = 0.01 * factor, o.clip = std::min(1.0, 0.5 / (norm + 1e-6));
      o.step(g);
    }
    const StepRecord record = step.run(s);
    for (const NamedSlice& slice : arena.slices()) {
      const reference::PulledAdamW& o = oracles[slice.decay ? 0 : 1];
      for (auto i = static_cast<std::size_t>(slice.offset);
           i < static_cast<std::size_t>(slice.offset + slice.size); ++i)
        arena.values().data<double>()[i] = o.theta[i];
    }
    worst.add(relative_error(t.model.arena().values().to_vector(), arena.values().to_vector()));
    worst.add(relative_error(record.loss, terms.task.item()));
    worst.add(relative_error(record.distill, terms.distill.item()));
    worst.add(relative_error(record.grad_norm, norm));
    worst.add(relative_error(record.clip, std::min(1.0, 0.5 / (norm + 1e-6))));
    worst.add(relative_error(record.penalty, penalty));
    worst.add(relative_error(record.rate_high, 0.01 * factor));
    worst.add(relative_error(record.penalty_share(), penalty / (penalty + terms.task.item())));
  }
  return worst.value();
}

}  // namespace

std::vector<Case> loss_cases() {
  Family family("losses and steps");
  family.formula({.name = "distillation",
                  .equation = "T^2/n sum_n KL(softmax(z'/T) || softmax(z/T)); mean (z - z')^2",
                  .source = "Hinton et al. 2015; Li & Hoiem 2016; Buzzega et al. 2020",
                  .against = "loops in double, T of 1 and 2.5",
                  .covers = "train/distill.h: distillation_loss, train/distill.h: "
                            "logit_matching_loss, train/distill.h: Teacher",
                  .bound = 1e-13},
                 distillation);
  family.gradient(
      {.name = "distillation, gradient",
       .equation = "T/n (softmax(z/T) - softmax(z'/T)); 2 (z - z') / nK",
       .source = "Hinton et al. 2015",
       .against = "Richardson's differences, every element",
       .covers = "train/distill.h: distillation_loss, train/distill.h: logit_matching_loss",
       .unit = "of max(1,|dx|)",
       .bound = 1e-9},
      distillation_gradient);
  for (const std::string method : {"lwf", "der++"}) {
    family.formula({.name = "a batch's loss, " + method,
                    .equation = "1/B sum_n w_n CE_s(n) + alpha D",
                    .source = "definition",
                    .against = "one text at a time, three steps; class weights, smoothing, replay",
                    .covers = "train/objective.h: Objective",
                    .bound = 1e-12},
                   [method] { return objective(method); });
    family.gradient(
        {.name = "complete BERT loss, " + method,
         .equation = "grad of 1/B sum w CE + alpha D + lambda sum Fh d^2 + w sum d^2, with dropout",
         .source = "definition",
         .against =
             "Richardson's differences, a unit direction in every tensor and four through all",
         .covers = "train/objective.h: Objective, train/penalty.h: EwcPenalty",
         .unit = "of max(1,|dx|)",
         .bound = 1e-8},
        [method] { return complete_gradient(method); });
  }
  family.formula({.name = "a whole step",
                  .equation = "loss, norm, clip, EWC, schedule, AdamW",
                  .source = "definition",
                  .against = "a twin's gradient and a textbook loop, three steps; rates as the row "
                             "of the schedule has them",
                  .covers = "train/step.h: TrainingStep",
                  .unit = "relative",
                  .bound = 1e-11},
                 whole_step);
  return family.take();
}

}  // namespace holdfast::audit
