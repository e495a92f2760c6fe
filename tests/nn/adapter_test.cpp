// Adapters: what they add at step 0 and afterwards, their gradients, what a frozen base costs, and
// merging.
#include "nn/adapter.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <tuple>

#include "audit/reference/adapter_models.h"
#include "audit/reference/bert_layer.h"
#include "tensor/blas.h"
#include "tests/nn/golden.h"
#include "tests/nn/scratch.h"

namespace holdfast {
namespace {

using testing::adapted_model;
using testing::adapter_of;
using testing::base_model;
using testing::error;
using testing::logits_of;
using testing::loss_of;
using testing::message_of;
using testing::Texts;

class Adapter : public ::testing::TestWithParam<AdapterKind> {};

TEST_P(Adapter, IsTheIdentityAtStepZero) {
  for (const DType dtype : {DType::f32, DType::f64}) {
    Model model = base_model(dtype);
    const Texts texts;
    const auto news = logits_of(model, texts.batch).value().to_vector();
    const auto medical = logits_of(model, texts.batch, {}, 1).value().to_vector();
    model.add_adapter(adapter_of(GetParam()), 1);
    EXPECT_EQ(logits_of(model, texts.batch).value().to_vector(), news) << "bit for bit";
    EXPECT_EQ(logits_of(model, texts.batch, {}, 1).value().to_vector(), medical);
  }
}

// With dropout too: the adapter leaves every mask where it was.
TEST_P(Adapter, KeepsTheDropoutOfTheBase) {
  Model model = base_model(DType::f64);
  model.set_dropout(0.3);
  const Texts texts;
  const DropoutPlan plan{.active = true, .seed = 5, .step = 2};
  const auto before = logits_of(model, texts.batch, plan).value().to_vector();
  EXPECT_GT(error(before, logits_of(model, texts.batch).value().to_vector()), 0.01);
  model.add_adapter(adapter_of(GetParam()), 1);
  EXPECT_LE(error(logits_of(model, texts.batch, plan).value().to_vector(), before), 1e-12);
}

TEST_P(Adapter, LayersEqualTheNaiveOnes) {
  for (const auto& [dtype, bound] : {std::pair{DType::f64, 1e-12}, std::pair{DType::f32, 1e-5}}) {
    Model model = adapted_model(GetParam(), dtype, 1);
    const Texts texts;
    ActivationTrace trace;
    const Tensor hidden = model.encode(texts.batch, {}, &trace).value();
    ASSERT_EQ(trace.front().first, "bert.embeddings");
    const std::vector<double> in = trace.front().second.to_vector(), out = hidden.to_vector();
    const auto offsets = texts.batch.packing.offsets.span<std::int32_t>();
    const std::size_t C = 16;
    for (std::size_t b = 0; b + 1 < offsets.size(); ++b) {
      reference::Rows rows;
      for (auto n = static_cast<std::size_t>(offsets[b]);
           n < static_cast<std::size_t>(offsets[b + 1]); ++n)
        rows.emplace_back(in.begin() + static_cast<std::ptrdiff_t>(n * C),
                          in.begin() + static_cast<std::ptrdiff_t>((n + 1) * C));
      std::size_t at = static_cast<std::size_t>(offsets[b]) * C;
      for (const auto& row : reference::BertLayer(model, 0)(rows))
        for (const double expected : row) EXPECT_NEAR(out[at++], expected, 10 * bound);
    }
  }
}

// It computes something: the comparison with the naive layer would pass for two identities.
TEST_P(Adapter, ChangesTheLogitsOnceTrained) {
  const Texts texts;
  Model base = base_model(DType::f64), model = adapted_model(GetParam(), DType::f64);
  EXPECT_GT(error(logits_of(model, texts.batch).value().to_vector(),
                  logits_of(base, texts.batch).value().to_vector()),
            0.01);
}

// The loss's derivative along random directions through all parameters and through the adapter's.
TEST_P(Adapter, GradientEqualsFiniteDifferences) {
  Model model = adapted_model(GetParam(), DType::f64);
  model.set_dropout(0.1);
  const Texts texts;
  const DropoutPlan plan{.active = true, .seed = 5, .step = 3};
  const auto derivative_error = [&](std::uint64_t seed, bool adapter_only) {
    model.arena().zero_grad();
    backward(loss_of(model, texts, plan));
    model.arena().clear_unreached();
    const std::int64_t n = model.arena().numel();
    std::vector<double> direction(static_cast<std::size_t>(n));
    const RandomStream stream(seed, "direction");
    for (const NamedSlice& slice : model.arena().slices()) {
      for (std::int64_t i = slice.offset; i < slice.offset + slice.size; ++i) {
        if (!adapter_only || slice.adapter)
          direction[static_cast<std::size_t>(i)] = stream.normal(0, static_cast<std::uint64_t>(i));
      }
    }
    double analytic = 0;
    const double* gradient = model.arena().grads().data<double>();
    for (std::int64_t i = 0; i < n; ++i)
      analytic += gradient[i] * direction[static_cast<std::size_t>(i)];
    const Tensor theta = model.arena().values(), before = theta.clone();
    const NoGrad off;
    const auto loss_at = [&](double h) {
      for (std::int64_t i = 0; i < n; ++i)
        theta.data<double>()[i] =
            before.data<double>()[i] + h * direction[static_cast<std::size_t>(i)];
      return loss_of(model, texts, plan).value().item();
    };
    const double h = 1e-5;
    const double numeric =
        (8 * (loss_at(h) - loss_at(-h)) - (loss_at(2 * h) - loss_at(-2 * h))) / (12 * h);
    theta.copy_from(before);
    return std::fabs(analytic - numeric) / std::max(1.0, std::fabs(numeric));
  };
  for (const std::uint64_t seed : {1U, 2U, 3U}) {
    EXPECT_LE(derivative_error(seed, false), 1e-8);
    EXPECT_LE(derivative_error(seed, true), 1e-8);
  }
}

TEST_P(Adapter, AFrozenBaseHasNoGradientsAndTheAdapterTheSame) {
  Model model = adapted_model(GetParam(), DType::f64);
  const Texts texts;
  backward(loss_of(model, texts));
  model.arena().clear_unreached();
  const Tensor whole = model.arena().grads().clone();
  model.train_adapters_only();
  std::int64_t trainable = 0;
  for (const NamedSlice& slice : model.arena().slices()) {
    EXPECT_EQ(model.arena().trainable(slice), slice.adapter || !slice.task.empty()) << slice.name;
    trainable += slice.adapter || !slice.task.empty() ? slice.size : 0;
  }
  EXPECT_EQ(model.arena().trainable_count(), trainable);
  backward(loss_of(model, texts));
  EXPECT_EQ(model.arena().clear_unreached(),
            (std::vector<std::string>{"heads.medical.weight", "heads.medical.bias"}))
      << "frozen parameters are not missed";
  for (const NamedSlice& slice : model.arena().slices()) {
    const auto gradient = model.arena().grad(slice).to_vector();
    const auto expected =
        Tensor::view(whole.storage(), slice.offset, slice.shape, DType::f64).to_vector();
    if (model.arena().trainable(slice)) {
      EXPECT_EQ(gradient, expected) << slice.name;
    } else {
      EXPECT_EQ(gradient, std::vector<double>(gradient.size(), 0.0)) << slice.name;
    }
  }
}

// Records whose gradients are formed.
class Recorder : public ParameterGradients {
 public:
  void linear(Parameter& weight, Parameter* bias, const Tensor&, const Tensor&) override {
    names.push_back(weight.name);
    if (bias != nullptr) names.push_back(bias->name);
  }
  void norm(Parameter& gamma, Parameter& beta, const Tensor&, const Tensor&) override {
    names.push_back(gamma.name);
    names.push_back(beta.name);
  }
  void embedding(Parameter& table, const Tensor&, const Tensor&) override {
    names.push_back(table.name);
  }
  void dense(Parameter& parameter, const Tensor&) override {
    ADD_FAILURE() << parameter.name << " is used by an operation that has no samples";
  }
  std::vector<std::string> names;
};

// A backward pass asks for no weight gradient of the base, for each of the adapter's once (which
// per-sample squares need), and multiplies no more rows than lead on to an adapter.
TEST_P(Adapter, AFrozenBaseCostsNoWeightGradients) {
  Model model = adapted_model(GetParam(), DType::f32);
  model.train_adapters_only();
  const Texts texts;
  const Var loss = loss_of(model, texts);
  const std::int64_t before = gemm_rows(), N = texts.batch.tokens(), B = texts.batch.texts();
  Recorder recorder;
  backward(loss, Tensor::full({}, DType::f32, 1), recorder);
  std::vector<std::string> expected;
  for (const Parameter& parameter : model.arena().parameters()) {
    if (parameter.trainable && !parameter.name.starts_with("heads.medical"))
      expected.push_back(parameter.name);
  }
  std::sort(expected.begin(), expected.end());
  std::sort(recorder.names.begin(), recorder.names.end());
  EXPECT_EQ(recorder.names, expected);
  // In the last layer keys and values, and lora's value, for all tokens; for the first of each text
  // queries, the attention's dense layer and the two of the feed-forward network, each adapter's
  // two or lora's query. In the lowest layer nothing below the first adapter, and no product for
  // the input of that one.
  const std::int64_t rows = GetParam() == AdapterKind::houlsby ? (N + (4 + 4) * B) + (2 + 2 + 1) * N
                            : GetParam() == AdapterKind::pfeiffer
                                ? (N + (4 + 2) * B) + N
                                : (N + 2 * N + (4 + 1) * B) + (3 + 2) * N;
  EXPECT_EQ(gemm_rows() - before, rows + 2 * B);
}

TEST_P(Adapter, IsKeptByHeadsRenamesAndClones) {
  Model model = adapted_model(GetParam(), DType::f64);
  model.train_adapters_only();
  const Texts texts;
  const auto logits = logits_of(model, texts.batch).value().to_vector();
  model.add_head("third", {"a", "b"}, 3);
  model.rename_head("news", "papers");
  Model copy = model.clone();
  for (Model* each : {&model, &copy}) {
    EXPECT_EQ(each->adapter().kind, GetParam());
    EXPECT_EQ(logits_of(*each, texts.batch).value().to_vector(), logits);
    for (const NamedSlice& slice : each->arena().slices())
      EXPECT_EQ(each->arena().trainable(slice), slice.adapter || !slice.task.empty()) << slice.name;
  }
}

TEST_P(Adapter, LiesInTheLayersItServes) {
  Model model = base_model(DType::f32);
  const std::vector<NamedSlice> before = model.arena().slices();
  model.add_adapter(adapter_of(GetParam()), 1);
  const std::size_t encoder = before.size() - 4, heads = model.arena().slices().size() - 4;
  for (std::size_t i = 0; i < before.size(); ++i) {
    const NamedSlice& slice = model.arena().slices()[i < encoder ? i : heads + i - encoder];
    EXPECT_EQ(slice.name, before[i].name);
    EXPECT_FALSE(slice.adapter);
    if (i < encoder) {
      EXPECT_EQ(slice.offset, before[i].offset);
    }
  }
  ASSERT_GT(heads, encoder);
  for (std::size_t i = encoder; i < heads; ++i) {
    const NamedSlice& slice = model.arena().slices()[i];
    EXPECT_TRUE(slice.adapter) << slice.name;
    EXPECT_EQ(slice.task, "");
    EXPECT_EQ(slice.layer, slice.name.starts_with("encoder.layer.0.") ? 1 : 2) << slice.name;
    EXPECT_EQ(slice.decay, slice.shape.rank() == 2) << slice.name;
  }
}

TEST_P(Adapter, FreshValuesAreThoseOfTheStreams) {
  const auto values = [](std::int64_t layers, std::uint64_t seed) {
    Model model = base_model(DType::f64, layers);
    model.add_adapter(adapter_of(GetParam()), seed);
    std::map<std::string, std::vector<double>> out;
    for (const NamedSlice& slice : model.arena().slices())
      if (slice.adapter) out[slice.name] = model.arena().value(slice).to_vector();
    return out;
  };
  const auto first = values(2, 1), deeper = values(3, 1), other = values(2, 2);
  for (const auto& [name, fresh] : first) {
    EXPECT_EQ(fresh, deeper.at(name)) << name;
    const bool down = name.ends_with("down.weight") || name.ends_with("lora_A.weight");
    EXPECT_EQ(fresh != other.at(name), down) << name;
    for (const double value : fresh) {
      EXPECT_LE(std::fabs(value), !down                             ? 0.0
                                  : name.ends_with("lora_A.weight") ? 0.25
                                                                    : 2.0)
          << name << ": zero, or below 1/sqrt(16), or normal";
    }
  }
}

// What AdapterHub's library computes with the same tensors.
TEST(AdapterHub, LogitsAndGradients) {
  const std::filesystem::path folder = HOLDFAST_GOLDEN;
  for (const AdapterKind kind : {AdapterKind::houlsby, AdapterKind::pfeiffer}) {
    const testing::Golden golden(folder /
                                 ("adapter_" + std::string(name_of(kind)) + ".safetensors"));
    for (const auto& [dtype, forward, gradients] :
         {std::tuple{DType::f64, 1e-9, 1e-9}, std::tuple{DType::f32, 1e-5, 1e-4}}) {
      Model model = Model::load(folder / "bert_erf", dtype);
      model.add_adapter({.kind = kind, .size = 4}, 1);
      model.train_adapters_only();
      const auto slices = [&](const auto& visit) {
        for (const NamedSlice& slice : model.arena().slices())
          if (slice.adapter) visit(slice);
      };
      slices([&](const NamedSlice& slice) {
        model.arena().value(slice).copy_from(
            Tensor::from(golden.values("adapter." + slice.name), slice.shape));
      });
      Tensor logits;
      backward(golden.loss(model, &logits));
      EXPECT_LE(error(logits.to_vector(), golden.values("logits")), forward);
      slices([&](const NamedSlice& slice) {
        EXPECT_LE(error(model.arena().grad(slice).to_vector(), golden.values("grad." + slice.name)),
                  gradients)
            << slice.name;
      });
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Kinds, Adapter,
                         ::testing::Values(AdapterKind::houlsby, AdapterKind::pfeiffer,
                                           AdapterKind::lora),
                         [](const auto& test) { return std::string(name_of(test.param)); });

TEST(Lora, MergedGivesTheSameLogits) {
  for (const auto& [dtype, bound] : {std::pair{DType::f64, 1e-13}, std::pair{DType::f32, 1e-6}}) {
    Model model = adapted_model(AdapterKind::lora, dtype);
    const Texts texts;
    const auto news = logits_of(model, texts.batch).value().to_vector();
    const auto medical = logits_of(model, texts.batch, {}, 1).value().to_vector();
    model.merge_lora();
    EXPECT_EQ(model.adapter().kind, AdapterKind::none);
    EXPECT_EQ(model.arena().slices().size(), base_model(dtype).arena().slices().size());
    EXPECT_LE(error(logits_of(model, texts.batch).value().to_vector(), news), bound);
    EXPECT_LE(error(logits_of(model, texts.batch, {}, 1).value().to_vector(), medical), bound);
  }
}

// W + (alpha/r) B A, each element rounded once; nothing else changes.
TEST(Lora, MergeIsExact) {
  Model model = adapted_model(AdapterKind::lora, DType::f32);
  const Model before = model.clone();
  model.merge_lora();
  for (const NamedSlice& slice : model.arena().slices()) {
    const auto merged = model.arena().value(slice).to_vector();
    auto expected = before.arena().value(*before.arena().find(slice.name)).to_vector();
    const std::string stem = slice.name.substr(0, slice.name.rfind('.'));
    const NamedSlice* a = before.arena().find(stem + ".lora_A.weight");
    if (a != nullptr && slice.shape.rank() == 2) {
      const auto A = before.arena().value(*a).to_vector();
      const auto B =
          before.arena().value(*before.arena().find(stem + ".lora_B.weight")).to_vector();
      for (std::size_t i = 0; i < 16; ++i) {
        for (std::size_t j = 0; j < 16; ++j) {
          double& w = expected[i * 16 + j];
          w = static_cast<float>(w + 2.5 * (B[i * 2] * A[j] + B[i * 2 + 1] * A[16 + j]));
        }
      }
      EXPECT_NE(merged, before.arena().value(*before.arena().find(slice.name)).to_vector());
    }
    EXPECT_EQ(merged, expected) << slice.name;
  }
}

TEST(AdapterConfig, DefaultsAndRefusals) {
  Model model = base_model(DType::f32);
  EXPECT_EQ(model.adapter().kind, AdapterKind::none);
  EXPECT_THROW(model.train_adapters_only(), std::invalid_argument);
  EXPECT_THROW(model.merge_lora(), std::invalid_argument);
  const auto refusal = [&](const AdapterConfig& config) {
    return message_of([&] { model.add_adapter(config, 1); });
  };
  EXPECT_NE(refusal({.kind = AdapterKind::none}), "");
  EXPECT_NE(refusal({.kind = AdapterKind::pfeiffer, .size = -1}), "");
  EXPECT_NE(refusal({.kind = AdapterKind::pfeiffer, .size = 65537}), "");
  EXPECT_NE(refusal({.kind = AdapterKind::lora, .rank = 0}), "");
  EXPECT_NE(refusal({.kind = AdapterKind::lora, .alpha = 0}), "");
  EXPECT_NE(refusal({.kind = AdapterKind::lora, .alpha = INFINITY}), "");
  EXPECT_EQ(model.adapter().kind, AdapterKind::none) << "a refusal changes nothing";
  EXPECT_EQ(refusal({.kind = AdapterKind::houlsby}), "");
  EXPECT_EQ(model.adapter().size, 1) << "16 / 16";
  EXPECT_NE(refusal({.kind = AdapterKind::lora}), "") << "there is one already";
  EXPECT_THROW(model.merge_lora(), std::invalid_argument) << "only lora merges";

  for (const char* name : {"none", "houlsby", "pfeiffer", "lora"})
    EXPECT_EQ(name_of(parse_adapter(name)), name);
  EXPECT_NE(message_of([] { parse_adapter("prefix"); }).find("houlsby, pfeiffer and lora"),
            std::string::npos);
}

}  // namespace
}  // namespace holdfast
