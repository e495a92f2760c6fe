// Every fused operation, forward and backward, on MiniLM's and BERT-base's sizes: 32 texts of 128
// tokens, and 32 texts of news lengths (54 tokens on average). Rates are per second of processor
// time, all workers together, so that other work on the machine disturbs them little; the ceilings
// of the same minute stand first.
//   bench_kernels [--benchmark_filter=REGEX]   HOLDFAST_THREADS=N: number of workers (default 1)
// Bytes are those that must move at least once: inputs read, results written.
#include <benchmark/benchmark.h>

#include <cstdlib>
#include <string>

#include "autograd/fused.h"
#include "base/parallel.h"
#include "tensor/blas.h"
#include "tensor/cpu.h"

namespace {

using namespace holdfast;

struct Sizes {
  std::int64_t C, H, I;
};
constexpr Sizes kMiniLm{384, 12, 1536}, kBase{768, 12, 3072};

enum Texts { kFull, kNews };

// Lengths of 32 texts: all 128, or spread like news (mean 54, longest 128).
Packing packing_of(Texts texts) {
  std::vector<std::int32_t> offsets{0}, slots, tokens;
  for (std::int32_t b = 0; b < 32; ++b) {
    const std::int32_t length = texts == kFull ? 128 : b == 0 ? 128 : 30 + b * 37 % 44;
    for (std::int32_t t = 0; t < length; ++t) slots.push_back(b), tokens.push_back(t);
    offsets.push_back(offsets.back() + length);
  }
  const std::int64_t N = offsets.back();
  return {Tensor::from(offsets, {33}), Tensor::from(slots, {N}), Tensor::from(tokens, {N})};
}

Tensor noise(const Shape& shape, double size) {
  Tensor x = Tensor::empty(shape, DType::f32);
  std::uint32_t state = 1;
  for (float& value : x.span<float>()) {
    state = state * 1664525 + 1013904223;
    value = static_cast<float>(size * (static_cast<double>(state >> 8) / (1 << 23) - 1.0));
  }
  return x;
}

const DropoutKey kDropout{.key = {1, 2}, .step = 3, .threshold = 6554};

// A parameter with room for its gradient.
struct Leaf : Parameter {
  Leaf(const Shape& shape, double size) {
    value = noise(shape, size);
    grad = Tensor::zeros(shape, DType::f32);
  }
};

struct Work {
  double flops = 0, bytes = 0;  // of one iteration
};

void report(benchmark::State& state, const Work& work) {
  const auto rate = [&](double amount) {
    return benchmark::Counter(amount * 1e-9, benchmark::Counter::kIsIterationInvariantRate);
  };
  if (work.flops > 0) state.counters["GFLOP/s"] = rate(work.flops);
  if (work.bytes > 0) state.counters["GB/s"] = rate(work.bytes);
}

template <class Operation>
void measure(benchmark::State& state, bool forward, const Work& work, const Operation& operation) {
  if (forward) {
    for (auto _ : state) benchmark::DoNotOptimize(operation().value().template data<float>());
  } else {
    const Var y = operation();
    const Tensor dout = noise(y.shape(), 1.0);
    for (auto _ : state) backward(y, dout);
  }
  report(state, work);
}

void linear_case(benchmark::State& state, Texts texts, std::int64_t I, std::int64_t O,
                 Activation activation, bool forward) {
  const std::int64_t N = packing_of(texts).rows();
  Leaf x({N, I}, 1.0), weight({O, I}, 0.05), bias({O}, 0.1);
  const Var input = scale(Var(x), 1.0);  // not a parameter itself, as in a network
  const double flops = 2.0 * static_cast<double>(N * I * O);
  measure(state, forward, {forward ? flops : 2 * flops, 0},
          [&] { return linear(input, Var(weight), Var(bias), activation); });
}

void attention_case(benchmark::State& state, Texts texts, const Sizes& s, bool forward) {
  const Packing packing = packing_of(texts);
  Leaf qkv({packing.rows(), 3 * s.C}, 1.0);
  double pairs = 0;
  for (std::size_t b = 0; b < 32; ++b) {
    const auto offset = packing.offsets.span<std::int32_t>();
    const double length = offset[b + 1] - offset[b];
    pairs += length * length;
  }
  // Forward two products a pair, backward five with the one computed anew.
  measure(state, forward, {pairs * 2.0 * static_cast<double>(s.C) * (forward ? 2 : 5), 0},
          [&] { return attention(Var(qkv), s.H, packing, kDropout); });
}

void norm_case(benchmark::State& state, Texts texts, const Sizes& s, bool forward) {
  const Packing packing = packing_of(texts);
  const double matrix = 4.0 * static_cast<double>(packing.rows() * s.C);
  Leaf x({packing.rows(), s.C}, 1.0), residual({packing.rows(), s.C}, 1.0), gamma({s.C}, 1.0),
      beta({s.C}, 1.0);
  measure(state, forward, {0, 4 * matrix}, [&] {
    return dropout_residual_layer_norm(Var(x), Var(residual), Var(gamma), Var(beta), 1e-12,
                                       kDropout, packing);
  });
}

void dropout_case(benchmark::State& state, const Sizes& s) {
  const Packing packing = packing_of(kFull);
  const Var x(noise({packing.rows(), s.C}, 1.0));
  measure(state, true, {0, 8.0 * static_cast<double>(packing.rows() * s.C)},
          [&] { return dropout(x, kDropout, packing.slots, packing.tokens); });
}

// The layer of BERT: everything above, in order.
struct Layer {
  Sizes s;
  Packing packing;
  Leaf x, qkv_weight, qkv_bias, mix_weight, up_weight, up_bias, down_weight, vector, gamma;

  Layer(const Sizes& sizes, Texts texts)
      : s(sizes),
        packing(packing_of(texts)),
        x({packing.rows(), s.C}, 1.0),
        qkv_weight({3 * s.C, s.C}, 0.05),
        qkv_bias({3 * s.C}, 0.1),
        mix_weight({s.C, s.C}, 0.05),
        up_weight({s.I, s.C}, 0.05),
        up_bias({s.I}, 0.1),
        down_weight({s.C, s.I}, 0.05),
        vector({s.C}, 0.1),
        gamma({s.C}, 1.0) {}

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

void layer_case(benchmark::State& state, Texts texts, const Sizes& s) {
  Layer layer(s, texts);
  const Tensor dout = noise({layer.packing.rows(), s.C}, 1.0);
  const double weights = static_cast<double>(4 * s.C * s.C + 2 * s.C * s.I);
  for (auto _ : state) backward(layer(), dout);
  report(state, {6.0 * weights * static_cast<double>(layer.packing.rows()), 0});
}

// GEMM alone, of the layer's sizes: forward, input gradient and weight gradient.
void gemm_case(benchmark::State& state, Texts texts, std::int64_t I, std::int64_t O, int which) {
  const std::int64_t N = packing_of(texts).rows();
  const Tensor x = noise({N, I}, 1.0), w = noise({O, I}, 1.0), y = noise({N, O}, 1.0);
  float *X = x.data<float>(), *W = w.data<float>(), *Y = y.data<float>();
  for (auto _ : state) {
    if (which == 0) gemm(Trans::no, Trans::yes, N, O, I, 1.0f, X, I, W, I, 0.0f, Y, O);
    if (which == 1) gemm(Trans::no, Trans::no, N, I, O, 1.0f, Y, O, W, I, 0.0f, X, I);
    if (which == 2) gemm(Trans::yes, Trans::no, O, I, N, 1.0f, Y, O, X, I, 0.0f, W, I);
  }
  report(state, {2.0 * static_cast<double>(N * I * O), 0});
}

// Ceilings. Twelve independent chains of multiply-adds on registers; a sum of two arrays far larger
// than the caches.
typedef float Float4 __attribute__((vector_size(16)));
typedef float Float8 __attribute__((vector_size(32)));
typedef float Float16 __attribute__((vector_size(64)));

template <class Vector>
[[gnu::always_inline]] inline float fma_chains(std::int64_t rounds) {
  Vector sum[12], factor = Vector{} + 0.999f;
  for (Vector& s : sum) s = Vector{} + 1.0f;
  for (std::int64_t i = 0; i < rounds; ++i) {
#pragma GCC unroll 12
    for (Vector& s : sum) s = s * factor + factor;
  }
  float total = 0;
  for (Vector& s : sum) total += s[0];
  return total;
}
#if defined(__x86_64__)
[[gnu::target("avx512f"), gnu::optimize("fp-contract=fast")]] float chains_avx512(std::int64_t n) {
  return fma_chains<Float16>(n);
}
[[gnu::target("avx2,fma"), gnu::optimize("fp-contract=fast")]] float chains_avx2(std::int64_t n) {
  return fma_chains<Float8>(n);
}
#endif
float chains_baseline(std::int64_t n) { return fma_chains<Float4>(n); }

void peak_case(benchmark::State& state) {
  constexpr std::int64_t kRounds = 100000;
  auto* chains = chains_baseline;
  double lanes = 4;
#if defined(__x86_64__)
  if (isa() == Isa::avx512) chains = chains_avx512, lanes = 16;
  if (isa() == Isa::avx2) chains = chains_avx2, lanes = 8;
#endif
  const std::int64_t workers = thread_count();
  for (auto _ : state) {
    parallel_for(workers, 1,
                 [&](std::int64_t, std::int64_t) { benchmark::DoNotOptimize(chains(kRounds)); });
  }
  report(state, {2.0 * 12 * lanes * static_cast<double>(kRounds * workers), 0});
}

void bandwidth_case(benchmark::State& state) {
  constexpr std::int64_t kElements = 1 << 25;
  const Tensor a = noise({kElements}, 1.0), b = noise({kElements}, 1.0);
  for (auto _ : state) {
    parallel_for(kElements, 1 << 16, [&](std::int64_t begin, std::int64_t end) {
      const float* from = a.data<float>();
      float* to = b.data<float>();
      for (std::int64_t i = begin; i < end; ++i) to[i] = from[i] * 0.5f;
    });
    benchmark::ClobberMemory();
  }
  report(state, {0, 8.0 * static_cast<double>(kElements)});
}

template <class Case, class... Arguments>
void add(const std::string& name, Case* function, Arguments... arguments) {
  benchmark::RegisterBenchmark(name.c_str(),
                               [=](benchmark::State& state) { function(state, arguments...); })
      ->Unit(benchmark::kMillisecond)
      ->MeasureProcessCPUTime();
}

void add_all() {
  add("peak/fma", peak_case);
  add("peak/bandwidth", bandwidth_case);
  const auto direction = [](bool forward) {
    return std::string(forward ? "/forward" : "/backward");
  };
  for (const auto& [model, s] : {std::pair{"minilm", kMiniLm}, {"base", kBase}}) {
    for (const Texts texts : {kFull, kNews}) {
      const std::string suffix = std::string("/") + model + (texts == kFull ? "/full" : "/news");
      for (const bool forward : {true, false}) {
        add("linear_qkv" + suffix + direction(forward), linear_case, texts, s.C, 3 * s.C,
            Activation::none, forward);
        add("linear_mix" + suffix + direction(forward), linear_case, texts, s.C, s.C,
            Activation::none, forward);
        add("linear_gelu" + suffix + direction(forward), linear_case, texts, s.C, s.I,
            Activation::gelu_erf, forward);
        add("linear_down" + suffix + direction(forward), linear_case, texts, s.I, s.C,
            Activation::none, forward);
        add("attention" + suffix + direction(forward), attention_case, texts, s, forward);
        add("dropout_residual_layer_norm" + suffix + direction(forward), norm_case, texts, s,
            forward);
      }
      for (const int which : {0, 1, 2}) {
        add("gemm_up" + suffix + "/" + std::to_string(which), gemm_case, texts, s.C, s.I, which);
      }
      add("layer" + suffix, layer_case, texts, s);
    }
    add("dropout/" + std::string(model), dropout_case, s);
  }
}

}  // namespace

int main(int argc, char** argv) {
  const char* threads = std::getenv("HOLDFAST_THREADS");
  set_thread_count(threads == nullptr ? 1 : std::atoi(threads));
  benchmark::AddCustomContext("cpu", cpu_name());
  benchmark::AddCustomContext("instruction set", std::string(name_of(isa())));
  benchmark::AddCustomContext("threads", std::to_string(thread_count()));
  benchmark::AddCustomContext("gemm", gemm_description());
  add_all();
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
