// A trace beside transformers: on the batch of make_bert_golden.py logits, loss and gradients, and
// on that of make_trace_golden.py the output of every module, all in double.
#include "nn/trace.h"

#include <gtest/gtest.h>

#include <map>
#include <set>

#include "base/json.h"
#include "tests/nn/golden.h"

namespace holdfast {
namespace {

using testing::error;
using testing::Golden;
using testing::greatest;

const std::filesystem::path kGolden = HOLDFAST_GOLDEN;

BatchTrace trace_of(Model& model, const Golden& golden) {
  return trace_batch(model, model.heads().front(), golden.batch, golden.labels);
}

TEST(Trace, LogitsLossAndGradientsAreThoseOfTransformers) {
  const Golden golden(kGolden / "bert_erf" / "golden.safetensors");
  Model model = Model::load(kGolden / "bert_erf", DType::f64);
  const BatchTrace trace = trace_of(model, golden);
  EXPECT_LE(error(trace.logits.to_vector(), golden.values("logits")), 1e-12);
  EXPECT_LE(error(trace.loss.to_vector(), golden.values("loss")), 1e-12);
  EXPECT_EQ(trace.gradients.size(), model.arena().slices().size());
  for (const auto& [name, gradient] : trace.gradients) {
    // The gradient of a key's bias is zero but for rounding: on the query's scale.
    std::string scale = "grad." + name;
    if (const std::size_t key = scale.find("key.bias"); key != std::string::npos)
      scale.replace(key, 3, "query");
    EXPECT_LE(
        error(gradient.to_vector(), golden.values("grad." + name), greatest(golden.values(scale))),
        1e-11)
        << name;
  }
}

TEST(Trace, EveryModuleGivesWhatItGivesInTransformers) {
  const std::filesystem::path file = kGolden / "trace.safetensors";
  const Golden golden(file);
  const SafetensorsFile tensors = SafetensorsFile::open(file);
  Model model = Model::load(kGolden / "bert_erf", DType::f64);
  std::map<std::string, std::vector<double>> ours;
  for (const auto& [path, value] : trace_of(model, golden).activations)
    EXPECT_TRUE(ours.emplace(path, value.to_vector()).second) << path << " is there twice";

  std::set<std::string> theirs;
  const auto compare = [&](const std::string& path, const std::string& stored) {
    theirs.insert(path);
    ASSERT_TRUE(ours.contains(path)) << path;
    EXPECT_LE(error(ours[path], golden.values("act." + stored)), 1e-13) << path;
  };
  for (const SafetensorsEntry& entry : tensors.entries())
    if (entry.name.starts_with("act.")) compare(entry.name.substr(4), entry.name.substr(4));
  const Json same = Json::parse(tensors.metadata().at("same"), "same");
  for (const auto& [path, stored] : same.items()) compare(path, stored.as_string());
  EXPECT_EQ(theirs.size(), ours.size());
  EXPECT_GT(theirs.size(), 40U);
}

TEST(Trace, AnotherHeadAndWhatIsFrozenHaveNoGradient) {
  const Golden golden(kGolden / "trace.safetensors");
  Model model = Model::load(kGolden / "bert_erf", DType::f64);
  model.add_head("other", {"x", "y"}, 1);
  model.arena().train_only(
      [](const NamedSlice& slice) { return slice.layer > 0 || !slice.task.empty(); });
  const BatchTrace trace = trace_of(model, golden);
  for (const auto& [name, gradient] : trace.gradients) {
    EXPECT_FALSE(name.starts_with("heads.")) << name;
    EXPECT_FALSE(name.starts_with("bert.embeddings.")) << name;
  }
  EXPECT_EQ(trace.gradients.back().first, "classifier.bias");
  EXPECT_GT(greatest(trace.gradients.back().second.to_vector()), 0.0);
}

TEST(Trace, TwiceIsTheSame) {
  const Golden golden(kGolden / "trace.safetensors");
  Model model = Model::load(kGolden / "bert_erf", DType::f64);
  trace_of(model, golden);
  const std::vector<double> once = model.arena().grads().to_vector();
  trace_of(model, golden);
  EXPECT_EQ(model.arena().grads().to_vector(), once);
}

}  // namespace
}  // namespace holdfast
