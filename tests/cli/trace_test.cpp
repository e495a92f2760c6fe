// holdfast trace: what is in the file, that its numbers belong together, and labels by name and by
// index. The numbers beside transformers': tests/nn/trace_test.cpp.
#include <gtest/gtest.h>

#include <cmath>

#include "base/json.h"
#include "nn/safetensors.h"
#include "tests/cli/program.h"

namespace holdfast::test {
namespace {

class Trace : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = std::make_unique<Folder>();
    make_small_project(folder_->path());
  }
  static void TearDownTestSuite() { folder_.reset(); }

  static Outcome trace(const std::vector<std::string>& options) {
    std::vector<std::string> arguments{"trace", "--quiet", "--model", "runs/old/model"};
    arguments.insert(arguments.end(), options.begin(), options.end());
    return run(folder_->path(), arguments);
  }
  static std::vector<double> values(const std::string& file, const std::string& name) {
    const SafetensorsFile tensors = SafetensorsFile::open(folder_->path() / file);
    const SafetensorsEntry* entry = tensors.find(name);
    if (entry == nullptr) throw std::runtime_error(name + " is not in " + file);
    return tensors.read(*entry, entry->dtype == "I32" ? DType::i32 : DType::f64).to_vector();
  }

  static inline std::unique_ptr<Folder> folder_;
};

TEST_F(Trace, HoldsInputsResultsActivationsAndGradients) {
  const Outcome outcome =
      trace({"--text", "the goal of day 3", "a market", "--label", "sport", "money", "--precision",
             "f64", "--json", "-o", "both.safetensors"});
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  const SafetensorsFile file = SafetensorsFile::open(folder_->path() / "both.safetensors");
  const std::vector<double> offsets = values("both.safetensors", "offsets");
  ASSERT_EQ(offsets.size(), 3U);
  const auto N = static_cast<std::int64_t>(offsets.back());
  const std::map<std::string, std::vector<std::int64_t>> shapes = {
      {"input_ids", {N}},
      {"token_type_ids", {N}},
      {"labels", {2}},
      {"logits", {2, 2}},
      {"loss", {}},
      {"act.bert.embeddings.LayerNorm", {N, 32}},
      {"act.bert.encoder.layer.0.attention.self.query", {N, 32}},
      {"act.bert.encoder.layer.0.intermediate.dense", {N, 64}},
      {"act.bert.encoder.layer.0", {N, 32}},
      {"act.bert.pooler", {2, 32}},
      {"act.classifier", {2, 2}},
      {"grad.bert.embeddings.position_embeddings.weight", {32, 32}},
      {"grad.bert.encoder.layer.0.attention.self.query.weight", {32, 32}},
      {"grad.classifier.bias", {2}}};
  for (const auto& [name, shape] : shapes) {
    const SafetensorsEntry* entry = file.find(name);
    ASSERT_NE(entry, nullptr) << name;
    EXPECT_EQ(entry->shape, shape) << name;
  }
  for (const SafetensorsEntry& entry : file.entries()) {
    const bool integers = entry.name == "input_ids" || entry.name == "token_type_ids" ||
                          entry.name == "offsets" || entry.name == "labels";
    EXPECT_EQ(entry.dtype, integers ? "I32" : "F64") << entry.name;
  }
  EXPECT_EQ(file.metadata().at("task"), "old");
  EXPECT_EQ(file.metadata().at("labels"), R"(["money","sport"])");
  EXPECT_EQ(values("both.safetensors", "labels"), (std::vector<double>{1, 0}));
  const Json said = Json::parse(outcome.out, "output");
  EXPECT_EQ(said.at("tokens").as_int64(), N);
  EXPECT_EQ(said.at("loss").as_double(), values("both.safetensors", "loss").front());
}

// d(loss)/d(classifier.bias) = 1/B sum over texts of p - e_y, and loss = 1/B sum of -log p_y.
TEST_F(Trace, LossAndGradientFollowFromTheLogits) {
  ASSERT_EQ(trace({"--text", "goal", "--text", "team share", "--label", "0", "--label", "1",
                   "--precision", "f64", "-o", "t.safetensors"})
                .status,
            0);
  const std::vector<double> z = values("t.safetensors", "logits");
  const double p = 1 / (1 + std::exp(z[1] - z[0])), q = 1 / (1 + std::exp(z[3] - z[2]));
  EXPECT_NEAR(values("t.safetensors", "loss").front(), (-std::log(p) - std::log(1 - q)) / 2, 1e-12);
  const std::vector<double> bias = values("t.safetensors", "grad.classifier.bias");
  EXPECT_NEAR(bias[0], (p - 1 + q) / 2, 1e-14);
  EXPECT_NEAR(bias[1], (1 - p - q) / 2, 1e-14);
}

TEST_F(Trace, LabelsByNameAndByIndexAndTheTaskAreTheSame) {
  const std::vector<std::vector<std::string>> ways = {
      {"--text", "goal", "--label", "sport", "-o", "a.safetensors"},
      {"--text", "goal", "--label", "1", "-o", "b.safetensors"},
      {"--text", "goal", "--label", "1", "--task", "old", "-o", "c.safetensors"}};
  for (const auto& options : ways) {
    const Outcome outcome = trace(options);
    ASSERT_EQ(outcome.status, 0) << outcome.err;
    EXPECT_NE(outcome.out.find("of 1 texts, 3 tokens, in f32; loss "), std::string::npos);
  }
  const std::string bytes = read(folder_->path() / "a.safetensors");
  EXPECT_TRUE(bytes == read(folder_->path() / "b.safetensors"));
  EXPECT_TRUE(bytes == read(folder_->path() / "c.safetensors"));
  EXPECT_EQ(SafetensorsFile::open(folder_->path() / "a.safetensors").find("logits")->dtype, "F32");
}

TEST_F(Trace, PairsAreTypedAndCut) {
  ASSERT_EQ(trace({"--text", "goal", "team", "--pair", "market", "share share share", "--label",
                   "0", "1", "--max-length", "6", "-o", "p.safetensors"})
                .status,
            0);
  EXPECT_EQ(values("p.safetensors", "offsets"), (std::vector<double>{0, 5, 11}));
  EXPECT_EQ(values("p.safetensors", "token_type_ids"),
            (std::vector<double>{0, 0, 0, 1, 1, 0, 0, 0, 1, 1, 1}));
}

}  // namespace
}  // namespace holdfast::test
