#include "train/fingerprint.h"

#include <gtest/gtest.h>

#include "base/sha256.h"
#include "tests/reference/expect_error.h"
#include "tests/train/run_fixture.h"
#include "train/trainer.h"

namespace holdfast {
namespace {

TEST(Fingerprint, OfEveryFileThatARunReads) {
  const RunFixture files;
  run_recipe(files.plain("before"));  // leaves memory.csv and importance.medical.safetensors
  write_file(files.path("synonyms.csv"), "new,fresh\n");
  Recipe recipe = files.full();
  recipe.model = files.path("before") / "model";
  recipe.old.push_back(recipe.fresh);
  recipe.old.back().train.clear();  // the texts are gone
  recipe.fresh.name = "again";
  recipe.augment.emplace().synonyms = files.path("synonyms.csv");
  write_file(std::filesystem::path(recipe.model) / "README.md", "not read");
  const Inputs inputs = open_inputs(recipe, {});
  for (const char* name :
       {"before/model/config.json", "before/model/model.safetensors", "before/model/holdfast.json",
        "before/model/heads.safetensors", "before/model/vocab.txt", "before/memory.csv",
        "before/importance.medical.safetensors", "news_train.csv", "news_valid.csv",
        "medical_test.csv", "synonyms.csv"}) {
    const std::string path = files.path(name);
    ASSERT_TRUE(inputs.files.contains(path)) << name;
    EXPECT_EQ(inputs.files.at(path).sha256, sha256(file_text(path))) << name;
    EXPECT_EQ(inputs.files.at(path).bytes, std::ssize(file_text(path))) << name;
  }
  EXPECT_FALSE(inputs.files.contains(files.path("before/model/README.md")));
  EXPECT_EQ(fingerprints_from(to_json(inputs.files)), inputs.files);
}

TEST(Fingerprint, OfFolders) {
  const RunFixture files;
  const Fingerprints found = fingerprint_folder(files.path("model"), "start");
  EXPECT_EQ(found.at("start/config.json"), fingerprint(files.path("model/config.json")));
  EXPECT_TRUE(fingerprint_folder(files.path("nothing"), "start").empty());
  const Fingerprints known = {{"news_test.csv", {1, "known"}}};
  const Fingerprints some =
      fingerprint_files(files.folder().path(), {"news_test.csv", "news_train.csv"}, known);
  EXPECT_EQ(some.at("news_test.csv").sha256, "known");
  EXPECT_EQ(some.at("news_train.csv"), fingerprint(files.path("news_train.csv")));
  expect_error<std::runtime_error>("gone", "nowhere", [&] { fingerprint(files.path("nowhere")); });
}

}  // namespace
}  // namespace holdfast
