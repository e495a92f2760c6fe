// What evaluate, predict, fisher, trace, select and merge call, on a device beside the CPU.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "audit/reference/tiny_classifier.h"
#include "audit/reference/twins.h"
#include "nn/trace.h"
#include "tests/cuda/on_simulation.h"
#include "tests/reference/temporary_folder.h"
#include "train/evaluate.h"
#include "train/features.h"
#include "train/fisher.h"
#include "train/importance_file.h"
#include "train/merge_models.h"

namespace holdfast {
namespace {

constexpr double kDouble = 1e-9, kFloat = 2e-5;  // bounds, of the largest number

/// A model's folder, from which each test loads it onto one device or the other.
class CommandsOnDevice : public OnDeviceTest {
 protected:
  CommandsOnDevice() { tiny_model(DType::f64).save(folder_.path(), "news"); }

  Model load(DType dtype) const { return Model::load(folder_.path(), dtype); }

  /// What `numbers` gives of the model: on the device in f64 and f32 beside the CPU in f64.
  template <class Numbers>
  void expect_equal(const Numbers& numbers, double single = kFloat, double bound = kDouble) const {
    const auto on = [&](Device device, DType dtype) {
      const OnDevice scope(device);
      Model model = load(dtype);
      EXPECT_EQ(model.arena().values().device(), device);
      const std::vector<double> values = numbers(model);
      return Tensor::from(values, {std::ssize(values)});
    };
    const Tensor expected = on(Device(), DType::f64);
    const std::int64_t before = kernels_run();
    const Tensor found = on({0}, DType::f64);
    EXPECT_GT(kernels_run(), before);
    EXPECT_LE(difference(found, expected), bound);
    EXPECT_LE(difference(on({0}, DType::f32), expected), single);
    EXPECT_EQ(on({0}, DType::f64).to_vector(), found.to_vector());
    EXPECT_EQ(current_device(), Device());
  }

  TemporaryFolder folder_;
};

TEST_P(CommandsOnDevice, EvaluateAndPredict) {
  const std::vector<Sample> samples = texts(11, 3);
  expect_equal([&](Model& model) {  // several batches
    return probabilities(model, *model.head("news"), samples, {}, 20);
  });
  expect_equal([&](Model& model) {
    return std::vector<double>{evaluate(model, *model.head("news"), samples).loss};
  });
}

// All but the loss are counts of answers.
TEST_P(CommandsOnDevice, EvaluationIsPrintedAlike) {
  const std::vector<Sample> samples = texts(11, 3);
  const auto printed = [&](Device device) {
    const OnDevice scope(device);
    Model model = load(DType::f32);
    Evaluation result = evaluate(model, *model.head("news"), samples);
    result.loss = 0;
    return to_json(result).dump();
  };
  EXPECT_EQ(printed({0}), printed(Device()));
}

TEST_P(CommandsOnDevice, SelectByHerdingSeesTheSameFeatures) {
  // Rounded to float at the end, whatever the model's type.
  expect_equal(
      [&](Model& model) {
        const std::vector<float> features = pooled_features(model, texts(11, 3), {}, 20);
        return std::vector<double>(features.begin(), features.end());
      },
      kFloat, 1e-6);
}

TEST_P(CommandsOnDevice, FisherOfEveryKind) {
  for (const char* kind : {"true", "empirical", "sampled", "sketch", "mas"}) {
    SCOPED_TRACE(kind);
    expect_equal(
        [&](Model& model) {
          ImportanceOptions how;
          how.kind = parse_importance_kind(kind);
          how.batch_size = 4;
          how.seed = 3;
          return measure_importance(model, *model.head("news"), texts(7, 3), how)
              .values.to_vector();
        },
        1e-4);
  }
}

TEST_P(CommandsOnDevice, FisherWritesAndMergeReadsItsFile) {
  expect_equal(
      [&](Model& model) {
        const Importance measured = measure_importance(model, *model.head("news"), texts(7, 3));
        const auto file = folder_.path() / "importance.safetensors";
        save_importance(file, measured, model.arena());
        const Importance read = load_importance(file, model.arena());
        EXPECT_EQ(read.values.device(), current_device());
        EXPECT_EQ(read.weights, weights_digest(model.arena()));
        return read.values.to_vector();
      },
      1e-4);
}

TEST_P(CommandsOnDevice, Trace) {
  expect_equal([&](Model& model) {
    const std::vector<Sample> samples = texts(4, 3);
    std::vector<TokenSpan> spans;
    std::vector<std::int32_t> labels;
    for (const Sample& sample : samples) {
      spans.push_back({.ids = sample.ids,
                       .type_ids = sample.type_ids,
                       .slot = static_cast<std::int32_t>(spans.size())});
      labels.push_back(sample.label);
    }
    const BatchTrace trace =
        trace_batch(model, *model.head("news"), pack(spans), Tensor::from(labels, {4}));
    std::vector<double> all = trace.logits.to_vector();
    const auto append = [&](const Tensor& tensor) {
      const std::vector<double> more = tensor.to_vector();
      all.insert(all.end(), more.begin(), more.end());
    };
    for (const auto& [path, value] : trace.activations) append(value);
    for (const auto& [name, value] : trace.gradients) append(value);
    return all;
  });
}

TEST_P(CommandsOnDevice, MergeByEveryMethod) {
  for (const char* method :
       {"linear", "slerp", "fisher", "task-arithmetic", "ties", "dare-linear", "dare-ties"}) {
    SCOPED_TRACE(method);
    expect_equal([&](Model& first) {
      Model second = first.clone();
      second.arena().values().copy_from(
          random_tensor({second.arena().numel()}, 5, 0.5, first.dtype()));
      const auto importance = [&](std::uint64_t seed) {
        const Tensor values = random_tensor({first.arena().numel()}, seed);
        for (double& f : values.span<double>()) f *= f;
        return values.to(first.dtype());
      };
      MergeOptions options;
      options.method = parse_merge_method(method);
      options.density = 0.5;
      const MergeModel base{.name = "base", .model = &first};
      const std::vector<MergeModel> models{
          {.name = "first", .model = &first, .weight = 0.3, .importance = importance(6)},
          {.name = "second", .model = &second, .weight = 0.7, .importance = importance(7)}};
      const MergedModel merged =
          merge_models(needs_base(options.method) ? &base : nullptr, models, options);
      EXPECT_EQ(merged.model.arena().values().device(), current_device());
      merged.model.save(folder_.path() / "merged", "news");
      // Merging asks a device for copies alone; that the merged model answers, for kernels.
      Model read = Model::load(folder_.path() / "merged", first.dtype());
      std::vector<double> all = read.arena().values().to_vector();
      const std::vector<double> p = probabilities(read, *read.head("news"), texts(3, 3));
      all.insert(all.end(), p.begin(), p.end());
      return all;
    });
  }
}

INSTANTIATE_TEST_SUITE_P(Cuda, CommandsOnDevice, testing::Values(1, 3, kGpu), device_test_name);

}  // namespace
}  // namespace holdfast
