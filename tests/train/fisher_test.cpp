#include "train/fisher.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "audit/reference/per_sample_loop.h"
#include "tensor/storage.h"
#include "tests/reference/expect_error.h"
#include "tests/train/tiny_classifier.h"
#include "train/mixing.h"

namespace holdfast {
namespace {

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
    const Var pooled = model.pool(batch);
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

// Exactly unbiased: the mean of the sketch over all 2^K patterns of signs, by which it draws, is
// the true Fisher information.
TEST(Fisher, SketchOverAllSignsIsTheTrueFisher) {
  Model model = tiny_model(DType::f64, 4);
  const Head& head = *model.head("news");
  const std::vector<Sample> samples = texts(3, 4);
  const auto over_all_signs = [](const auto&, const std::vector<double>& p, std::size_t) {
    std::vector<Walk> walks;
    for (unsigned pattern = 0; pattern < 16; ++pattern) {
      std::vector<int> signs;
      for (unsigned y = 0; y < 4; ++y) signs.push_back((pattern >> y) % 2 == 1 ? 1 : -1);
      walks.push_back({1.0 / 16, sketched_gradient(p, signs)});
    }
    return walks;
  };
  expect_near(mean_by_loop(model, head, samples, over_all_signs, [](double g) { return g * g; }),
              measure_importance(model, head, samples).values.to_vector(), 1e-12);
}

TEST(Fisher, LabelsAreDrawnFromTheProbabilities) {
  const std::vector<double> p{0.25, 0, 0.5, 0.25, 0};
  EXPECT_EQ(label_at(p, 0), 0);
  EXPECT_EQ(label_at(p, 0.2499), 0);
  EXPECT_EQ(label_at(p, 0.25), 2);
  EXPECT_EQ(label_at(p, 0.7499), 2);
  EXPECT_EQ(label_at(p, 0.75), 3);
  EXPECT_EQ(label_at({{0.5, 0.5 - 1e-9, 0}}, 1 - 1e-12), 1);  // p that sums to less than u
}

// Means over many draws come near the exact one: sampled and sketch are unbiased.
TEST(Fisher, RandomKindsAreNearTheExactOneOnAverage) {
  Model model = tiny_model(DType::f64, 4);
  const Head& head = *model.head("news");
  const std::vector<Sample> samples = texts(4, 4);
  const std::vector<double> exact = measure_importance(model, head, samples).values.to_vector();
  for (const ImportanceKind kind : {ImportanceKind::sampled, ImportanceKind::sketch}) {
    std::vector<double> mean(exact.size(), 0);
    constexpr int kDraws = 400;
    for (std::uint64_t seed = 0; seed < kDraws; ++seed) {
      const std::vector<double> draw =
          measure_importance(model, head, samples, {.kind = kind, .dropout = {}, .seed = seed})
              .values.to_vector();
      for (std::size_t i = 0; i < mean.size(); ++i) mean[i] += draw[i] / kDraws;
    }
    expect_near(mean, exact, 0.15);
  }
}

TEST(Fisher, SamplesAreChosenFromAStreamOfTheirOwn) {
  const std::vector<std::int64_t> chosen = fisher_samples(1000, 50, 7);
  EXPECT_EQ(chosen.size(), 50u);
  EXPECT_TRUE(std::is_sorted(chosen.begin(), chosen.end()));
  EXPECT_EQ(std::adjacent_find(chosen.begin(), chosen.end()), chosen.end());
  EXPECT_GE(chosen.front(), 0);
  EXPECT_LT(chosen.back(), 1000);
  EXPECT_EQ(fisher_samples(1000, 50, 7), chosen);
  EXPECT_NE(fisher_samples(1000, 50, 8), chosen);
  EXPECT_EQ(fisher_samples(3, 50, 7), (std::vector<std::int64_t>{0, 1, 2}));
  std::vector<std::int64_t> replayed = permutation(1000, RandomStream(7, "selection"), 0);
  replayed.resize(50);
  std::sort(replayed.begin(), replayed.end());
  EXPECT_NE(replayed, chosen);
}

}  // namespace
}  // namespace holdfast
