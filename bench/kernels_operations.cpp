// The fused operations that a network is made of, forward and backward, and BERT's layer whole: 32
// texts of 128 tokens, and 32 texts of news lengths (54 tokens on average).
#include <memory>

#include "autograd/fused.h"
#include "bench/kernels.h"

namespace holdfast::bench {
namespace {

struct Sizes {
  const char* model;
  std::int64_t C, H, I;
};
constexpr Sizes kMiniLm{"minilm", 384, 12, 1536}, kBase{"base", 768, 12, 3072};

constexpr std::int32_t kTexts = 32;

struct Lengths {
  std::string name;
  Packing packing;
  double pairs = 0;  // of query and key

  explicit Lengths(bool news) : name(news ? "news" : "full") {
    std::vector<std::int32_t> offsets{0}, slots, tokens;
    for (std::int32_t b = 0; b < kTexts; ++b) {
      const std::int32_t length = !news || b == 0 ? 128 : 30 + b * 37 % 44;
      for (std::int32_t t = 0; t < length; ++t) slots.push_back(b), tokens.push_back(t);
      offsets.push_back(offsets.back() + length);
      pairs += static_cast<double>(length) * length;
    }
    packing = {Tensor::from(offsets, {kTexts + 1}), Tensor::from(slots, {offsets.back()}),
               Tensor::from(tokens, {offsets.back()})};
  }
  std::int64_t rows() const { return packing.rows(); }
};

const DropoutKey kDropout{.key = {1, 2}, .step = 3, .threshold = 6554};

// A parameter with room for its gradient. Graphs refer to it: it must stay where it is.
struct Leaf : Parameter {
  explicit Leaf(const Shape& shape, double size = 1.0) {
    value = noise(shape, size);
    grad = Tensor::zeros(shape, DType::f32);
  }
};
using LeafPointer = std::shared_ptr<Leaf>;
LeafPointer leaf(const Shape& shape, double size = 1.0) {
  return std::make_shared<Leaf>(shape, size);
}
// Not a parameter itself, as in a network.
Var inner(const LeafPointer& x) { return scale(Var(*x), 1.0); }

/// Two rows: the operation, and its gradient alone. `make` returns a function that builds the
/// graph.
template <class Make>
void add(const std::string& name, const std::string& shape, const Work& forward,
         const Work& backward_work, Make make) {
  add_row("op." + name + ".forward", shape, forward,
          [make] { return [operation = make()] { operation(); }; });
  add_row("op." + name + ".backward", shape, backward_work, [make] {
    const auto operation = make();
    const Var y = operation();
    return [operation, y, dout = noise(y.shape())] { backward(y, dout); };
  });
}

void add_linear(const Sizes& s, const Lengths& texts, const char* name, std::int64_t I,
                std::int64_t O, Activation activation) {
  const double flops = 2.0 * static_cast<double>(texts.rows() * I * O);
  add(std::string("linear_") + name, std::string(s.model) + " " + texts.name, {.flops = flops},
      {.flops = 2 * flops}, [=, rows = texts.rows()] {
        return [=, x = leaf({rows, I}), w = leaf({O, I}, 0.05), b = leaf({O}, 0.1)] {
          return linear(inner(x), Var(*w), Var(*b), activation);
        };
      });
}

void add_attention(const Sizes& s, const Lengths& texts) {
  const double product = texts.pairs * 2.0 * static_cast<double>(s.C);
  add("attention", std::string(s.model) + " " + texts.name, {.flops = 2 * product},
      {.flops = 5 * product}, [=, packing = texts.packing] {
        return [=, qkv = leaf({packing.rows(), 3 * s.C})] {
          return attention(Var(*qkv), s.H, packing, kDropout);
        };
      });
}

void add_norm(const Sizes& s, const Lengths& texts) {
  const double matrix = 4.0 * static_cast<double>(texts.rows() * s.C);
  add("dropout_residual_layer_norm", std::string(s.model) + " " + texts.name, {.bytes = 4 * matrix},
      {.bytes = 4 * matrix}, [=, packing = texts.packing] {
        return [=, x = leaf({packing.rows(), s.C}), residual = leaf({packing.rows(), s.C}),
                gamma = leaf({s.C}), beta = leaf({s.C})] {
          return dropout_residual_layer_norm(Var(*x), Var(*residual), Var(*gamma), Var(*beta),
                                             1e-12, kDropout, packing);
        };
      });
}

// The layer of BERT: everything above, in order.
struct Layer {
  Sizes s;
  Packing packing;
  Leaf x, qkv_weight, qkv_bias, mix_weight, up_weight, up_bias, down_weight, vector, gamma;

  Layer(const Sizes& sizes, const Packing& texts)
      : s(sizes),
        packing(texts),
        x({packing.rows(), s.C}),
        qkv_weight({3 * s.C, s.C}, 0.05),
        qkv_bias({3 * s.C}, 0.1),
        mix_weight({s.C, s.C}, 0.05),
        up_weight({s.I, s.C}, 0.05),
        up_bias({s.I}, 0.1),
        down_weight({s.C, s.I}, 0.05),
        vector({s.C}, 0.1),
        gamma({s.C}) {}

  Var operator()() {
    const Var input = scale(Var(x), 1.0), b(vector), g(gamma);
    const Var qkv = linear(input, Var(qkv_weight), Var(qkv_bias));
    const Var mixed = linear(attention(qkv, s.H, packing, kDropout), Var(mix_weight), b);
    const Var h = dropout_residual_layer_norm(mixed, input, g, b, 1e-12, kDropout, packing);
    const Var up = linear(h, Var(up_weight), Var(up_bias), Activation::gelu_erf);
    return dropout_residual_layer_norm(linear(up, Var(down_weight), b), h, g, b, 1e-12, kDropout,
                                       packing);
  }
};

// Its linear layers' and attention's useful work, forward and backward.
void add_layer(const Sizes& s, const Lengths& texts) {
  const double weights = static_cast<double>(4 * s.C * s.C + 2 * s.C * s.I);
  const double flops = 6.0 * weights * static_cast<double>(texts.rows()) +
                       12.0 * static_cast<double>(s.C) * texts.pairs;
  add_row("layer.step", std::string(s.model) + " " + texts.name, {.flops = flops},
          [=, packing = texts.packing] {
            return [layer = std::make_shared<Layer>(s, packing),
                    dout = noise({packing.rows(), s.C})] { backward((*layer)(), dout); };
          });
}

}  // namespace

void add_operations() {
  for (const auto& [s, news] :
       {std::pair{kMiniLm, false}, std::pair{kMiniLm, true}, std::pair{kBase, false}}) {
    const Lengths texts(news);
    add_linear(s, texts, "qkv", s.C, 3 * s.C, Activation::none);
    add_linear(s, texts, "mix", s.C, s.C, Activation::none);
    add_linear(s, texts, "gelu", s.C, s.I, Activation::gelu_erf);
    add_linear(s, texts, "down", s.I, s.C, Activation::none);
    add_attention(s, texts);
    add_norm(s, texts);
    add_layer(s, texts);
  }
}

}  // namespace holdfast::bench
