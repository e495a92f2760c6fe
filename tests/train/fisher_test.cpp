#include "train/fisher.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "base/parallel.h"
#include "nn/safetensors.h"
#include "tensor/random.h"
#include "tensor/storage.h"
#include "tests/reference/expect_error.h"
#include "tests/reference/per_sample_loop.h"
#include "tests/reference/temporary_folder.h"
#include "train/importance_file.h"

namespace holdfast {
namespace {

constexpr std::int32_t kVocabulary = 30;

Model tiny_model(DType dtype, std::size_t classes = 3) {
  BertConfig config;
  config.vocab_size = kVocabulary;
  config.hidden_size = 8;
  config.layers = 2;
  config.heads = 2;
  config.intermediate_size = 12;
  config.max_positions = 16;
  config.initializer_range = 0.4;
  Model model = Model::create(config, dtype, 5);
  std::vector<std::string> labels;
  for (std::size_t k = 0; k < classes; ++k) labels.push_back("label " + std::to_string(k));
  model.add_head("news", labels, 6);
  model.add_head("other", {"a", "b"}, 7);
  return model;
}

// Texts of 1 to 12 tokens with repeated words, pairs among them; all of `tokens` tokens when that
// is given.
std::vector<Sample> texts(std::size_t count, std::int32_t classes, std::int64_t tokens = 0) {
  const RandomStream stream(9, "texts");
  std::vector<Sample> samples(count);
  for (std::size_t n = 0; n < count; ++n) {
    Sample& sample = samples[n];
    const std::size_t length =
        tokens > 0 ? static_cast<std::size_t>(tokens) : 1 + stream.below(12, n, 0);
    for (std::size_t t = 0; t < length; ++t) {
      sample.ids.push_back(static_cast<std::int32_t>(stream.below(7, n, t + 1)));
      sample.type_ids.push_back(n % 3 == 0 && t > length / 2 ? 1 : 0);
    }
    sample.label =
        static_cast<std::int32_t>(stream.below(static_cast<std::uint64_t>(classes), n, 100));
    sample.id = static_cast<std::int64_t>(n);
  }
  return samples;
}

void expect_near(const std::vector<double>& a, const std::vector<double>& b, double relative) {
  ASSERT_EQ(a.size(), b.size());
  const double largest = *std::max_element(b.begin(), b.end());
  for (std::size_t i = 0; i < a.size(); ++i) ASSERT_NEAR(a[i], b[i], relative * largest) << i;
}

TEST(Fisher, FactorGivesTheCovarianceOfTheClasses) {
  for (const std::vector<double>& p : {std::vector{0.3, 0.7},
                                       {0.2, 0.5, 0.1, 0.2},
                                       {0.0, 1.0, 0.0},
                                       {1.0, 0.0, 0.0},
                                       {0.0, 0.4, 0.0, 0.6},
                                       {1 - 1e-12, 1e-12},
                                       {1e-200, 1 - 1e-9, 1e-9}}) {
    const std::size_t K = p.size();
    const std::vector<double> B = fisher_factor(p);
    for (std::size_t i = 0; i < K; ++i) {
      for (std::size_t j = 0; j < K; ++j) {
        double product = 0;
        for (std::size_t k = 0; k + 1 < K; ++k) product += B[i * (K - 1) + k] * B[j * (K - 1) + k];
        // 1 - p as the sum of the others: exact where p is nearly 1
        double others = 0;
        for (std::size_t l = 0; l < K; ++l) others += l == i ? 0 : p[l];
        const double expected = i == j ? p[i] * others : -p[i] * p[j];
        EXPECT_NEAR(product, expected, 1e-15 * std::abs(expected) + 1e-300 + 1e-17)
            << i << " " << j;
      }
    }
    for (std::size_t k = 0; k + 1 < K; ++k) {
      double sum = 0;
      for (std::size_t i = 0; i < K; ++i) sum += B[i * (K - 1) + k];
      EXPECT_NEAR(sum, 0, 1e-15);
    }
  }
}

TEST(Fisher, BatchedEqualsTheLoopOverSamples) {
  for (const std::size_t classes : {std::size_t{2}, std::size_t{3}, std::size_t{5}}) {
    Model model = tiny_model(DType::f64, classes);
    const std::vector<Sample> samples =
        texts(11, static_cast<std::int32_t>(classes));  // 11 = 4 + 4 + 3
    for (const ImportanceKind kind : {ImportanceKind::true_fisher, ImportanceKind::empirical}) {
      const Importance fisher = measure_importance(model, *model.head("news"), samples,
                                                   {.kind = kind, .batch_size = 4, .dropout = {}});
      EXPECT_EQ(fisher.samples, 11);
      expect_near(fisher.values.to_vector(),
                  fisher_by_loop(model, *model.head("news"), samples, kind), 1e-12);
    }
  }
}

TEST(Fisher, DoesNotDependOnWhatElseIsInTheBatch) {
  Model model = tiny_model(DType::f64);
  std::vector<Sample> samples = texts(9, 3);
  const auto run = [&](std::int64_t batch_size) {
    return measure_importance(
               model, *model.head("news"), samples,
               {.kind = ImportanceKind::true_fisher, .batch_size = batch_size, .dropout = {}})
        .values.to_vector();
  };
  const std::vector<double> together = run(9);
  expect_near(run(1), together, 1e-13);
  expect_near(run(2), together, 1e-13);
  std::reverse(samples.begin(), samples.end());
  expect_near(run(4), together, 1e-13);
}

// The head alone is logistic regression on the pooled features h: F of W_ki is the mean of p_k (1 -
// p_k) h_i^2, and of b_k that of p_k (1 - p_k).
TEST(Fisher, OfLogisticRegressionInClosedForm) {
  Model model = tiny_model(DType::f64);
  const Head& head = *model.head("news");
  const std::vector<Sample> samples = texts(6, 3);
  const Importance fisher = measure_importance(model, head, samples);
  std::vector<double> weight(3 * 8, 0), bias(3, 0);
  for (const Sample& sample : samples) {
    const TokenSpan text{sample.ids, sample.type_ids, 0};
    const Batch batch = pack(std::span(&text, 1));
    const Var pooled = model.pool(model.encode(batch), batch);
    std::vector<double> p = model.logits(pooled, head).value().to_vector();
    double sum = 0;
    for (double& z : p) sum += z = std::exp(z);
    const std::vector<double> h = pooled.value().to_vector();
    for (std::size_t k = 0; k < 3; ++k) {
      const double variance = p[k] / sum * (1 - p[k] / sum) / 6;
      bias[k] += variance;
      for (std::size_t i = 0; i < 8; ++i) weight[k * 8 + i] += variance * h[i] * h[i];
    }
  }
  const auto of = [&](std::size_t index) {
    const Tensor& value = model.arena()[index].value;
    return fisher.values.slice(0, value.storage_offset(), value.storage_offset() + value.numel())
        .to_vector();
  };
  expect_near(of(head.weight), weight, 1e-13);
  expect_near(of(head.bias), bias, 1e-13);
  const Head& other = *model.head("other");
  EXPECT_EQ(of(other.weight), std::vector<double>(16, 0.0));
}

TEST(Fisher, SinglePrecisionIsCloseAndTheSameForAnyNumberOfThreads) {
  Model exact = tiny_model(DType::f64), model = tiny_model(DType::f32);
  model.arena().values().copy_from(exact.arena().values());
  const std::vector<Sample> samples = texts(9, 3);
  std::vector<std::vector<double>> results;
  for (const int threads : {1, 2, 4}) {
    set_thread_count(threads);
    results.push_back(measure_importance(model, *model.head("news"), samples).values.to_vector());
  }
  set_thread_count(1);
  EXPECT_EQ(results[0], results[1]);
  EXPECT_EQ(results[0], results[2]);
  expect_near(results[0],
              measure_importance(exact, *exact.head("news"), samples).values.to_vector(), 1e-5);
}

TEST(Fisher, MemoryDoesNotGrowWithTheNumberOfTexts) {
  Model model = tiny_model(DType::f32);
  const auto peak = [&](std::size_t count) {
    reset_memory_peak();
    measure_importance(model, *model.head("news"), texts(count, 3, 12),
                       {.kind = ImportanceKind::true_fisher, .batch_size = 4, .dropout = {}});
    return memory_use().peak;
  };
  EXPECT_EQ(peak(8), peak(64));
}

TEST(Fisher, LeavesWeightsAndGradientsAlone) {
  Model model = tiny_model(DType::f32);
  const std::vector<double> before = model.arena().values().to_vector();
  model.arena().zero_grad();
  measure_importance(model, *model.head("news"), texts(3, 3));
  EXPECT_EQ(model.arena().values().to_vector(), before);
  for (const Parameter& parameter : model.arena().parameters()) EXPECT_FALSE(parameter.has_grad);
}

TEST(Fisher, SaysWhatShareOfParametersMatters) {
  Model model = tiny_model(DType::f64);
  const Importance fisher = measure_importance(model, *model.head("news"), texts(5, 3));
  std::int64_t positive = 0;
  double sum = 0;
  for (const double f : fisher.values.to_vector()) {
    positive += f > 0 ? 1 : 0;
    sum += f;
  }
  EXPECT_NEAR(fisher.scale.mean_positive, sum / static_cast<double>(positive), 1e-15);
  EXPECT_DOUBLE_EQ(
      fisher.scale.positive_share,
      static_cast<double>(positive) / static_cast<double>(model.arena().parameter_count()));
  EXPECT_LT(fisher.scale.positive_share, 0.9);  // most words are never seen
}

TEST(Fisher, RefusesWhatIsNotItsDefinition) {
  Model model = tiny_model(DType::f64);
  const Head& head = *model.head("news");
  std::vector<Sample> samples = texts(3, 3);
  expect_error<std::invalid_argument>("dropout", "dropout is on", [&] {
    measure_importance(model, head, samples,
                       {.kind = ImportanceKind::true_fisher,
                        .batch_size = 4,
                        .dropout = {.active = true, .seed = 1, .step = 0}});
  });
  expect_error<std::invalid_argument>("none", "no samples",
                                      [&] { measure_importance(model, head, {}); });
  expect_error<std::invalid_argument>("batch", "batch_size", [&] {
    measure_importance(model, head, samples,
                       {.kind = ImportanceKind::empirical, .batch_size = 0, .dropout = {}});
  });
  samples[1].label = 3;
  expect_error<std::invalid_argument>(
      "label", "sample 1 has label 3, head \"news\" has 3 labels", [&] {
        measure_importance(model, head, samples,
                           {.kind = ImportanceKind::empirical, .dropout = {}});
      });
  expect_error<std::invalid_argument>("kind", "known: \"true\", \"empirical\", \"sampled\"",
                                      [] { parse_importance_kind("exact"); });
}

TEST(Fisher, FailsLoudlyWhenNothingMattersOrSomethingIsBroken) {
  Model model = tiny_model(DType::f64);
  const Head& head = *model.head("news");
  const Tensor bias = model.arena()[head.bias].value;
  bias.data<double>()[0] = 1e5;  // certain of every answer
  expect_error<std::runtime_error>("zero", "F is zero everywhere on 3 texts of task \"news\"",
                                   [&] { measure_importance(model, head, texts(3, 3)); });
  bias.data<double>()[0] = std::numeric_limits<double>::quiet_NaN();
  expect_error<std::runtime_error>("nan", "not finite",
                                   [&] { measure_importance(model, head, texts(3, 3)); });
}

TEST(Fisher, ProgressCountsTextsAndMayStop) {
  Model model = tiny_model(DType::f32);
  std::vector<std::int64_t> done;
  const auto progress = [&](std::int64_t n, std::int64_t total) {
    EXPECT_EQ(total, 7);
    done.push_back(n);
    if (done.size() == 2) throw std::runtime_error("stopped");
  };
  const ImportanceOptions options{
      .kind = ImportanceKind::empirical, .batch_size = 3, .dropout = {}};
  expect_error<std::runtime_error>("stop", "stopped", [&] {
    measure_importance(model, *model.head("news"), texts(7, 3), options, progress);
  });
  EXPECT_EQ(done, (std::vector<std::int64_t>{3, 6}));
}

TEST(Fisher, FileRoundTripByName) {
  const TemporaryFolder folder;
  Model model = tiny_model(DType::f32);
  const Importance fisher = measure_importance(model, *model.head("news"), texts(5, 3));
  save_importance(folder / "f.safetensors", fisher, model.arena());
  const SafetensorsFile file = SafetensorsFile::open(folder / "f.safetensors");
  EXPECT_EQ(file.metadata().at("kind"), "true");
  EXPECT_EQ(file.metadata().at("samples"), "5");
  EXPECT_EQ(file.metadata().at("task"), "news");
  EXPECT_NE(file.find("bert.embeddings.word_embeddings.weight"), nullptr);
  EXPECT_NE(file.find("classifier.bias"), nullptr);
  Model later = tiny_model(DType::f32);
  later.add_head("medical", {"x", "y"}, 1);  // another layout
  const Importance read = load_importance(folder / "f.safetensors", later.arena());
  EXPECT_EQ(read.samples, 5);
  EXPECT_EQ(read.kind, ImportanceKind::true_fisher);
  EXPECT_NEAR(read.scale.mean_positive, fisher.scale.mean_positive, 1e-12);
  for (const NamedSlice& slice : later.arena().slices()) {
    const std::vector<double> values =
        read.values.slice(0, slice.offset, slice.offset + slice.size).to_vector();
    const NamedSlice* same = model.arena().find(slice.name);
    const std::vector<double> expected =
        same == nullptr
            ? std::vector<double>(values.size(), 0.0)
            : fisher.values.slice(0, same->offset, same->offset + same->size).to_vector();
    EXPECT_EQ(values, expected) << slice.name;
  }
}

TEST(Fisher, FileOfAnotherModelIsRefused) {
  const TemporaryFolder folder;
  Model model = tiny_model(DType::f32), wider = tiny_model(DType::f32, 4);
  const std::string path = folder / "f.safetensors";
  save_importance(path, measure_importance(wider, *wider.head("news"), texts(5, 3)), wider.arena());
  expect_error<std::runtime_error>("shape", "classifier.weight has shape (4,8), the model's (3,8)",
                                   [&] { load_importance(path, model.arena()); });
  write_safetensors(path, {{"x", Tensor::zeros({1}, DType::f32)}}, {});
  expect_error<std::runtime_error>("metadata", "f.safetensors: its metadata has no \"kind\"",
                                   [&] { load_importance(path, model.arena()); });
  write_safetensors(path, {{"x", Tensor::zeros({1}, DType::f32)}},
                    {{"kind", "true"}, {"samples", "2"}, {"task", "news"}});
  expect_error<std::runtime_error>("unknown", "it holds x, which the model does not have",
                                   [&] { load_importance(path, model.arena()); });
  write_safetensors(path, {}, {{"kind", "true"}, {"samples", "two"}, {"task", "news"}});
  expect_error<std::runtime_error>(
      "samples", "f.safetensors: ", [&] { load_importance(path, model.arena()); });
}

}  // namespace
}  // namespace holdfast
