// The forward pass of BERT [Devlin et al. 2019] on a packed batch: every layer but attention sees
// one (N, C) matrix of all tokens.
#include <cmath>

#include "nn/model.h"
#include "tensor/random.h"

namespace holdfast {
namespace {

void record(ActivationTrace* trace, std::string name, const Tensor& value) {
  if (trace != nullptr) trace->emplace_back(std::move(name), value.contiguous());
}

}  // namespace

DropoutKey DropoutPlan::at(std::string_view site, double p) const {
  if (!active) return {};
  return {.key = RandomStream(seed, "dropout/" + std::string(site)).key(),
          .step = step,
          .threshold = static_cast<std::uint32_t>(std::lround(p * 65536.0))};
}

Var Model::encode(const Batch& batch, const DropoutPlan& dropout, ActivationTrace* trace) {
  return encode_rows({.numbers = {}, .packing = batch.packing}, batch, dropout, trace);
}

Var Model::encode_rows(const Rows& rows, const Batch& batch, const DropoutPlan& dropout,
                       ActivationTrace* trace) {
  ParameterArena& arena = *arena_;
  Var hidden = embedding_layer_norm(
      Var(arena[words_]), Var(arena[positions_]), Var(arena[types_]), batch.ids, batch.positions,
      batch.type_ids, Var(arena[embedding_norm_.weight]), Var(arena[embedding_norm_.bias]),
      config_.layer_norm_eps, dropout.at("embeddings", config_.hidden_dropout), batch.packing);
  record(trace, "bert.embeddings", hidden.value());
  if (trace != nullptr) trace_tables(batch, *trace);
  const Rows all{.numbers = {}, .packing = batch.packing};
  for (std::size_t index = 0; index < layers_.size(); ++index) {
    const bool last = index + 1 == layers_.size();
    hidden = encode_layer(index, hidden, last ? rows : all, batch.packing, dropout, trace);
  }
  return hidden;
}

void Model::trace_tables(const Batch& batch, ActivationTrace& trace) {
  const NoGrad off;
  const auto rows = [&](const char* name, std::size_t table, const Tensor& ids) {
    trace.emplace_back(std::string("bert.embeddings.") + name,
                       embedding(Var((*arena_)[table]), ids).value());
  };
  rows("word_embeddings", words_, batch.ids);
  rows("position_embeddings", positions_, batch.positions);
  rows("token_type_embeddings", types_, batch.type_ids);
}

void Model::trace_product(const std::string& path, const Var& x, const Affine& affine,
                          ActivationTrace* trace) {
  if (trace == nullptr) return;
  const NoGrad off;
  trace->emplace_back(path, apply(x, affine).value());
}

Var Model::apply(const Var& x, const Affine& affine, Activation activation) {
  return linear(x, Var((*arena_)[affine.weight]), Var((*arena_)[affine.bias]), activation);
}

Var Model::attend(std::size_t index, const Var& input, const Var& asking, const Rows& rows,
                  const Packing& packing, const DropoutPlan& dropout, ActivationTrace* trace) {
  const Layer& layer = layers_[index];
  const std::string site = "layer." + std::to_string(index) + ".attention";
  const DropoutKey key = dropout.at(site + ".probabilities", config_.attention_dropout);
  const std::int64_t C = config_.hidden_size;
  const LoraTerms lora = layer.lora ? lora_terms(input, rows, *layer.lora) : LoraTerms();
  Var context;
  Tensor query, key_value;
  if (index + 1 < layers_.size()) {
    Var qkv = apply(input, layer.qkv);
    if (layer.lora) qkv = add(qkv, concat({lora.query, lora.key, lora.value}, 1));
    context = attention(qkv, config_.heads, packing, key);
    query = qkv.value().slice(1, 0, C);
    key_value = qkv.value().slice(1, C, 3 * C);
  } else {
    Var q = apply(asking, layer.query), kv = apply(input, layer.key_value);
    if (layer.lora) {
      q = add(q, lora.query);
      kv = add(kv, concat({lora.key, lora.value}, 1));
    }
    context = attention(q, kv, config_.heads, rows.packing, packing, key);
    query = q.value();
    key_value = kv.value();
  }
  const std::string path = "bert.encoder." + site + ".self";
  record(trace, path + ".query", query);
  record(trace, path + ".key", key_value.slice(1, 0, C));
  record(trace, path + ".value", key_value.slice(1, C, 2 * C));
  record(trace, path, context.value());
  return context;
}

// Post-norm encoder layer [Vaswani et al. 2017, section 3.1]:
//   a = LN(x + dropout(W_o attention(W_qkv x))),  y = LN(a + dropout(W_2 gelu(W_1 a))),
// an adapter in its places (nn/adapter.cpp).
Var Model::encode_layer(std::size_t index, const Var& input, const Rows& rows,
                        const Packing& packing, const DropoutPlan& dropout,
                        ActivationTrace* trace) {
  const Layer& layer = layers_[index];
  const std::string site = "layer." + std::to_string(index);
  const Var x = rows.of(input);
  const Var context = attend(index, input, x, rows, packing, dropout, trace);
  const Var projected = apply(context, layer.attention_output);
  const Var attended = add_and_norm(projected, x, layer.attention_norm,
                                    dropout.at(site + ".attention.output", config_.hidden_dropout),
                                    rows.packing, layer.attention_adapter);
  const Var inner = apply(attended, layer.intermediate, config_.activation);
  const Var outer = apply(inner, layer.output);
  const Var output = add_and_norm(outer, attended, layer.output_norm,
                                  dropout.at(site + ".output", config_.hidden_dropout),
                                  rows.packing, layer.output_adapter);

  const std::string path = "bert.encoder." + site;
  record(trace, path + ".attention.output.dense", projected.value());
  record(trace, path + ".attention.output", attended.value());
  trace_product(path + ".intermediate.dense", attended, layer.intermediate, trace);
  record(trace, path + ".intermediate", inner.value());
  record(trace, path + ".output.dense", outer.value());
  record(trace, path + ".output", output.value());
  if (index + 1 == layers_.size()) record(trace, "bert.encoder", output.value());
  return output;
}

Var Model::pool(const Batch& batch, const DropoutPlan& plan, ActivationTrace* trace) {
  const Rows first{.numbers = batch.first, .packing = batch.first_packing};
  const Var hidden = trace == nullptr ? encode_rows(first, batch, plan, nullptr)
                                      : first.of(encode(batch, plan, trace));
  const Var pooled = apply(hidden, pooler_, Activation::tanh);
  trace_product("bert.pooler.dense", hidden, pooler_, trace);
  record(trace, "bert.pooler", pooled.value());
  const double p =
      config_.classifier_dropout < 0 ? config_.hidden_dropout : config_.classifier_dropout;
  const DropoutKey key = plan.at("classifier", p);
  return key.active() ? dropout(pooled, key, first.packing.slots, first.packing.tokens) : pooled;
}

Var Model::logits(const Var& pooled, const Head& head, const Tensor& rows) {
  return linear(rows.defined() ? gather(pooled, rows) : pooled, Var((*arena_)[head.weight]),
                Var((*arena_)[head.bias]));
}

}  // namespace holdfast
