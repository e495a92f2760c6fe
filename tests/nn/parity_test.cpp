// Parity with transformers on a small random BERT (tests/golden/make_bert_golden.py) and on MiniLM
// (tests/golden/make_minilm_golden.py). An error is max|a-b| / max|b| of a tensor.
#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <sstream>
#include <utility>

#include "nn/model.h"
#include "tensor/blas.h"
#include "tests/nn/golden.h"
#include "tests/nn/scratch.h"

namespace holdfast {
namespace {

using testing::error;
using testing::Golden;
using testing::greatest;
using testing::Scratch;

const std::filesystem::path kGolden = HOLDFAST_GOLDEN;

// The model of bert_erf or, with the same weights, of bert_tanh.
Model load_small(const std::string& name, DType dtype) {
  const Scratch scratch;
  std::filesystem::copy(kGolden / name / "config.json", scratch / "config.json");
  std::filesystem::copy(kGolden / "bert_erf" / "model.safetensors", scratch / "model.safetensors");
  return Model::load(scratch.path(), dtype);
}

// The gradient of a key bias is zero but for rounding (softmax does not feel it): it is compared on
// the query's scale.
double gradient_error(const ParameterArena& arena, const NamedSlice& slice, const Golden& golden) {
  const std::vector<double> ours = arena.grad(slice).to_vector();
  const std::string name = "grad." + Model::file_name(slice, slice.task);
  const std::vector<double> theirs = golden.values(name);
  const std::size_t key = name.find("key.bias");
  if (key == std::string::npos) return error(ours, theirs);
  return error(ours, theirs, greatest(golden.values(std::string(name).replace(key, 3, "query"))));
}

struct Precision {
  DType dtype;
  double forward, gradients;
};

class SmallBert : public ::testing::TestWithParam<std::string> {
 protected:
  const Golden golden_{kGolden / GetParam() / "golden.safetensors"};
};

TEST_P(SmallBert, LogitsLossAndGradients) {
  for (const Precision& p :
       {Precision{DType::f32, 1e-5, 1e-4}, Precision{DType::f64, 1e-9, 1e-9}}) {
    SCOPED_TRACE(name_of(p.dtype));
    Model model = load_small(GetParam(), p.dtype);
    Tensor logits;
    const Var loss = golden_.loss(model, &logits);
    EXPECT_LE(error(logits.to_vector(), golden_.values("logits")), p.forward);
    EXPECT_LE(error({loss.value().item()}, golden_.values("loss")), p.forward);
    backward(loss);
    EXPECT_TRUE(model.arena().clear_unreached().empty());
    for (const NamedSlice& slice : model.arena().slices()) {
      EXPECT_LE(gradient_error(model.arena(), slice, golden_), p.gradients) << slice.name;
    }
  }
}

// AdamW [Loshchilov & Hutter 2019, algorithm 2] as torch has it, one element at a time.
template <class T>
class ScalarAdamW {
 public:
  explicit ScalarAdamW(ParameterArena& arena)
      : arena_(&arena), m_(static_cast<std::size_t>(arena.numel())), v_(m_.size()) {}

  void step() {
    ++t_;
    const double correction1 = 1.0 - std::pow(0.9, t_), correction2 = 1.0 - std::pow(0.999, t_);
    for (const NamedSlice& slice : arena_->slices()) {
      for (auto i = static_cast<std::size_t>(slice.offset);
           i < static_cast<std::size_t>(slice.offset + slice.size); ++i) {
        const double g = static_cast<double>(arena_->grads().template data<T>()[i]);
        m_[i] = 0.9 * m_[i] + 0.1 * g;
        v_[i] = 0.999 * v_[i] + 0.001 * g * g;
        T& theta = arena_->values().template data<T>()[i];
        const double decayed = static_cast<double>(theta) * (slice.decay ? 1.0 - 1e-3 * 0.01 : 1.0);
        theta = static_cast<T>(decayed - 1e-3 * (m_[i] / correction1) /
                                             (std::sqrt(v_[i] / correction2) + 1e-8));
      }
    }
  }

 private:
  ParameterArena* arena_;
  std::vector<double> m_, v_;
  int t_ = 0;
};

template <class T>
std::vector<double> losses_of_ten_steps(const std::string& name, const Golden& golden) {
  Model model = load_small(name, dtype_of<T>());
  ScalarAdamW<T> optimizer(model.arena());
  std::vector<double> losses;
  for (int step = 0; step < 10; ++step) {
    model.arena().zero_grad();
    const Var loss = golden.loss(model);
    losses.push_back(loss.value().item());
    backward(loss);
    optimizer.step();
  }
  return losses;
}

TEST_P(SmallBert, LossesOfTenAdamWSteps) {
  const std::vector<double> theirs = golden_.values("losses");
  EXPECT_LE(error(losses_of_ten_steps<float>(GetParam(), golden_), theirs), 1e-5);
  EXPECT_LE(error(losses_of_ten_steps<double>(GetParam(), golden_), theirs), 1e-9);
}

INSTANTIATE_TEST_SUITE_P(Gelu, SmallBert, ::testing::Values("bert_erf", "bert_tanh"),
                         [](const auto& test) { return test.param; });

// GEMM sees the real tokens and no more: 6 texts of 1 to 129 tokens are 4 linear layers of N rows
// each a layer. A classifier's last layer has keys and values for N rows, and queries and the other
// 3 linear layers for one row a text, as have pooler and classifier.
TEST(PackedBatch, GemmSeesOnlyRealTokens) {
  Model model = load_small("bert_erf", DType::f32);
  std::vector<std::vector<std::int32_t>> ids;
  std::vector<TokenSpan> texts;
  for (const std::size_t length : {1U, 2U, 7U, 33U, 64U, 129U}) ids.emplace_back(length, 5);
  for (const auto& text : ids) texts.push_back({.ids = text, .type_ids = {}});
  const Batch batch = pack(texts);
  const std::int64_t N = 1 + 2 + 7 + 33 + 64 + 129, B = 6, L = 2;
  ASSERT_EQ(batch.tokens(), N);
  const auto rows_of = [](const auto& work) {
    const std::int64_t before = gemm_rows();
    work();
    return gemm_rows() - before;
  };
  EXPECT_EQ(rows_of([&] { model.encode(batch); }), (L - 1) * 4 * N + 5 * N);
  Var logits;
  EXPECT_EQ(rows_of([&] { logits = model.logits(model.pool(batch), model.heads().front()); }),
            (L - 1) * 4 * N + N + 4 * B + 2 * B);
  // Backward one product for the rows of each, but for those of weights.
  EXPECT_EQ(rows_of([&] { backward(logits, Tensor::full(logits.shape(), DType::f32, 1.0)); }),
            (L - 1) * 4 * N + N + 4 * B + 2 * B);
}

TEST(PackedBatch, ATextDoesNotDependOnItsCompany) {
  Model model = load_small("bert_erf", DType::f64);
  const Golden golden(kGolden / "bert_erf" / "golden.safetensors");
  const NoGrad off;
  Tensor together;
  golden.loss(model, &together);
  const auto* offsets = golden.batch.packing.offsets.data<std::int32_t>();
  for (std::int64_t b = 0; b < golden.batch.texts(); ++b) {
    const auto begin = static_cast<std::size_t>(offsets[b]),
               size = static_cast<std::size_t>(offsets[b + 1]) - begin;
    const TokenSpan text{
        .ids = golden.batch.ids.span<std::int32_t>().subspan(begin, size),
        .type_ids = golden.batch.type_ids.span<std::int32_t>().subspan(begin, size)};
    const Batch alone = pack({&text, 1});
    const Var logits = model.logits(model.pool(alone), model.heads().front());
    EXPECT_LE(error(logits.value().to_vector(), together.slice(0, b, b + 1).to_vector()), 1e-12)
        << b;
  }
}

// Finite differences of the loss at sampled elements of every parameter.
TEST(SmallBertGradient, MatchesFiniteDifferences) {
  Model model = load_small("bert_erf", DType::f64);
  const std::vector<std::int32_t> first = {3, 50, 7}, second = {9, 4, 120, 33, 8},
                                  types = {0, 0, 1, 1, 1};
  const std::vector<TokenSpan> texts = {{.ids = first, .type_ids = {}, .slot = 0},
                                        {.ids = second, .type_ids = types, .slot = 1}};
  const Batch batch = pack(texts);
  const Tensor labels = Tensor::from<std::int32_t>({2, 0}, {2});
  const Tensor weights = Tensor::full({2}, DType::f64, 0.5);
  const DropoutPlan dropout{.active = true, .seed = 5, .step = 3};
  model.set_dropout(0.1);
  const auto loss = [&] {
    const Var pooled = model.pool(batch, dropout);
    return softmax_cross_entropy(model.logits(pooled, model.heads().front()), labels, weights, 0.1);
  };
  backward(loss());
  ASSERT_TRUE(model.arena().clear_unreached().empty());
  const NoGrad off;
  double* values = model.arena().values().data<double>();
  const double* grads = model.arena().grads().data<double>();
  const auto loss_at = [&](std::int64_t i, double value) {
    const double before = std::exchange(values[i], value);
    const double out = loss().value().item();
    values[i] = before;
    return out;
  };
  for (const NamedSlice& slice : model.arena().slices()) {
    const double scale = std::max(greatest(model.arena().grad(slice).to_vector()), 1e-3);
    for (std::int64_t sample = 0; sample < 12; ++sample) {
      const std::int64_t i = slice.offset + (slice.name.starts_with("embeddings.word")
                                                 ? 32 * (sample % 2 == 0 ? 50 : 33) + sample
                                                 : sample * slice.size / 12);
      // Fourth-order central difference: error h^4/30 f'''''.
      const double h = 1e-3, x = values[i];
      const double numeric = (8.0 * (loss_at(i, x + h) - loss_at(i, x - h)) -
                              (loss_at(i, x + 2 * h) - loss_at(i, x - 2 * h))) /
                             (12.0 * h);
      EXPECT_NEAR(grads[i], numeric, 1e-7 * scale) << slice.name << " element " << i - slice.offset;
    }
  }
}

std::filesystem::path minilm_directory() {
  const char* named = std::getenv("HOLDFAST_MINILM");
  return named != nullptr ? std::filesystem::path(named)
                          : std::filesystem::path(HOLDFAST_SOURCE) / "models" / "minilm";
}

TEST(MiniLm, LogitsLossAndGradients) {
  if (!std::filesystem::exists(minilm_directory() / "model.safetensors")) {
    GTEST_SKIP() << "the MiniLM weights are not in " << minilm_directory()
                 << ": run make minilm, or set HOLDFAST_MINILM";
  }
  const Golden golden(kGolden / "minilm.safetensors");
  Notices notices;
  Model model = Model::load(minilm_directory(), DType::f32, &notices);
  EXPECT_TRUE(model.heads().empty());
  model.add_head("golden", {"a", "b", "c", "d"}, 0);
  const auto weight = model.arena().value(*model.arena().find("heads.golden.weight")).span<float>();
  for (std::size_t i = 0; i < weight.size(); ++i)
    weight[i] = static_cast<float>(0.05 * std::sin(1.0 + static_cast<double>(i)));
  Tensor logits;
  const Var loss = golden.loss(model, &logits);
  EXPECT_LE(error(logits.to_vector(), golden.values("logits")), 1e-5);
  EXPECT_LE(error({loss.value().item()}, golden.values("loss")), 1e-5);
  backward(loss);

  const std::vector<double> norms = golden.values("norms"), most = golden.values("greatest"),
                            samples = golden.values("samples");
  std::map<std::string, std::vector<double>> gradients;
  for (const NamedSlice& slice : model.arena().slices())
    gradients[Model::file_name(slice, "golden")] = model.arena().grad(slice).to_vector();
  std::istringstream names(golden.metadata("names"));
  std::size_t row = 0;
  double query_scale = 0, query_norm = 0;
  for (std::string name; std::getline(names, name); ++row) {
    const std::vector<double>& ours = gradients.at(name);
    if (name.ends_with("query.bias")) query_scale = most[row], query_norm = norms[row];
    const bool key = name.ends_with("key.bias");
    double square = 0;
    for (const double g : ours) square += g * g;
    EXPECT_LE(std::fabs(std::sqrt(square) - norms[row]), 1e-4 * (key ? query_norm : norms[row]))
        << name;
    for (std::size_t i = 0; i < 16; ++i) {
      EXPECT_LE(std::fabs(ours[i * ours.size() / 16] - samples[row * 16 + i]),
                1e-4 * (key ? query_scale : most[row]))
          << name;
    }
  }
  EXPECT_EQ(row, model.arena().slices().size());
}

}  // namespace
}  // namespace holdfast
