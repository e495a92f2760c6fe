// 5. Attention that learns where to look.
//
// One learns what queries, keys and values are for. A text is some tokens, one of which is marked
// (its type is 1); its class is the marked token. The first position must fetch it, wherever it is.
// One head of attention
//   y = softmax(q K^T / sqrt(D)) V      [Vaswani et al. 2017, eq. 1; docs/math/attention.md]
// can: keys learn to show the mark, the first position's query to ask for it, values to carry the
// token. The texts have different lengths and lie packed, without padding (DESIGN.md).
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <vector>

#include "autograd/fused.h"
#include "examples/learn/toy.h"
#include "nn/batch.h"

using namespace holdfast;

namespace {

constexpr std::int64_t kTokens = 6, kChannels = 8, kTexts = 64;

struct Text {
  std::vector<std::int32_t> ids, types;
  std::int32_t label = 0;
};

// Text b of a step: 3 to 8 random tokens, one of those after the first marked.
Text make_text(std::uint64_t step, std::uint64_t b) {
  const RandomStream random(9, "texts");
  const auto draw = [&](std::uint64_t n, std::uint64_t place) {
    return random.below(n, step, 16 * b + place);
  };
  const std::uint64_t length = 3 + draw(6, 0), marked = 1 + draw(length - 1, 1);
  Text text;
  for (std::uint64_t t = 0; t < length; ++t) {
    text.ids.push_back(static_cast<std::int32_t>(draw(kTokens, 2 + t)));
    text.types.push_back(t == marked ? 1 : 0);
  }
  text.label = text.ids[marked];
  return text;
}

struct Looker {
  ParameterArena arena;
  std::size_t words, types, weight, bias, out_weight, out_bias;

  Looker() {
    words = toy::declare(arena, "words", {kTokens, kChannels});
    types = toy::declare(arena, "types", {2, kChannels});
    weight = toy::declare(arena, "qkv.weight", {3 * kChannels, kChannels});
    bias = toy::declare(arena, "qkv.bias", {3 * kChannels});
    out_weight = toy::declare(arena, "out.weight", {kTokens, kChannels});
    out_bias = toy::declare(arena, "out.bias", {kTokens});
    arena.allocate(DType::f64);
    toy::randomize(arena, 0.4, 1);
  }

  Var qkv(const Batch& batch) {
    const Var x =
        add(embedding(Var(arena[words]), batch.ids), embedding(Var(arena[types]), batch.type_ids));
    return linear(x, Var(arena[weight]), Var(arena[bias]));
  }
  Var logits(const Batch& batch) {
    const Var y = attention(qkv(batch), 1, batch.packing, {});
    return linear(gather(y, batch.first), Var(arena[out_weight]), Var(arena[out_bias]));
  }
  // softmax(q_0 K^T / sqrt(D)) of one text: how much the first position takes from each.
  std::vector<double> weights(const Batch& batch) {
    const Var all = qkv(batch), q = slice(slice(all, 0, 0, 1), 1, 0, kChannels),
              K = slice(all, 1, kChannels, 2 * kChannels);
    return softmax(scale(matmul(q, transpose(K, 0, 1)), 1 / std::sqrt(double{kChannels})))
        .value()
        .to_vector();
  }
};

Batch packed(const std::vector<Text>& texts) {
  std::vector<TokenSpan> spans;
  for (const Text& text : texts)
    spans.push_back(
        {.ids = text.ids, .type_ids = text.types, .slot = static_cast<std::int32_t>(spans.size())});
  return pack(spans);
}

struct Score {
  double loss = 0, right = 0;
};

// One step, and how the batch was answered before it.
Score learn(Looker& model, std::uint64_t step) {
  std::vector<Text> texts;
  std::vector<std::int32_t> labels;
  for (std::uint64_t b = 0; b < kTexts; ++b) {
    texts.push_back(make_text(step, b));
    labels.push_back(texts.back().label);
  }
  const Var logits = model.logits(packed(texts));
  const Var loss = softmax_cross_entropy(logits, Tensor::from(labels, {kTexts}),
                                         Tensor::full({kTexts}, DType::f64, 1.0 / kTexts));
  Score score{loss.value().item(), 0};
  const std::vector<double> z = logits.value().to_vector();
  for (std::size_t b = 0; b < labels.size(); ++b) {
    const auto row = z.begin() + static_cast<std::ptrdiff_t>(b) * kTokens;
    if (std::max_element(row, row + kTokens) - row == labels[b]) score.right += 100.0 / kTexts;
  }
  backward(loss);
  toy::descend(model.arena, 0.5);
  return score;
}

}  // namespace

int main() {
  Looker model;
  Score score;
  for (std::uint64_t step = 0; step <= 2000; ++step) {
    score = learn(model, step);
    if (step % 500 == 0)
      std::printf("step %4d  loss %.4f  right %5.1f%%\n", static_cast<int>(step), score.loss,
                  score.right);
  }
  const Text text{.ids = {4, 2, 2, 5, 0, 3}, .types = {0, 0, 0, 1, 0, 0}, .label = 5};
  std::printf("tokens           ");
  for (std::size_t t = 0; t < text.ids.size(); ++t)
    std::printf("  %d%s  ", text.ids[t], text.types[t] == 1 ? "*" : " ");
  std::printf("  (* marked)\nthe first looks at");
  const std::vector<double> weights = model.weights(packed({text}));
  for (const double weight : weights) std::printf(" %.3f", weight);
  std::printf("\n");
  return score.right > 99 && weights[3] > 0.9 ? 0 : 1;
}
