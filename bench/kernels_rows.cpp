// Kernels over the rows of a matrix larger than the caches.
#include <utility>
#include <vector>

#include "bench/ceilings.h"
#include "bench/kernels.h"
#include "tensor/kernels/activation.h"
#include "tensor/kernels/dispatch.h"
#include "tensor/kernels/dropout.h"
#include "tensor/kernels/embedding_sum.h"
#include "tensor/kernels/layer_norm.h"
#include "tensor/kernels/reduce.h"
#include "tensor/kernels/softmax.h"

namespace holdfast::bench {
namespace {

using kernels::best;

constexpr std::int64_t kVocabulary = 30522;

/// Matrices (rows, C) that do not fit into the caches, and vectors (C) and (rows).
struct Matrices {
  std::int64_t rows, C;
  float *a, *b, *c, *d;
  float *across, *gain, *down;
  std::vector<Tensor> owners;

  Matrices(std::int64_t height, std::int64_t width) : rows(height), C(width) {
    a = make({rows, C}), b = make({rows, C}), c = make({rows, C}), d = make({rows, C});
    across = make({C}), gain = make({C}), down = make({rows});
  }

 private:
  float* make(const Shape& shape) {
    owners.push_back(noise(shape));
    return owners.back().data<float>();
  }
};

/// A kernel that reads and writes `arrays` whole matrices of width C.
template <class Kernel>
void add(const std::string& name, std::int64_t C, int arrays, Kernel kernel) {
  const std::int64_t rows = bytes_beyond_cache() / 4 / C;
  add_row(name, std::to_string(rows) + "x" + std::to_string(C),
          {.bytes = 4.0 * arrays * static_cast<double>(rows * C)},
          [=] { return [=, m = Matrices(rows, C)] { kernel(m); }; });
}

void add_activations() {
  const auto& table = best<kernels::Activations<float>>();
  using Forward = kernels::Activations<float>::Forward;
  using Backward = kernels::Activations<float>::Backward;
  constexpr std::int64_t C = 1536;
  for (const auto& [name, forward] : std::vector<std::pair<std::string, Forward>>{
           {"none", table.none}, {"tanh", table.tanh}, {"relu", table.relu}}) {
    add("activation." + name, C, 2, [forward = forward](const Matrices& m) {
      forward(m.across, m.rows, m.C, m.a, m.C, m.b, nullptr, m.C);
    });
  }
  for (const auto& [name, forward] : std::vector<std::pair<std::string, Forward>>{
           {"gelu_erf", table.gelu_erf}, {"gelu_tanh", table.gelu_tanh}}) {
    add("activation." + name + ".with_slope", C, 3, [forward = forward](const Matrices& m) {
      forward(m.across, m.rows, m.C, m.a, m.C, m.b, m.c, m.C);
    });
  }
  for (const auto& [name, backward] :
       std::vector<std::pair<std::string, Backward>>{{"gelu", table.gelu_backward},
                                                     {"tanh", table.tanh_backward},
                                                     {"relu", table.relu_backward}}) {
    add("activation." + name + ".backward", C, 3,
        [backward = backward](const Matrices& m) { backward(m.a, m.b, m.rows * m.C, m.c); });
  }
}

void add_layer_norm(std::int64_t C) {
  add("layer_norm.forward", C, 2, [](const Matrices& m) {
    best<kernels::LayerNorm<float>>().forward(m.a, m.gain, m.across, 1e-12, m.rows, m.C, nullptr,
                                              nullptr, m.b);
  });
  add("layer_norm.forward.saving", C, 3, [](const Matrices& m) {
    best<kernels::LayerNorm<float>>().forward(m.a, m.gain, m.across, 1e-12, m.rows, m.C, m.c,
                                              m.down, m.b);
  });
  add("layer_norm.backward", C, 3, [](const Matrices& m) {
    best<kernels::LayerNorm<float>>().backward(m.a, m.gain, m.b, m.down, m.rows, m.C, m.c);
  });
}

void add_dropout(std::int64_t C) {
  const auto apply = [](const Matrices& m, const float* residual) {
    const kernels::DropoutMask mask{{1, 2}, 3, 6554, 65536.0 / (65536 - 6554)};
    const Tensor places = Tensor::zeros({m.rows}, DType::i32);
    const std::int32_t* place = places.data<std::int32_t>();
    best<kernels::Dropout<float>>().apply(mask, place, place, m.a, residual, m.rows, m.C, m.c);
  };
  add("dropout", C, 2, [=](const Matrices& m) { apply(m, nullptr); });
  add("dropout.with_residual", C, 3, [=](const Matrices& m) { apply(m, m.b); });
}

// Rows of a word table in random order; positions and types stay in cache.
void add_embedding_sum(std::int64_t C) {
  const std::int64_t rows = bytes_beyond_cache() / 4 / C;
  add_row("embedding_sum", std::to_string(rows) + "x" + std::to_string(C),
          {.bytes = 8.0 * static_cast<double>(rows * C)}, [=] {
            std::vector<std::int32_t> ids, places;
            for (std::int64_t n = 0; n < rows; ++n) {
              ids.push_back(static_cast<std::int32_t>(n * 104729 % kVocabulary));
              places.push_back(static_cast<std::int32_t>(n % 128));
            }
            return [=, words = noise({kVocabulary, C}), positions = noise({128, C}),
                    types = noise({1, C}), y = noise({rows, C}),
                    zeros = std::vector<std::int32_t>(ids.size())] {
              best<kernels::EmbeddingSum<float>>().forward(
                  words.data<float>(), positions.data<float>(), types.data<float>(), ids.data(),
                  places.data(), zeros.data(), rows, C, y.data<float>());
            };
          });
}

void add_softmax(std::int64_t C) {
  const auto& table = best<kernels::Softmax<float>>();
  add("softmax.forward", C, 2,
      [f = table.softmax](const Matrices& m) { f(m.a, m.b, m.rows, m.C); });
  add("softmax.backward", C, 3,
      [f = table.softmax_backward](const Matrices& m) { f(m.a, m.b, m.c, m.rows, m.C); });
  add("log_softmax.forward", C, 2,
      [f = table.log_softmax](const Matrices& m) { f(m.a, m.b, m.rows, m.C); });
  add("log_softmax.backward", C, 3,
      [f = table.log_softmax_backward](const Matrices& m) { f(m.a, m.b, m.c, m.rows, m.C); });
}

void add_reduce(std::int64_t C) {
  const auto& table = best<kernels::Reduce<float>>();
  add("reduce.column_sum", C, 1,
      [f = table.column_sum](const Matrices& m) { f(m.a, m.rows, m.C, m.across); });
  add("reduce.column_dot", C, 2,
      [f = table.column_dot](const Matrices& m) { f(m.a, m.b, m.rows, m.C, m.across); });
}

}  // namespace

void add_row_kernels() {
  add_activations();
  for (const std::int64_t C : {384, 768}) {
    add_layer_norm(C);
    add_dropout(C);
  }
  add_embedding_sum(384);
  add_softmax(128);
  add_reduce(384);
}

}  // namespace holdfast::bench
