// Adapters as files: beside the base in a model's folder, and LoRA in PEFT's layout.
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <map>

#include "audit/reference/adapter_models.h"
#include "base/json.h"
#include "nn/peft.h"
#include "nn/safetensors.h"
#include "tests/nn/golden.h"
#include "tests/nn/scratch.h"

namespace holdfast {
namespace {

using testing::adapted_model;
using testing::base_model;
using testing::error;
using testing::Golden;
using testing::logits_of;
using testing::message_of;
using testing::read_bytes;
using testing::Scratch;
using testing::Texts;
using Tensors = std::map<std::string, Tensor>;

const std::filesystem::path kGolden = HOLDFAST_GOLDEN;

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

Tensors read_tensors(const std::filesystem::path& path, DType dtype = DType::f32) {
  const auto file = SafetensorsFile::open(path);
  Tensors tensors;
  for (const SafetensorsEntry& entry : file.entries())
    tensors[entry.name] = file.read(entry, dtype);
  return tensors;
}

void write(const std::filesystem::path& path, const Tensors& tensors) {
  write_safetensors(path, {tensors.begin(), tensors.end()}, {{"format", "pt"}});
}

Json read_json(const std::filesystem::path& path) {
  return Json::parse(read_bytes(path), path.filename().string());
}

void write_json(const std::filesystem::path& path, const Json& json) {
  std::ofstream(path) << json.dump(2);
}

class AdapterFiles : public ::testing::TestWithParam<AdapterKind> {};

TEST_P(AdapterFiles, SavedAndLoadedIsTheSameModel) {
  for (const DType dtype : {DType::f32, DType::f64}) {
    const Scratch scratch;
    Model model = adapted_model(GetParam(), dtype);
    model.save(scratch / "model", "medical");
    Notices notices;
    Model back = Model::load(scratch / "model", dtype, &notices);
    EXPECT_TRUE(notices.empty());
    EXPECT_EQ(back.arena().values().to_vector(), model.arena().values().to_vector());
    EXPECT_EQ(back.adapter().kind, GetParam());
    const Texts texts;
    EXPECT_EQ(logits_of(back, texts.batch).value().to_vector(),
              logits_of(model, texts.batch).value().to_vector());
    back.save(scratch / "again", "medical");
    for (const char* file : {"config.json", "model.safetensors", "heads.safetensors",
                             "holdfast.json", "adapters.safetensors"}) {
      EXPECT_EQ(read_bytes(scratch / "model" / file), read_bytes(scratch / "again" / file)) << file;
    }
  }
}

// config.json and model.safetensors are the base alone, and holdfast.json says so.
TEST_P(AdapterFiles, TheBaseStaysWhatItWas) {
  const Scratch scratch;
  base_model(DType::f32).save(scratch / "base", "medical");
  adapted_model(GetParam(), DType::f32).save(scratch / "adapted", "medical");
  for (const char* file : {"config.json", "model.safetensors", "heads.safetensors"})
    EXPECT_EQ(read_bytes(scratch / "base" / file), read_bytes(scratch / "adapted" / file)) << file;
  EXPECT_FALSE(std::filesystem::exists(scratch / "base" / "adapters.safetensors"));
  EXPECT_EQ(read_json(scratch / "base/holdfast.json").at("version").as_int64(), 1);
  const Json json = read_json(scratch / "adapted/holdfast.json");
  EXPECT_EQ(json.at("version").as_int64(), 2);
  EXPECT_EQ(json.at("adapter").at("kind").as_string(), name_of(GetParam()));
  EXPECT_TRUE(contains(json.at("adapter").at("note").as_string(), "the base without the adapter"));
}

TEST_P(AdapterFiles, AFolderForgetsTheAdapterThatWasThere) {
  const Scratch scratch;
  adapted_model(GetParam(), DType::f32).save(scratch / "m", "medical");
  base_model(DType::f32).save(scratch / "m", "medical");
  EXPECT_FALSE(std::filesystem::exists(scratch / "m/adapters.safetensors"));
  EXPECT_EQ(Model::load(scratch / "m", DType::f32).adapter().kind, AdapterKind::none);
}

TEST_P(AdapterFiles, AnEncoderWithoutHeads) {
  const Scratch scratch;
  Model model = Model::create(base_model(DType::f32).config(), DType::f32, 5);
  model.add_adapter({.kind = GetParam(), .size = 2}, 1);
  testing::scatter_adapter(model);
  model.save(scratch / "m", "");
  const Model back = Model::load(scratch / "m", DType::f32);
  EXPECT_TRUE(back.heads().empty());
  EXPECT_EQ(back.arena().values().to_vector(), model.arena().values().to_vector());
}

TEST_P(AdapterFiles, NamesAllThatDoesNotFit) {
  const Scratch scratch;
  adapted_model(GetParam(), DType::f32).save(scratch / "m", "medical");
  Tensors tensors = read_tensors(scratch / "m/adapters.safetensors");
  const std::string name = tensors.begin()->first, last = tensors.rbegin()->first;
  tensors.erase(name);
  tensors[last] = Tensor::zeros({5}, DType::f32);
  tensors["encoder.layer.2.output.adapter.up.bias"] = Tensor::zeros({16}, DType::f32);
  write(scratch / "m/adapters.safetensors", tensors);
  const std::string message = message_of([&] { Model::load(scratch / "m", DType::f32); });
  EXPECT_TRUE(contains(message, "missing: " + name)) << message;
  EXPECT_TRUE(contains(message, last + " is (5)")) << message;
  EXPECT_TRUE(contains(message, "unexpected: encoder.layer.2.output.adapter.up.bias")) << message;
  std::filesystem::remove(scratch / "m/adapters.safetensors");
  EXPECT_TRUE(contains(message_of([&] { Model::load(scratch / "m", DType::f32); }),
                       "adapters.safetensors"));
}

INSTANTIATE_TEST_SUITE_P(Kinds, AdapterFiles,
                         ::testing::Values(AdapterKind::houlsby, AdapterKind::pfeiffer,
                                           AdapterKind::lora),
                         [](const auto& test) { return std::string(name_of(test.param)); });

TEST(AdapterCard, MustBeOneThatHoldfastKnows) {
  const Scratch scratch;
  adapted_model(AdapterKind::pfeiffer, DType::f32).save(scratch / "m", "medical");
  const Json good = read_json(scratch / "m/holdfast.json");
  const auto refusal = [&](const char* key, const Json& value) {
    Json json = good, adapter = good.at("adapter");
    json.set("adapter", adapter.set(key, value));
    write_json(scratch / "m/holdfast.json", json);
    return message_of([&] { Model::load(scratch / "m", DType::f32); });
  };
  EXPECT_EQ(refusal("size", 3), "");
  EXPECT_TRUE(contains(refusal("kind", "prefix"), "adapter.kind is no kind of adapter"));
  EXPECT_TRUE(contains(refusal("kind", "none"), "must name an adapter"));
  EXPECT_TRUE(contains(refusal("size", 0), "must be from 1 to 65536"));
  EXPECT_TRUE(contains(refusal("size", 4), "is (3,16), expected (4,16)"));
  EXPECT_TRUE(contains(refusal("activation", "swish"), "must be relu"));
  Json json = good;
  write_json(scratch / "m/holdfast.json", json.set("version", 1));
  EXPECT_EQ(Model::load(scratch / "m", DType::f32).adapter().kind, AdapterKind::none)
      << "version 1 has no adapter";
}

// The golden folder: what PEFT saved, on the golden base.
class Peft : public ::testing::Test {
 protected:
  Peft() { std::filesystem::copy(kGolden / "peft_lora", folder_); }
  static Model base(DType dtype) { return Model::load(kGolden / "bert_erf", dtype); }
  std::string refusal() {
    Model model = base(DType::f32);
    const std::string message = message_of([&] { read_peft(model, "default", folder_); });
    EXPECT_EQ(model.adapter().kind, message.empty() ? AdapterKind::lora : AdapterKind::none);
    return message;
  }
  std::string refusal_of(const std::string& key, const Json& value) {
    Json json = read_json(kGolden / "peft_lora/adapter_config.json");
    write_json(folder_ / "adapter_config.json", json.set(key, value));
    return refusal();
  }

  const Scratch scratch_;
  const std::filesystem::path folder_ = scratch_ / "adapter";
};

TEST_F(Peft, LogitsAreThoseOfPeft) {
  const Golden golden(folder_ / "golden.safetensors");
  for (const auto& [dtype, bound] : {std::pair{DType::f64, 1e-9}, std::pair{DType::f32, 1e-5}}) {
    Model model = base(dtype);
    const auto before = logits_of(model, golden.batch).value().to_vector();
    read_peft(model, "default", folder_);
    EXPECT_EQ(model.adapter().rank, 3);
    EXPECT_EQ(model.adapter().alpha, 7.0);
    const auto theirs = golden.values("logits");
    EXPECT_GT(error(before, theirs), 0.1);
    EXPECT_LE(error(logits_of(model, golden.batch).value().to_vector(), theirs), bound);
    model.merge_lora();
    EXPECT_LE(error(logits_of(model, golden.batch).value().to_vector(), theirs), bound);
  }
}

// Written again: the same tensors under the same names, and every setting that PEFT wrote too.
TEST_F(Peft, WritesWhatPeftWrites) {
  Model model = base(DType::f32);
  read_peft(model, "default", folder_);
  write_peft(model, "default", "bert_erf", scratch_ / "ours");
  const Tensors theirs = read_tensors(folder_ / "adapter_model.safetensors"),
                ours = read_tensors(scratch_ / "ours/adapter_model.safetensors");
  ASSERT_EQ(ours.size(), theirs.size());
  for (const auto& [name, tensor] : theirs) {
    ASSERT_TRUE(ours.contains(name)) << name;
    EXPECT_EQ(ours.at(name).shape(), tensor.shape()) << name;
    EXPECT_EQ(ours.at(name).to_vector(), tensor.to_vector()) << name;
  }
  const Json settings = read_json(folder_ / "adapter_config.json"),
             written = read_json(scratch_ / "ours/adapter_config.json");
  for (const auto& [key, value] : written.items()) EXPECT_EQ(value, settings.at(key)) << key;
}

TEST_F(Peft, RoundTripKeepsLogits) {
  for (const DType dtype : {DType::f32, DType::f64}) {
    Model model = adapted_model(AdapterKind::lora, dtype);
    write_peft(model, "medical", "somewhere", scratch_ / "ours");
    Model back = base_model(dtype);
    back.arena().value(*back.arena().find("heads.medical.weight")).fill(0.0);
    read_peft(back, "medical", scratch_ / "ours");
    const Texts texts;
    for (const std::size_t head : {0U, 1U})
      EXPECT_EQ(logits_of(back, texts.batch, {}, head).value().to_vector(),
                logits_of(model, texts.batch, {}, head).value().to_vector());
  }
}

TEST_F(Peft, SettingsThatChangeTheResultAreRefused) {
  EXPECT_EQ(refusal(), "");
  EXPECT_EQ(refusal_of("lora_dropout", 0.1), "") << "of training alone";
  EXPECT_EQ(refusal_of("modules_to_save", Json::list({"classifier"})), "");
  EXPECT_EQ(refusal_of("init_lora_weights", "gaussian"), "");
  const std::vector<std::pair<std::string, Json>> settings = {
      {"peft_type", "IA3"},
      {"task_type", "CAUSAL_LM"},
      {"r", 0},
      {"r", 4},
      {"lora_alpha", 0},
      {"bias", "all"},
      {"use_dora", true},
      {"use_rslora", true},
      {"fan_in_fan_out", true},
      {"rank_pattern", Json::object({{"query", 4}})},
      {"layers_to_transform", Json::list({0})},
      {"target_modules", Json::list({"query", "key", "value"})},
      {"target_modules", "all-linear"},
      {"modules_to_save", Json::list({"classifier", "pooler"})},
      {"init_lora_weights", "pissa"},
      {"something_new", 1}};
  for (const auto& [key, value] : settings) {
    const std::string message = refusal_of(key, value);
    EXPECT_TRUE(contains(message, "adapter_config.json")) << key << ": " << message;
    if (value != Json(4)) {
      EXPECT_TRUE(contains(message, key)) << message;
    }
  }
}

TEST_F(Peft, NamesAllThatDoesNotFit) {
  const auto path = folder_ / "adapter_model.safetensors";
  const std::string self = "base_model.model.bert.encoder.layer.0.attention.self.";
  Tensors tensors = read_tensors(path);
  const Tensor a = tensors.at(self + "query.lora_A.weight");
  tensors.erase(self + "query.lora_A.weight");
  tensors["base_model.model.classifier.weight"] = Tensor::zeros({2, 32}, DType::f32);
  tensors[self + "key.lora_A.weight"] = a;
  write(path, tensors);
  const std::string message = refusal();
  EXPECT_TRUE(contains(message, "missing: " + self + "query.lora_A.weight")) << message;
  EXPECT_TRUE(contains(message, "classifier.weight is (2,32), expected (3,32)")) << message;
  EXPECT_TRUE(contains(message, "unexpected: " + self + "key.lora_A.weight")) << message;

  tensors = read_tensors(kGolden / "peft_lora/adapter_model.safetensors");
  tensors[self + "query.lora_A.weight"] = Tensor::full({3, 32}, DType::f32, NAN);
  write(path, tensors);
  EXPECT_TRUE(contains(refusal(), "NaN or infinite weights in " + self + "query.lora_A.weight"));
}

TEST_F(Peft, NeedsALoraAndAHead) {
  Model model = base(DType::f32);
  EXPECT_THROW(write_peft(model, "default", "b", scratch_ / "o"), std::invalid_argument);
  EXPECT_THROW(read_peft(model, "other", folder_), std::invalid_argument);
  read_peft(model, "default", folder_);
  EXPECT_THROW(write_peft(model, "other", "b", scratch_ / "o"), std::invalid_argument);
  EXPECT_THROW(read_peft(model, "default", folder_), std::invalid_argument) << "there is one";
  Model houlsby = adapted_model(AdapterKind::houlsby, DType::f32);
  EXPECT_THROW(write_peft(houlsby, "medical", "b", scratch_ / "o"), std::invalid_argument);
}

}  // namespace
}  // namespace holdfast
