// Matrix products: the BLAS, our own linear layer, attention. Sizes are those of MiniLM's and
// BERT-base's layers.
#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "bench/ceilings.h"
#include "bench/kernels.h"
#include "tensor/blas.h"
#include "tensor/kernels/attention.h"
#include "tensor/kernels/dispatch.h"
#include "tensor/kernels/linear.h"
#include "tensor/kernels/round.h"

namespace holdfast::bench {
namespace {

using kernels::best;

constexpr std::int64_t kRows = 4096;  // 32 texts of 128 tokens

struct Layer {
  std::int64_t in, out;
  std::string text() const {
    return std::to_string(kRows) + "x" + std::to_string(in) + "x" + std::to_string(out);
  }
  Work work() const { return {.flops = 2.0 * static_cast<double>(kRows * in * out)}; }
};
const std::vector<Layer> kLayers{{384, 1152}, {384, 384}, {384, 1536}, {1536, 384},
                                 {768, 2304}, {768, 768}, {768, 3072}, {3072, 768}};

struct Operands {
  Tensor x, w, y;
  explicit Operands(const Layer& layer)
      : x(noise({kRows, layer.in})),
        w(noise({layer.out, layer.in}, 0.05)),
        y(noise({kRows, layer.out})) {}
};

// The three products of a linear layer: y = x W^T, dx = dy W, dW = dy^T x.
void add_gemm(const Layer& layer) {
  const auto [I, O] = layer;
  add_row("gemm.forward", layer.text(), layer.work(), [=] {
    return [=, o = Operands(layer)] {
      gemm(Trans::no, Trans::yes, kRows, O, I, 1.0f, o.x.data<float>(), I, o.w.data<float>(), I,
           0.0f, o.y.data<float>(), O);
    };
  });
  add_row("gemm.input_gradient", layer.text(), layer.work(), [=] {
    return [=, o = Operands(layer)] {
      gemm(Trans::no, Trans::no, kRows, I, O, 1.0f, o.y.data<float>(), O, o.w.data<float>(), I,
           0.0f, o.x.data<float>(), I);
    };
  });
  add_row("gemm.weight_gradient", layer.text(), layer.work(), [=] {
    return [=, o = Operands(layer)] {
      gemm(Trans::yes, Trans::no, O, I, kRows, 1.0f, o.y.data<float>(), O, o.x.data<float>(), I,
           0.0f, o.w.data<float>(), I);
    };
  });
}

// A text alone, and the last layer of a batch of 32: our kernel, and the library in its place.
void add_few_rows(const Layer& layer, std::int64_t rows) {
  const auto [I, O] = layer;
  const std::string size = std::to_string(rows) + "x" + std::to_string(I) + "x" + std::to_string(O);
  const Work work{.flops = 2.0 * static_cast<double>(rows * I * O)};
  for (const auto& [name, multiply] :
       std::vector<std::pair<std::string, decltype(&gemm_serial<float>)>>{
           {"gemm.few_rows", gemm<float>}, {"gemm.few_rows.library", gemm_serial<float>}}) {
    add_row(name, size, work, [=] {
      return [=, o = Operands(layer)] {
        multiply(Trans::no, Trans::yes, rows, O, I, 1.0f, o.x.data<float>(), I, o.w.data<float>(),
                 I, 0.0f, o.y.data<float>(), O);
      };
    });
  }
}

Tensor rounded(const Tensor& x) {
  const Tensor y = Tensor::empty(x.shape(), DType::bf16);
  best<kernels::Round>().to_bf16(x.data<float>(), x.numel(), y.data<Bf16>());
  return y;
}

// The same three with operands in bf16, sums and results in f32.
void add_gemm_bf16(const Layer& layer) {
  struct Rounded {
    Tensor x, w, y, out;
    explicit Rounded(const Operands& o)
        : x(rounded(o.x)),
          w(rounded(o.w)),
          y(rounded(o.y)),
          out(Tensor::empty({std::max({o.x.numel(), o.w.numel(), o.y.numel()})}, DType::f32)) {}
  };
  const auto [I, O] = layer;
  const Work work{.bf16_flops = layer.work().flops};
  add_row("gemm_bf16.forward", layer.text(), work, [=] {
    return [=, r = Rounded(Operands(layer))] {
      gemm(Trans::no, Trans::yes, kRows, O, I, r.x.data<Bf16>(), I, r.w.data<Bf16>(), I, false,
           r.out.data<float>(), O);
    };
  });
  add_row("gemm_bf16.input_gradient", layer.text(), work, [=] {
    return [=, r = Rounded(Operands(layer))] {
      gemm(Trans::no, Trans::no, kRows, I, O, r.y.data<Bf16>(), O, r.w.data<Bf16>(), I, false,
           r.out.data<float>(), I);
    };
  });
  add_row("gemm_bf16.weight_gradient", layer.text(), work, [=] {
    return [=, r = Rounded(Operands(layer))] {
      gemm(Trans::yes, Trans::no, O, I, kRows, r.y.data<Bf16>(), O, r.x.data<Bf16>(), I, false,
           r.out.data<float>(), I);
    };
  });
}

void add_round() {
  const std::int64_t n = bytes_beyond_cache() / 4;
  add_row("round.to_bf16", std::to_string(n), {.bytes = 6.0 * static_cast<double>(n)}, [n] {
    return [x = noise({n}), y = Tensor::empty({n}, DType::bf16)] {
      best<kernels::Round>().to_bf16(x.data<float>(), x.numel(), y.data<Bf16>());
    };
  });
}

Tensor packed_weight(const Tensor& w) {
  const auto& kernel = best<kernels::Linear<float>>();
  const std::int64_t O = w.size(0), I = w.size(1), panels = (O + kernel.panel - 1) / kernel.panel;
  const Tensor packed = Tensor::empty({panels * kernel.panel * I}, DType::f32);
  kernel.pack(w.data<float>(), I, O, 0, panels, packed.data<float>());
  return packed;
}

void add_linear(const Layer& layer, const char* name,
                kernels::Activations<float>::Forward activation, bool with_slope) {
  const auto [I, O] = layer;
  add_row(std::string("linear.forward.") + name, layer.text(), layer.work(), [=] {
    const Operands o(layer);
    return [=, bias = noise({O}), packed = packed_weight(o.w), slope = noise({kRows, O})] {
      best<kernels::Linear<float>>().forward(
          o.x.data<float>(), packed.data<float>(), bias.data<float>(), kRows, I, O, activation,
          o.y.data<float>(), with_slope ? slope.data<float>() : nullptr);
    };
  });
}

void add_linear_pack() {
  const std::int64_t I = 1024, O = bytes_beyond_cache() / 4 / I;
  add_row("linear.pack", std::to_string(O) + "x" + std::to_string(I),
          {.bytes = 8.0 * static_cast<double>(O * I)}, [=] {
            return [w = noise({O, I}), packed = packed_weight(noise({O, I}))] {
              const auto& kernel = best<kernels::Linear<float>>();
              kernel.pack(w.data<float>(), w.size(1), w.size(0), 0,
                          (w.size(0) + kernel.panel - 1) / kernel.panel, packed.data<float>());
            };
          });
}

// One text with all its heads; `queries` of its T tokens ask.
struct Text {
  std::int64_t queries, T, H, C;
  Tensor qkv, out, dout, lse, dqkv, scratch, places;

  Text(std::int64_t asking, std::int64_t tokens, std::int64_t heads, std::int64_t channels)
      : queries(asking),
        T(tokens),
        H(heads),
        C(channels),
        qkv(noise({T, 3 * C})),
        out(noise({T, C})),
        dout(noise({T, C})),
        lse(noise({T, H})),
        dqkv(noise({T, 3 * C})),
        scratch(Tensor::empty({best<kernels::Attention<float>>().scratch(asking, T, C / H)},
                              DType::f32)),
        places(Tensor::zeros({T}, DType::i32)) {}

  kernels::AttentionHead<float> head(std::int64_t h, const kernels::DropoutMask& mask) const {
    const float* q = qkv.data<float>() + h * (C / H);
    return {.queries = queries,
            .tokens = T,
            .channels = C / H,
            .q = q,
            .k = q + C,
            .v = q + 2 * C,
            .ld_q = 3 * C,
            .ld = 3 * C,
            .dropout = &mask,
            .first_octet = h * 8192,
            .slots = places.data<std::int32_t>(),
            .places = places.data<std::int32_t>()};
  }

  void run(bool forward) const {
    const auto& kernel = best<kernels::Attention<float>>();
    const kernels::DropoutMask mask{{1, 2}, 3, 6554, 65536.0 / (65536 - 6554)};
    for (std::int64_t h = 0; h < H; ++h) {
      const std::int64_t first = h * (C / H);
      float *o = out.data<float>() + first, *l = lse.data<float>() + h;
      if (forward) {
        kernel.forward(head(h, mask), o, C, l, H, scratch.data<float>());
      } else {
        float* dq = dqkv.data<float>() + first;
        kernel.backward(head(h, mask), o, dout.data<float>() + first, C, l, H, dq, dq + C,
                        dq + 2 * C, scratch.data<float>());
      }
    }
  }
};

// Forward two products, backward five: the probabilities are computed anew.
void add_attention(std::int64_t queries, std::int64_t T, std::int64_t H, std::int64_t C) {
  const std::string shape = std::to_string(queries) + " of " + std::to_string(T) + ", " +
                            std::to_string(H) + "x" + std::to_string(C / H);
  const double product = 2.0 * static_cast<double>(queries * T * C);
  add_row("attention.forward", shape, {.flops = 2 * product},
          [=] { return [text = Text(queries, T, H, C)] { text.run(true); }; });
  add_row("attention.backward", shape, {.flops = 5 * product}, [=] {
    const Text text(queries, T, H, C);
    text.run(true);
    return [text] { text.run(false); };
  });
}

}  // namespace

void add_product_kernels() {
  for (const Layer& layer : kLayers) add_gemm(layer);
  for (const Layer& layer : kLayers) {
    for (const std::int64_t rows : {8, 32, 50, 128}) add_few_rows(layer, rows);
  }
  if (missing_for_bf16().empty()) {
    for (const Layer& layer : kLayers) add_gemm_bf16(layer);
  }
  add_round();
  const auto& activations = best<kernels::Activations<float>>();
  for (const Layer& layer : kLayers) add_linear(layer, "none", activations.none, false);
  for (const Layer& layer : {kLayers[2], kLayers[6]})
    add_linear(layer, "gelu_erf", activations.gelu_erf, true);
  add_linear_pack();
  for (const std::int64_t tokens : {32, 54, 128, 512}) add_attention(tokens, tokens, 12, 384);
  add_attention(128, 128, 12, 768);
  add_attention(1, 128, 12, 384);  // a last layer that is read at the first token alone
}

}  // namespace holdfast::bench
