#include "nn/config.h"

#include <gtest/gtest.h>

#include "base/json.h"
#include "tests/nn/scratch.h"

namespace holdfast {
namespace {

using testing::message_of;
using testing::read_bytes;
using testing::Scratch;

BertConfig load(const std::string& text) {
  const Scratch scratch;
  return BertConfig::load(scratch.write("config.json", text));
}

// A config.json with these members beside model_type.
std::string with(const std::string& members) {
  return R"({"model_type": "bert", )" + members + "}";
}

TEST(BertConfig, DefaultsAreThoseOfTransformers) {
  const BertConfig config = load(R"({"model_type": "bert"})");
  EXPECT_EQ(config.vocab_size, 30522);
  EXPECT_EQ(config.hidden_size, 768);
  EXPECT_EQ(config.layers, 12);
  EXPECT_EQ(config.heads, 12);
  EXPECT_EQ(config.intermediate_size, 3072);
  EXPECT_EQ(config.max_positions, 512);
  EXPECT_EQ(config.type_vocab_size, 2);
  EXPECT_EQ(config.activation, Activation::gelu_erf);
  EXPECT_EQ(config.hidden_dropout, 0.1);
  EXPECT_EQ(config.attention_dropout, 0.1);
  EXPECT_LT(config.classifier_dropout, 0.0);
  EXPECT_EQ(config.layer_norm_eps, 1e-12);
  EXPECT_EQ(config.initializer_range, 0.02);
  EXPECT_TRUE(config.labels.empty());
}

TEST(BertConfig, ReadsWhatIsThere) {
  const BertConfig config = load(with(
      R"("vocab_size": 100, "hidden_size": 24, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 7,
         "max_position_embeddings": 64, "type_vocab_size": 1, "hidden_act": "gelu_pytorch_tanh", "hidden_dropout_prob": 0,
         "attention_probs_dropout_prob": 0.25, "classifier_dropout": 0.5, "layer_norm_eps": 1e-5, "initializer_range": 0.1,
         "id2label": {"1": "no", "0": "yes"}, "label2id": {"yes": 0, "no": 1}, "use_cache": true, "pruned_heads": {},
         "torch_dtype": "float32", "problem_type": null)"));
  EXPECT_EQ(config.vocab_size, 100);
  EXPECT_EQ(config.hidden_size, 24);
  EXPECT_EQ(config.layers, 3);
  EXPECT_EQ(config.heads, 4);
  EXPECT_EQ(config.intermediate_size, 7);
  EXPECT_EQ(config.max_positions, 64);
  EXPECT_EQ(config.type_vocab_size, 1);
  EXPECT_EQ(config.activation, Activation::gelu_tanh);
  EXPECT_EQ(config.hidden_dropout, 0.0);
  EXPECT_EQ(config.attention_dropout, 0.25);
  EXPECT_EQ(config.classifier_dropout, 0.5);
  EXPECT_EQ(config.layer_norm_eps, 1e-5);
  EXPECT_EQ(config.initializer_range, 0.1);
  EXPECT_EQ(config.labels, (std::vector<std::string>{"yes", "no"}));
}

TEST(BertConfig, RefusesEveryBadValue) {
  struct Case {
    std::string text, expected;
  };
  const std::vector<Case> cases = {
      {"[]", "must be an object"},
      {"", "config.json"},
      {"\xef\xbb\xbf{}", "byte order mark"},
      {with(R"("hidden_size": 12, "hidden_size": 12)"), "twice"},
      {with(R"("hidden_size": 12,)"), "column "},
      {with(R"("layer_norm_eps": NaN)"), "column "},
      {"{}", "no key \"model_type\""},
      {R"({"model_type": "roberta"})", "model_type is \"roberta\", holdfast reads only \"bert\""},
      {R"({"model_type": null})", "model_type must be a string"},
      {with(R"("hidden_size": 0)"), "hidden_size must be from 1 to 65536, found 0"},
      {with(R"("hidden_size": -12)"), "hidden_size must be from 1"},
      {with(R"("hidden_size": 1099511627776)"), "hidden_size must be from 1"},
      {with(R"("hidden_size": 1.5)"), "hidden_size must be an integer"},
      {with(R"("hidden_size": "768")"), "hidden_size must be an integer, found \"768\""},
      {with(R"("hidden_size": null)"), "hidden_size must be an integer"},
      {with(R"("hidden_size": 770)"), "hidden_size 770 is not divisible by num_attention_heads 12"},
      {with(R"("num_hidden_layers": 0)"), "num_hidden_layers must be from 1 to 1000"},
      {with(R"("num_hidden_layers": 1000000)"), "num_hidden_layers must be from 1 to 1000"},
      {with(R"("layer_norm_eps": 0)"), "layer_norm_eps must be above 0"},
      {with(R"("layer_norm_eps": -1e-12)"), "layer_norm_eps must be above 0"},
      {with(R"("hidden_dropout_prob": 1.0)"),
       "hidden_dropout_prob must be 0 or more and below 1.0"},
      {with(R"("hidden_dropout_prob": -0.1)"), "hidden_dropout_prob must be 0 or more"},
      {with(R"("attention_probs_dropout_prob": 2)"),
       "attention_probs_dropout_prob must be 0 or more"},
      {with(R"("classifier_dropout": 1)"), "classifier_dropout must be 0 or more"},
      {with(R"("hidden_act": "swish")"), "hidden_act is \"swish\", holdfast supports gelu,"},
      {with(R"("position_embedding_type": "relative_key")"),
       "position_embedding_type is \"relative_key\""},
      {with(R"("is_decoder": true)"), "is_decoder is true, holdfast supports only false"},
      {with(R"("add_cross_attention": true)"), "add_cross_attention is true"},
      {with(R"("problem_type": "regression")"), "problem_type is \"regression\""},
      {with(R"("pruned_heads": {"0": [1]})"), "pruned_heads is"},
      {with(R"("id2label": {"0": "a", "2": "b"})"), "the keys 0 to 1 without a gap, found \"2\""},
      {with(R"("id2label": {"0": "a", "1": "a"})"), "gives the label \"a\" twice"},
      {with(R"("id2label": {"zero": "a"})"), "found \"zero\""},
      {with(R"("id2label": {"-1": "a"})"), "found \"-1\""},
      {with(R"("id2label": {"00": "a"})"), "found \"00\""},
      {with(R"("id2label": {"0": 1})"), "must be a string"},
      {with(R"("id2label": {"0": "a"}, "label2id": {"a": 1})"), "label2id is not the inverse"},
      {with(R"("id2label": {"0": "a"}, "label2id": {})"), "label2id is not the inverse"},
      {with(R"("x": )" + std::string(10000, '[') + std::string(10000, ']')), "nested"},
      {std::string((16 << 20) + 1, ' '), "config.json"},
  };
  for (const Case& c : cases) {
    const std::string message = message_of([&] { load(c.text); });
    EXPECT_NE(message.find(c.expected), std::string::npos) << c.text.substr(0, 200) << "\n"
                                                           << message;
    EXPECT_NE(message.find("config.json"), std::string::npos) << message;
  }
  std::string labels;
  for (int i = 0; i <= 100'000; ++i)
    labels += (i == 0 ? "\"" : ",\"") + std::to_string(i) + R"(":")" + std::to_string(i) + '"';
  EXPECT_NE(message_of([&] {
              load(with(R"("id2label": {)" + labels + "}"));
            }).find("more than 100000 labels"),
            std::string::npos);
}

TEST(BertConfig, SavesWhatItLoads) {
  BertConfig config = BertConfig::preset("mini");
  config.activation = Activation::gelu_tanh;
  config.layer_norm_eps = 3e-7;
  config.classifier_dropout = 0.3;
  const Scratch scratch;
  const std::vector<std::string> labels = {"b", "a", "\"quoted\"\n", "d", "e", "f", "g", "h", "i",
                                           "j", "k"};
  config.save(scratch / "config.json", labels);
  const BertConfig back = BertConfig::load(scratch / "config.json");
  EXPECT_EQ(back.labels, labels);
  EXPECT_EQ(back.layers, 4);
  EXPECT_EQ(back.hidden_size, 256);
  EXPECT_EQ(back.heads, 4);
  EXPECT_EQ(back.intermediate_size, 1024);
  EXPECT_EQ(back.activation, Activation::gelu_tanh);
  EXPECT_EQ(back.layer_norm_eps, 3e-7);
  EXPECT_EQ(back.classifier_dropout, 0.3);
  const Json json = Json::parse(read_bytes(scratch / "config.json"), "config.json");
  EXPECT_EQ(json.at("architectures").array().at(0).as_string(), "BertForSequenceClassification");
  EXPECT_EQ(json.at("problem_type").as_string(), "single_label_classification");
  EXPECT_EQ(json.at("dtype").as_string(), "float32");
  EXPECT_EQ(json.at("label2id").at("a").as_int64(), 1);
  EXPECT_TRUE(std::is_sorted(json.items().begin(), json.items().end(),
                             [](const auto& a, const auto& b) { return a.first < b.first; }));
}

TEST(BertConfig, WithoutLabelsIsAnEncoder) {
  const Scratch scratch;
  BertConfig::preset("tiny").save(scratch / "config.json", {}, DType::f64);
  const Json json = Json::parse(read_bytes(scratch / "config.json"), "config.json");
  EXPECT_EQ(json.at("architectures").array().at(0).as_string(), "BertModel");
  EXPECT_EQ(json.at("dtype").as_string(), "float64");
  EXPECT_TRUE(json.at("classifier_dropout").is_null());
  EXPECT_EQ(json.find("id2label"), nullptr);
  EXPECT_TRUE(BertConfig::load(scratch / "config.json").labels.empty());
}

TEST(BertConfig, Presets) {
  EXPECT_EQ(BertConfig::preset("tiny").heads, 2);
  EXPECT_EQ(BertConfig::preset("small").hidden_size, 512);
  EXPECT_EQ(BertConfig::preset("base").intermediate_size, 3072);
  EXPECT_NE(message_of([] { BertConfig::preset("huge"); }).find("tiny, mini, small and base"),
            std::string::npos);
}

}  // namespace
}  // namespace holdfast
