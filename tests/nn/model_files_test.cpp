// Loading and saving model directories: what is understood, what is refused and how it is said.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <map>
#include <set>

#include "audit/reference/small_bert.h"
#include "base/file.h"
#include "nn/batch.h"
#include "nn/model.h"
#include "nn/safetensors.h"
#include "tests/nn/scratch.h"

namespace holdfast {
namespace {

using testing::message_of;
using testing::read_bytes;
using testing::Scratch;
using Tensors = std::map<std::string, Tensor>;

BertConfig small_config() { return small_bert(20, 8, 1); }

Model small_model(DType dtype = DType::f32) {
  Model model = Model::create(small_config(), dtype, 1);
  model.add_head("news", {"world", "sport", "tech"}, 1);
  return model;
}

// The tensors of the small model under the names of model.safetensors.
Tensors tensors_of(const Model& model) {
  Tensors tensors;
  for (const NamedSlice& slice : model.arena().slices())
    tensors[Model::file_name(slice, "news")] = model.arena().value(slice);
  return tensors;
}

void write(const std::filesystem::path& path, const Tensors& tensors) {
  write_safetensors(path, {tensors.begin(), tensors.end()}, {{"format", "pt"}});
}

// A directory of the small model whose tensors a test changes.
struct Directory {
  Directory() { config.save(scratch / "config.json", {"world", "sport", "tech"}); }
  Model load(DType dtype = DType::f32) {
    write(scratch / "model.safetensors", tensors);
    notices.clear();
    return Model::load(scratch.path(), dtype, &notices);
  }
  std::string refusal() {
    return message_of([&] { load(); });
  }
  void rename(const std::string& from, const std::string& to) {
    auto node = tensors.extract(from);
    node.key() = to;
    tensors.insert(std::move(node));
  }

  Scratch scratch;
  BertConfig config = small_config();
  Model model = small_model();
  Tensors tensors = tensors_of(model);
  Notices notices;
};

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST(ModelFiles, SavedAndLoadedIsTheSameModel) {
  for (const DType dtype : {DType::f32, DType::f64}) {
    const Scratch scratch;
    Model model = small_model(dtype);
    model.add_head("medical \"é\"", {"yes", "no"}, 2);
    model.save(scratch / "model", "medical \"é\"");
    Notices notices;
    const Model back = Model::load(scratch / "model", dtype, &notices);
    EXPECT_TRUE(notices.empty());
    EXPECT_EQ(back.arena().values().to_vector(), model.arena().values().to_vector());
    ASSERT_EQ(back.heads().size(), 2U);
    EXPECT_EQ(back.heads()[0].task, "news");
    EXPECT_EQ(back.heads()[1].task, "medical \"é\"");
    EXPECT_EQ(back.heads()[1].labels, (std::vector<std::string>{"yes", "no"}));

    back.save(scratch / "again", "medical \"é\"");
    for (const char* file :
         {"config.json", "model.safetensors", "heads.safetensors", "holdfast.json"}) {
      EXPECT_EQ(read_bytes(scratch / "model" / file), read_bytes(scratch / "again" / file)) << file;
    }
  }
}

std::vector<double> logits_of(Model&& model) {
  const std::vector<std::int32_t> first = {2, 7, 11, 3}, second = {2, 5, 3};
  const Batch batch =
      pack(std::vector<TokenSpan>{{.ids = first, .type_ids = {}}, {.ids = second, .type_ids = {}}});
  return model.logits(model.pool(batch), model.heads().front()).value().to_vector();
}

TEST(ModelFiles, MappedIsTheSameModelWithoutCopies) {
  for (const DType dtype : {DType::f32, DType::f64}) {
    const Scratch scratch;
    const Model model = small_model(dtype);
    model.save(scratch.path(), "news");
    Model loaded = Model::load(scratch.path(), dtype), mapped = Model::map(scratch.path(), dtype);
    std::set<const void*> files;
    std::size_t views = 0;
    for (const NamedSlice& slice : mapped.arena().slices()) {
      const Tensor value = mapped.arena().value(slice);
      EXPECT_EQ(value.to_vector(), loaded.arena().value(slice).to_vector()) << slice.name;
      if (value.storage()->bytes() == File(scratch / "model.safetensors").size()) {
        files.insert(value.storage()->data());
        ++views;
      }
    }
    // All but the keys and values of the last layer, which are one parameter: two weights and
    // biases.
    EXPECT_EQ(views, mapped.arena().slices().size() - 4);
    EXPECT_EQ(files.size(), 1U);
    EXPECT_EQ(logits_of(std::move(mapped)), logits_of(std::move(loaded)));
  }
}

TEST(ModelFiles, MappingCopiesWhatIsOfAnotherTypeOrCrooked) {
  Directory directory;
  directory.tensors["bert.embeddings.word_embeddings.weight"] =
      directory.tensors.at("bert.embeddings.word_embeddings.weight").to(DType::f64);
  const std::vector<double> logits = logits_of(directory.load());
  EXPECT_EQ(logits_of(Model::map(directory.scratch.path(), DType::f32)), logits);
  // One byte more in the header: nothing stands at a multiple of four.
  const std::filesystem::path path = directory.scratch / "model.safetensors";
  std::string bytes = read_bytes(path);
  std::uint64_t length = 0;
  std::memcpy(&length, bytes.data(), 8);
  bytes.insert(8 + length, 1, ' ');
  ++length;
  std::memcpy(bytes.data(), &length, 8);
  write_file(path, bytes);
  EXPECT_EQ(logits_of(Model::map(directory.scratch.path(), DType::f32)), logits);
}

TEST(ModelFiles, MappingRefusesWeightsThatAreNotFinite) {
  Directory directory;
  directory.load();
  const auto value = directory.tensors.at("bert.pooler.dense.weight");
  value.data<float>()[3] = std::nanf("");
  write(directory.scratch / "model.safetensors", directory.tensors);
  EXPECT_EQ(message_of([&] { Model::map(directory.scratch.path(), DType::f32); }),
            message_of([&] { Model::load(directory.scratch.path(), DType::f32); }));
  EXPECT_THROW(Model::map(directory.scratch.path(), DType::f32), std::runtime_error);
}

TEST(ModelFiles, GoldenModelKeepsItsBytes) {
  const Scratch scratch;
  const Model golden = Model::load(std::filesystem::path(HOLDFAST_GOLDEN) / "bert_erf", DType::f32);
  ASSERT_EQ(golden.heads().size(), 1U);
  EXPECT_EQ(golden.heads()[0].task, "default");
  EXPECT_EQ(golden.heads()[0].labels, (std::vector<std::string>{"one", "two", "three"}));
  golden.save(scratch / "a", "default");
  Model::load(scratch / "a", DType::f32).save(scratch / "b", "default");
  EXPECT_EQ(read_bytes(scratch / "a" / "model.safetensors"),
            read_bytes(scratch / "b" / "model.safetensors"));
  const auto theirs = SafetensorsFile::open(std::filesystem::path(HOLDFAST_GOLDEN) / "bert_erf" /
                                            "model.safetensors");
  const auto ours = SafetensorsFile::open(scratch / "a" / "model.safetensors");
  EXPECT_EQ(ours.metadata(), theirs.metadata());
  ASSERT_EQ(ours.entries().size(), theirs.entries().size());
  for (const SafetensorsEntry& entry : theirs.entries()) {
    ASSERT_NE(ours.find(entry.name), nullptr) << entry.name;
    EXPECT_EQ(ours.read(*ours.find(entry.name), DType::f32).to_vector(),
              theirs.read(entry, DType::f32).to_vector());
  }
}

TEST(ModelFiles, AnEncoderWithoutHeads) {
  const Scratch scratch;
  small_model().save(scratch / "m", "news");
  const Model encoder = Model::create(small_config(), DType::f32, 5);
  encoder.save(scratch / "m", "");
  EXPECT_FALSE(std::filesystem::exists(scratch / "m" / "heads.safetensors"))
      << "of the model that was there";
  const Model back = Model::load(scratch / "m", DType::f32);
  EXPECT_TRUE(back.heads().empty());
  EXPECT_EQ(back.arena().values().to_vector(), encoder.arena().values().to_vector());
  EXPECT_THROW(encoder.save(scratch / "m", "news"), std::invalid_argument);
  EXPECT_THROW(small_model().save(scratch / "m", ""), std::invalid_argument);
}

TEST(ModelFiles, UnderstandsOlderNames) {
  Directory d;
  const auto expected = d.load().arena().values().to_vector();
  EXPECT_TRUE(d.notices.empty());
  Tensors bare;
  for (const auto& [name, tensor] : d.tensors)
    bare[name.starts_with("bert.") ? name.substr(5) : name] = tensor;
  d.tensors = bare;
  d.rename("embeddings.LayerNorm.weight", "embeddings.LayerNorm.gamma");
  d.rename("embeddings.LayerNorm.bias", "embeddings.LayerNorm.beta");
  d.tensors["embeddings.position_ids"] = Tensor::zeros({1, 16}, DType::i32);
  EXPECT_EQ(d.load().arena().values().to_vector(), expected);
  EXPECT_TRUE(d.notices.empty());
}

TEST(ModelFiles, IgnoresOtherHeadsWithANotice) {
  Directory d;
  d.tensors["cls.predictions.bias"] = Tensor::zeros({20}, DType::f32);
  d.tensors["cls.seq_relationship.weight"] = Tensor::zeros({2, 8}, DType::f32);
  d.load();
  ASSERT_EQ(d.notices.size(), 1U);
  EXPECT_TRUE(contains(d.notices[0], "2 tensors ignored")) << d.notices[0];
  EXPECT_TRUE(contains(d.notices[0], "cls.predictions.bias, cls.seq_relationship.weight"))
      << d.notices[0];
}

TEST(ModelFiles, AMissingPoolerStartsFresh) {
  Directory d;
  d.tensors.erase("bert.pooler.dense.weight");
  d.tensors.erase("bert.pooler.dense.bias");
  const Model model = d.load();
  ASSERT_EQ(d.notices.size(), 1U);
  EXPECT_TRUE(contains(d.notices[0], "pooler.dense")) << d.notices[0];
  EXPECT_NE(model.arena().value(*model.arena().find("pooler.dense.weight")).to_vector(),
            std::vector<double>(64, 0.0));
}

TEST(ModelFiles, AMissingClassifierIsNoHead) {
  Directory d;
  d.tensors.erase("classifier.weight");
  d.tensors.erase("classifier.bias");
  EXPECT_TRUE(d.load().heads().empty());
  d.tensors["classifier.weight"] = Tensor::zeros({3, 8}, DType::f32);
  EXPECT_TRUE(contains(d.refusal(), "missing: classifier.bias")) << d.refusal();
}

TEST(ModelFiles, LabelsWithoutNamesAreNumbered) {
  Directory d;
  d.config.save(d.scratch / "config.json", {});
  EXPECT_EQ(d.load().heads().front().labels,
            (std::vector<std::string>{"LABEL_0", "LABEL_1", "LABEL_2"}));
}

TEST(ModelFiles, NamesAllThatDoesNotFit) {
  Directory d;
  d.tensors.erase("bert.embeddings.LayerNorm.bias");
  d.tensors.erase("bert.encoder.layer.0.output.dense.bias");
  d.tensors["bert.encoder.layer.0.intermediate.dense.weight"] = Tensor::zeros({8, 12}, DType::f32);
  d.tensors["bert.embeddings.word_embeddings.weight"] = Tensor::zeros({19, 8}, DType::f32);
  d.tensors["bert.encoder.layer.1.output.dense.bias"] = Tensor::zeros({8}, DType::f32);
  const std::string message = d.refusal();
  EXPECT_TRUE(contains(message, "model.safetensors")) << message;
  EXPECT_TRUE(
      contains(message, "missing: embeddings.LayerNorm.bias, encoder.layer.0.output.dense.bias"))
      << message;
  EXPECT_TRUE(contains(
      message,
      "encoder.layer.0.intermediate.dense.weight is (8,12), expected (12,8) (transposed?)"))
      << message;
  EXPECT_TRUE(contains(message, "embeddings.word_embeddings.weight is (19,8), expected (20,8)"))
      << message;
  EXPECT_TRUE(contains(message, "unexpected: encoder.layer.1.output.dense.bias")) << message;
}

TEST(ModelFiles, RefusesAmbiguousNames) {
  Directory d;
  d.tensors["embeddings.LayerNorm.bias"] = Tensor::zeros({8}, DType::f32);
  EXPECT_TRUE(contains(d.refusal(), "is ambiguous: it has \"embeddings.LayerNorm.bias\" twice"))
      << d.refusal();
  d.tensors.erase("bert.embeddings.LayerNorm.bias");
  EXPECT_TRUE(contains(
      d.refusal(),
      "is ambiguous: it has encoder tensors with the prefix \"bert.\" and others without"));
  d.tensors.erase("embeddings.LayerNorm.bias");
  d.tensors["bert.embeddings.LayerNorm.bias"] = d.tensors["bert.embeddings.LayerNorm.beta"] =
      Tensor::zeros({8}, DType::f32);
  EXPECT_TRUE(contains(d.refusal(), "twice"));
}

TEST(ModelFiles, RefusesLabelsThatContradictTheClassifier) {
  Directory d;
  d.config.save(d.scratch / "config.json", {"a", "b"});
  EXPECT_TRUE(contains(d.refusal(), "classifier.weight has 3 rows, but config.json names 2 labels"))
      << d.refusal();
}

TEST(ModelFiles, RefusesIntegersAndNonFiniteWeights) {
  Directory d;
  d.tensors["bert.pooler.dense.bias"] = Tensor::full({8}, DType::f32, NAN);
  Tensor weight = d.tensors["bert.pooler.dense.weight"].clone();
  weight.data<float>()[3] = INFINITY;
  d.tensors["bert.pooler.dense.weight"] = weight;
  EXPECT_TRUE(contains(d.refusal(),
                       "NaN or infinite weights in pooler.dense.weight (1), pooler.dense.bias (8)"))
      << d.refusal();
  d.tensors["bert.pooler.dense.bias"] = Tensor::zeros({8}, DType::i32);
  EXPECT_TRUE(contains(d.refusal(), "is I32, where f32 is needed")) << d.refusal();
}

TEST(ModelFiles, ConvertsOtherFloatsWithOneNotice) {
  Directory d;
  for (auto& [name, tensor] : d.tensors) tensor = tensor.to(DType::f64);
  EXPECT_EQ(d.load().arena().values().to_vector(), d.model.arena().values().to_vector());
  ASSERT_EQ(d.notices.size(), 1U);
  EXPECT_TRUE(contains(d.notices[0], "25 F64 tensors converted to f32")) << d.notices[0];
  d.load(DType::f64);
  EXPECT_TRUE(d.notices.empty());
}

// A directory of two shards and their index.
struct Shards : Directory {
  Shards() {
    Tensors first, second;
    for (const auto& [name, tensor] : tensors) {
      const bool in_first = name < "bert.encoder";
      (in_first ? first : second)[name] = tensor;
      shard_of[name] =
          in_first ? "model-00001-of-00002.safetensors" : "model-00002-of-00002.safetensors";
      bytes += tensor.numel() * 4;
    }
    write(scratch / "model-00001-of-00002.safetensors", first);
    write(scratch / "model-00002-of-00002.safetensors", second);
  }
  Model load() {
    std::string index =
        R"({"metadata":{"total_size":)" + std::to_string(bytes) + R"(},"weight_map":{)";
    for (const auto& [name, shard] : shard_of)
      index += (index.ends_with('{') ? "\"" : ",\"") + name + "\":\"" + shard + '"';
    scratch.write("model.safetensors.index.json", index + "}}");
    return Model::load(scratch.path(), DType::f32, &notices);
  }
  std::string refusal() {
    return message_of([&] { load(); });
  }

  std::map<std::string, std::string> shard_of;
  std::int64_t bytes = 0;
};

TEST(ModelShards, AreReadAsOneFile) {
  Shards d;
  EXPECT_EQ(d.load().arena().values().to_vector(), d.model.arena().values().to_vector());
  EXPECT_TRUE(d.notices.empty());
  d.bytes += 4;
  d.load();
  ASSERT_EQ(d.notices.size(), 1U);
  EXPECT_TRUE(contains(d.notices[0], "total_size")) << d.notices[0];
}

TEST(ModelShards, NamesMustBePlain) {
  const std::string long_name = std::string(300, 'a') + ".safetensors";
  for (const std::string& name :
       {std::string("../model.safetensors"), std::string("/etc/passwd"), std::string(".."),
        std::string(), std::string("a/b.safetensors"), std::string("a\\\\b.safetensors"),
        std::string("a\\n.safetensors"), long_name, std::string("-a.safetensors"),
        std::string("config.json"), std::string("a%2e.safetensors")}) {
    Shards d;
    d.shard_of.begin()->second = name;
    EXPECT_TRUE(contains(d.refusal(), "must be the plain name of a .safetensors file"))
        << d.refusal();
  }
}

TEST(ModelShards, MustBeAsTheIndexSays) {
  Shards missing;
  std::filesystem::remove(missing.scratch / "model-00002-of-00002.safetensors");
  EXPECT_TRUE(contains(missing.refusal(), "model-00002-of-00002.safetensors")) << missing.refusal();
  Shards elsewhere;
  elsewhere.shard_of["bert.pooler.dense.bias"] = "model-00001-of-00002.safetensors";
  EXPECT_TRUE(contains(elsewhere.refusal(), "but that file has no such tensor"))
      << elsewhere.refusal();
  Shards unlisted;
  unlisted.shard_of.erase("bert.pooler.dense.bias");
  EXPECT_TRUE(contains(unlisted.refusal(), "lists 24 tensors, but its shards hold 25"))
      << unlisted.refusal();
  Shards twice;
  twice.tensors.erase("classifier.bias");
  write(twice.scratch / "model-00001-of-00002.safetensors", twice.tensors);
  EXPECT_TRUE(contains(twice.refusal(), "twice, under an old and a new name or in two shards"))
      << twice.refusal();
}

TEST(ModelFiles, SaysWhatIsThereInstead) {
  Directory d;
  d.load();
  std::filesystem::remove(d.scratch / "model.safetensors");
  const auto refusal = [&] {
    return message_of([&] { Model::load(d.scratch.path(), DType::f32); });
  };
  EXPECT_TRUE(contains(refusal(), "model.safetensors: is missing")) << refusal();
  d.scratch.write("pytorch_model.bin", "\x80\x02");
  EXPECT_TRUE(contains(refusal(), "pickle, which can run code")) << refusal();
  d.scratch.write("model.safetensors", "version https://git-lfs.github.com/spec/v1\n");
  EXPECT_TRUE(contains(refusal(), "git lfs pull")) << refusal();
  std::filesystem::remove(d.scratch / "config.json");
  EXPECT_TRUE(contains(refusal(), "config.json")) << refusal();
}

TEST(ModelFiles, HeadListMustFit) {
  const Scratch scratch;
  small_model().save(scratch / "m", "news");
  const auto refusal = [&](const std::string& json) {
    std::ofstream(scratch / "m/holdfast.json") << json;
    return message_of([&] { Model::load(scratch / "m", DType::f32); });
  };
  const std::string news = R"({"task": "news", "labels": ["world", "sport", "tech"]})";
  const auto list = [&](const std::string& primary, const std::string& heads) {
    return R"({"version": 1, "primary": ")" + primary + R"(", "heads": [)" + heads + "]}";
  };
  EXPECT_EQ(refusal(list("news", news)), "");
  EXPECT_TRUE(
      contains(refusal(R"({"version": 3, "primary": "news", "heads": []})"), "newer holdfast"));
  EXPECT_TRUE(contains(refusal(list("other", news)), "is \"other\", which is none of the heads"));
  EXPECT_TRUE(contains(refusal(list("news", news + "," + news)), "is a second head of its task"));
  EXPECT_TRUE(contains(refusal(list("news", R"({"task": "news", "labels": []})")),
                       "needs a task and labels that are unique"));
  EXPECT_TRUE(contains(refusal(list("news", R"({"task": "news", "labels": ["x", "y", "z"]})")),
                       "are not those of id2label"));
  EXPECT_TRUE(contains(refusal(list("news", news + R"(,{"task": "more", "labels": ["x"]})")),
                       "missing: heads.more.weight, heads.more.bias"));
  std::filesystem::remove(scratch / "m/heads.safetensors");
  EXPECT_TRUE(contains(refusal(list("news", news)), "heads.safetensors"));
}

}  // namespace
}  // namespace holdfast
