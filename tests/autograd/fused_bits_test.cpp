// The same bits for any number of threads, and nearly the same numbers on every instruction set.
#include <cstring>

#include "base/parallel.h"
#include "tensor/cpu.h"
#include "tests/autograd/fused_twins.h"

namespace holdfast {
namespace {

// One layer of BERT and its embeddings, 32 channels, intermediate 96, from all fused operations,
// with dropout.
struct Layer {
  Packing packing = packing_of({54, 1, 130, 17, 300, 60}, {5, 4, 3, 2, 1, 0});
  DropoutKey key = dropout_key(0.1);
  std::int64_t N = packing.rows(), C = 64, I = 192;

  std::vector<Tensor> inputs() const {
    return {random_tensor({40, C}, 1),         random_tensor({300, C}, 2),
            random_tensor({2, C}, 3),          random_tensor({C}, 4),
            random_tensor({3 * C, C}, 5, 0.4), random_tensor({3 * C}, 6),
            random_tensor({I, C}, 7, 0.4),     random_tensor({I}, 8),
            random_tensor({C, I}, 9, 0.4)};
  }
  Var operator()(const std::vector<Var>& v) const {
    std::vector<std::int32_t> ids;
    for (std::int32_t n = 0; n < N; ++n) ids.push_back(n * 7 % 40);
    const Tensor words = Tensor::from(ids, {N}), zeros = Tensor::zeros({N}, DType::i32);
    const Var x = embedding_layer_norm(v[0], v[1], v[2], words, packing.tokens, zeros, v[3], v[3],
                                       1e-12, key, packing);
    const Var mixed = attention(linear(x, v[4], v[5]), 2, packing, key);
    const Var h = dropout_residual_layer_norm(mixed, x, v[3], v[3], 1e-12, key, packing);
    const Var f = linear(linear(h, v[6], v[7], Activation::gelu_erf), v[8], v[3]);
    const Var y = dropout_residual_layer_norm(f, h, v[3], v[3], 1e-12, key, packing);
    const Var z = layer_norm(dropout(y, key, packing.slots, packing.tokens), v[3], v[3], 1e-12);
    return concat({z, first_attended(z, v[4], v[5])}, 0);
  }
  // Attention of each text's first token alone.
  Var first_attended(const Var& x, const Var& weight, const Var& bias) const {
    const std::int64_t B = packing.texts();
    const Tensor first = packing.offsets.slice(0, 0, B);
    const Packing queries = packing_of(std::vector<std::int32_t>(static_cast<std::size_t>(B), 1));
    const auto part = [&](const Var& in, std::int64_t begin, std::int64_t end) {
      return linear(in, slice(weight, 0, begin, end), slice(bias, 0, begin, end));
    };
    return attention(part(gather(x, first), 0, C), part(x, C, 3 * C), 2, queries, packing, key);
  }
};

class Restore {
 public:
  ~Restore() {
    set_thread_count(threads_);
    set_isa(isa_);
  }

 private:
  int threads_ = thread_count();
  Isa isa_ = isa();
};

void expect_same_bits(const std::vector<Tensor>& a, const std::vector<Tensor>& b) {
  for (std::size_t i = 0; i < a.size(); ++i) {
    EXPECT_EQ(std::memcmp(a[i].data<float>(), b[i].data<float>(),
                          static_cast<std::size_t>(a[i].numel()) * sizeof(float)),
              0)
        << "tensor " << i;
  }
}

TEST(FusedBits, DoNotDependOnTheNumberOfThreads) {
  const Restore restore;
  const Layer layer;
  const std::vector<Tensor> inputs = converted(layer.inputs(), DType::f32);
  set_thread_count(1);
  const std::vector<Tensor> one = run(layer, inputs);
  for (const int threads : {1, 2, 4}) {
    SCOPED_TRACE(threads);
    set_thread_count(threads);
    expect_same_bits(run(layer, inputs), one);
  }
}

TEST(FusedBits, InstructionSetsAgree) {
  const Restore restore;
  const Layer layer;
  const Isa best = isa();
  const std::vector<Tensor> expected = run(layer, layer.inputs());
  for (const Isa other : {Isa::baseline, Isa::avx2}) {
    if (other > best) continue;
    SCOPED_TRACE(name_of(other));
    set_isa(other);
    expect_close(run(layer, layer.inputs()), expected, 1e-12);
    const std::vector<Tensor> rounded = converted(layer.inputs(), DType::f32);
    expect_close(run(layer, rounded), expected, 2e-5);
  }
}

}  // namespace
}  // namespace holdfast
