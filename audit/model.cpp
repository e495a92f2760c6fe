// The whole network beside one number at a time (reference/bert_layer.h), with every adapter.
#include <cmath>

#include "audit/case.h"
#include "audit/reference/adapter_models.h"
#include "audit/reference/bert_layer.h"
#include "audit/reference/twins.h"

namespace holdfast::audit {
namespace {

using reference::Rows;
using testing::Texts;
using Vector = std::vector<double>;

Vector values(const Model& model, const std::string& name) {
  return model.arena().value(*model.arena().find(name)).to_vector();
}

// y = x W^T + b of one row.
Vector affine(const Model& model, const Vector& x, const std::string& name) {
  const Vector weight = values(model, name + "weight"), bias = values(model, name + "bias");
  Vector y = bias;
  for (std::size_t o = 0; o < y.size(); ++o) {
    for (std::size_t i = 0; i < x.size(); ++i) y[o] += weight[o * x.size() + i] * x[i];
  }
  return y;
}

Rows embedded(const Model& model, std::span<const std::int32_t> ids) {
  const auto C = static_cast<std::size_t>(model.config().hidden_size);
  const Vector words = values(model, "embeddings.word_embeddings.weight"),
               positions = values(model, "embeddings.position_embeddings.weight"),
               types = values(model, "embeddings.token_type_embeddings.weight"),
               gamma = values(model, "embeddings.LayerNorm.weight"),
               beta = values(model, "embeddings.LayerNorm.bias");
  Rows rows;
  for (std::size_t t = 0; t < ids.size(); ++t) {
    Vector row;
    double mean = 0, variance = 0;
    for (std::size_t c = 0; c < C; ++c) {
      row.push_back(words[static_cast<std::size_t>(ids[t]) * C + c] + positions[t * C + c] +
                    types[c]);
      mean += row[c] / static_cast<double>(C);
    }
    for (const double x : row) variance += (x - mean) * (x - mean) / static_cast<double>(C);
    for (std::size_t c = 0; c < C; ++c) {
      row[c] = gamma[c] * (row[c] - mean) / std::sqrt(variance + model.config().layer_norm_eps) +
               beta[c];
    }
    rows.push_back(row);
  }
  return rows;
}

struct Naive {
  Vector hidden, logits;  // of all tokens; of the texts
};

Naive naive(const Model& model, const Texts& texts) {
  Naive out;
  for (const auto& ids : {texts.first, texts.second, texts.third}) {
    Rows rows = embedded(model, ids);
    for (std::int64_t layer = 0; layer < model.config().layers; ++layer) {
      rows = reference::BertLayer(model, layer)(rows);
    }
    for (const Vector& row : rows) out.hidden.insert(out.hidden.end(), row.begin(), row.end());
    Vector pooled = affine(model, rows[0], "pooler.dense.");
    for (double& x : pooled) x = std::tanh(x);
    const Vector logits = affine(model, pooled, "heads.news.");
    out.logits.insert(out.logits.end(), logits.begin(), logits.end());
  }
  return out;
}

Model model_of(AdapterKind kind, DType dtype) {
  Model model =
      kind == AdapterKind::none ? testing::base_model(dtype) : testing::adapted_model(kind, dtype);
  // Biases and norms as after training: a fresh model's are 0 and 1.
  for (const NamedSlice& slice : model.arena().slices()) {
    if (slice.decay || slice.adapter) continue;
    const Tensor x = model.arena().value(slice);
    x.copy_from(random_tensor(slice.shape, static_cast<std::uint64_t>(slice.offset), 0.5));
    if (!slice.name.ends_with("LayerNorm.weight")) continue;
    dispatch(dtype, "audit", [&]<class T>() {
      for (T& g : x.span<T>()) g += 1;
    });
  }
  return model;
}

double forward(AdapterKind kind, DType dtype) {
  Model model = model_of(kind, dtype);
  const Texts texts;
  const Naive expected = naive(model, texts);
  Worst worst;
  worst.add(relative_error(model.encode(texts.batch).value().to_vector(), expected.hidden));
  worst.add(
      relative_error(testing::logits_of(model, texts.batch).value().to_vector(), expected.logits));
  const Tensor rows = Tensor::from(std::vector<std::int32_t>{2, 0}, {2});  // of some texts alone
  const Vector some =
      model.logits(model.pool(texts.batch), model.heads()[0], rows).value().to_vector();
  Vector chosen(expected.logits.begin() + 6, expected.logits.end());
  chosen.insert(chosen.end(), expected.logits.begin(), expected.logits.begin() + 3);
  worst.add(relative_error(some, chosen));
  return worst.value();
}

// The loss's gradient along a random unit direction within each tensor of the adapter and heads,
// beside central differences with one step of Richardson's extrapolation.
double adapter_gradient(AdapterKind kind) {
  Model model = model_of(kind, DType::f64);
  const Texts texts;
  ParameterArena& arena = model.arena();
  backward(testing::loss_of(model, texts));
  Worst worst;
  for (const NamedSlice& slice : arena.slices()) {
    if (!arena.trainable(slice) || slice.task == "medical") continue;  // the loss is of task news
    const std::span<double> theta = arena.value(slice).span<double>(),
                            slope = arena.grad(slice).span<double>();
    const Vector base(theta.begin(), theta.end());
    Vector direction = random_tensor(slice.shape, 11).to_vector();
    double length = 0, analytic = 0;
    for (const double d : direction) length += d * d;
    for (std::size_t i = 0; i < base.size(); ++i)
      analytic += slope[i] * (direction[i] /= std::sqrt(length));
    const auto difference = [&](double h) {  // D(h) = (s(x + h d) - s(x - h d)) / 2h
      double s[2];
      for (const int side : {0, 1}) {
        for (std::size_t i = 0; i < base.size(); ++i)
          theta[i] = base[i] + (side == 0 ? h : -h) * direction[i];
        s[side] = testing::loss_of(model, texts).value().item();
      }
      std::ranges::copy(base, theta.begin());
      return (s[0] - s[1]) / (2 * h);
    };
    const double numeric = (4 * difference(1e-3) - difference(2e-3)) / 3;
    worst.add(std::abs(analytic - numeric) /
              std::max({1.0, std::abs(analytic), std::abs(numeric)}));
  }
  return worst.value();
}

// W + (alpha / rank) B A in double, and the same logits afterwards.
double merged_lora() {
  Model model = model_of(AdapterKind::lora, DType::f64);
  const Texts texts;
  const Vector expected = naive(model, texts).logits;
  model.merge_lora();
  Worst worst;
  worst.add(unequal(model.adapter().kind, AdapterKind::none));
  worst.add(relative_error(testing::logits_of(model, texts.batch).value().to_vector(), expected));
  return worst.value();
}

// A site's mask: its own stream, and p in 65536ths.
double dropout_sites() {
  const DropoutPlan plan{.active = true, .seed = 5, .step = 9};
  Worst worst;
  for (const double p : {0.0, 0.1, 0.25, 0.999}) {
    const DropoutKey key = plan.at("layer.0.output", p);
    worst.add(unequal(key.threshold, static_cast<std::uint32_t>(std::floor(p * 65536 + 0.5))));
    worst.add(unequal(key.key, RandomStream(5, "dropout/layer.0.output").key()));
    worst.add(unequal(key.step, std::uint32_t{9}));
    worst.add(relative_error(key.scale(), 1 / (1 - static_cast<double>(key.threshold) / 65536)));
  }
  worst.add(DropoutPlan{}.at("layer.0.output", 0.5).active() ? 1 : 0);
  // With all of the network's masks: every text's logits are far from those without.
  Model model = model_of(AdapterKind::none, DType::f64);
  model.set_dropout(0.3);
  const Texts texts;
  const Vector plain = testing::logits_of(model, texts.batch).value().to_vector(),
               dropped = testing::logits_of(model, texts.batch, plan).value().to_vector();
  worst.add(relative_error(dropped, plain) > 0.01 ? 0 : 1);
  return worst.value();
}

}  // namespace

std::vector<Case> model_cases() {
  Family family("model");
  for (const auto& [kind, name, equation, source] :
       {std::tuple{AdapterKind::none, "BERT", "embeddings, layers, tanh(W h_[CLS] + b), classifier",
                   "Devlin et al. 2019"},
        {AdapterKind::houlsby, "BERT with Houlsby's adapter",
         "LN(residual + x + U gelu(D x + d) + e)", "Houlsby et al. 2019"},
        {AdapterKind::pfeiffer, "BERT with Pfeiffer's adapter", "LN(z + u(LN z)), z = residual + x",
         "Pfeiffer et al. 2021"},
        {AdapterKind::lora, "BERT with LoRA", "W + (alpha / rank) B A on query and value",
         "Hu et al. 2022"}}) {
    for (const DType dtype : {DType::f64, DType::f32}) {
      family.formula(
          {.name = name + std::string(", ") + std::string(name_of(dtype)),
           .equation = equation,
           .source = source,
           .against = "one number at a time in double, two layers, texts of 1 to 5 tokens",
           .covers = "nn/model.h: Model",
           .unit = "of the largest element",
           .bound = dtype == DType::f64 ? 1e-12 : 2e-5},
          [=] { return on_every_isa([&] { return forward(kind, dtype); }); });
    }
    if (kind == AdapterKind::none) continue;  // the family "losses" has the complete gradient
    family.gradient({.name = name + std::string(", gradient"),
                     .equation = "backward passes of adapter and head",
                     .source = source,
                     .against = "Richardson's differences, a random direction in each tensor",
                     .covers = "nn/model.h: Model",
                     .unit = "of max(1,|dx|)",
                     .bound = 1e-9},
                    [kind = kind] { return adapter_gradient(kind); });
  }
  family.formula({.name = "merged LoRA",
                  .equation = "W += (alpha / rank) B A",
                  .source = "Hu et al. 2022",
                  .against = "the logits before",
                  .covers = "nn/model.h: merge_lora",
                  .unit = "of the largest element",
                  .bound = 1e-12},
                 merged_lora);
  family.formula(
      {.name = "dropout sites",
       .equation = "threshold round(65536 p), kept values by 65536 / (65536 - threshold)",
       .source = "Srivastava et al. 2014",
       .against = "closed form, four probabilities",
       .covers = "nn/model.h: DropoutPlan, tensor/random.h: DropoutKey",
       .bound = 1e-14},
      dropout_sites);
  return family.take();
}

}  // namespace holdfast::audit
