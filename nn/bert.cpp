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
  ParameterArena& arena = *arena_;
  Var hidden = embedding_layer_norm(
      Var(arena[words_]), Var(arena[positions_]), Var(arena[types_]), batch.ids, batch.positions,
      batch.type_ids, Var(arena[embedding_norm_.weight]), Var(arena[embedding_norm_.bias]),
      config_.layer_norm_eps, dropout.at("embeddings", config_.hidden_dropout), batch.packing);
  record(trace, "bert.embeddings", hidden.value());
  for (std::size_t index = 0; index < layers_.size(); ++index) {
    hidden = encode_layer(index, hidden, batch, dropout, trace);
  }
  return hidden;
}

Var Model::apply(const Var& x, const Affine& affine, Activation activation) {
  return linear(x, Var((*arena_)[affine.weight]), Var((*arena_)[affine.bias]), activation);
}

// Post-norm encoder layer [Vaswani et al. 2017, section 3.1]:
//   a = LN(x + dropout(W_o attention(W_qkv x))),  y = LN(a + dropout(W_2 gelu(W_1 a))),
// an adapter in its places (nn/adapter.cpp).
Var Model::encode_layer(std::size_t index, const Var& input, const Batch& batch,
                        const DropoutPlan& dropout, ActivationTrace* trace) {
  const Layer& layer = layers_[index];
  const std::string site = "layer." + std::to_string(index);
  const std::string path = "bert.encoder." + site;

  Var qkv = apply(input, layer.qkv);
  if (layer.lora) qkv = add_lora(qkv, input, *layer.lora);
  const Var context =
      attention(qkv, config_.heads, batch.packing,
                dropout.at(site + ".attention.probabilities", config_.attention_dropout));
  const Var projected = apply(context, layer.attention_output);
  const Var attended = add_and_norm(projected, input, layer.attention_norm,
                                    dropout.at(site + ".attention.output", config_.hidden_dropout),
                                    batch.packing, layer.attention_adapter);
  const Var inner = apply(attended, layer.intermediate, config_.activation);
  const Var outer = apply(inner, layer.output);
  const Var output = add_and_norm(outer, attended, layer.output_norm,
                                  dropout.at(site + ".output", config_.hidden_dropout),
                                  batch.packing, layer.output_adapter);

  if (trace != nullptr) {
    const std::int64_t C = config_.hidden_size;
    record(trace, path + ".attention.self.query", qkv.value().slice(1, 0, C));
    record(trace, path + ".attention.self.key", qkv.value().slice(1, C, 2 * C));
    record(trace, path + ".attention.self.value", qkv.value().slice(1, 2 * C, 3 * C));
    record(trace, path + ".attention.self", context.value());
    record(trace, path + ".attention.output.dense", projected.value());
    record(trace, path + ".attention.output", attended.value());
    record(trace, path + ".intermediate", inner.value());
    record(trace, path + ".output.dense", outer.value());
    record(trace, path + ".output", output.value());
  }
  return output;
}

Var Model::pool(const Var& hidden, const Batch& batch, const DropoutPlan& plan,
                ActivationTrace* trace) {
  const Var pooled = apply(gather(hidden, batch.first), pooler_, Activation::tanh);
  record(trace, "bert.pooler", pooled.value());
  const double p =
      config_.classifier_dropout < 0 ? config_.hidden_dropout : config_.classifier_dropout;
  const DropoutKey key = plan.at("classifier", p);
  if (!key.active()) return pooled;
  // Row b is the first token of text b: its place is (slot of the text, 0).
  const Tensor slots = Tensor::empty({batch.texts()}, DType::i32);
  const auto* first = batch.first.data<std::int32_t>();
  for (std::int64_t b = 0; b < batch.texts(); ++b) {
    slots.data<std::int32_t>()[b] = batch.packing.slots.data<std::int32_t>()[first[b]];
  }
  return dropout(pooled, key, slots, Tensor::zeros({batch.texts()}, DType::i32));
}

Var Model::logits(const Var& pooled, const Head& head, const Tensor& rows) {
  return linear(rows.defined() ? gather(pooled, rows) : pooled, Var((*arena_)[head.weight]),
                Var((*arena_)[head.bias]));
}

}  // namespace holdfast
