#include "train/importance_file.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <map>

#include "nn/safetensors.h"
#include "tests/reference/expect_error.h"
#include "tests/reference/temporary_folder.h"
#include "tests/train/tiny_classifier.h"
#include "train/fisher.h"
#include "train/penalty.h"

namespace holdfast {
namespace {

TEST(ImportanceFile, RoundTripByName) {
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

TEST(ImportanceFile, OfAnotherModelIsRefused) {
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

TEST(ImportanceFile, KeepsWhatItSaysAboutItself) {
  const TemporaryFolder folder;
  Model model = tiny_model(DType::f32);
  Importance importance = measure_importance(model, *model.head("news"), texts(5, 3),
                                             {.kind = ImportanceKind::mas, .dropout = {}});
  importance.age = 2;
  save_importance(folder / "f.safetensors", importance, model.arena());
  for (const ImportanceCard& card :
       {read_importance_card(folder / "f.safetensors"),
        ImportanceCard(load_importance(folder / "f.safetensors", model.arena()))}) {
    EXPECT_EQ(card.task, "news");
    EXPECT_EQ(card.kind, ImportanceKind::mas);
    EXPECT_EQ(card.samples, 5);
    EXPECT_EQ(card.age, 2);
    EXPECT_EQ(card.weights, weights_digest(model.arena()));
  }
}

TEST(ImportanceFile, OfAnEarlierVersionHasNoAgeOrWeights) {
  const TemporaryFolder folder;
  write_safetensors(folder / "f.safetensors", {{"x", Tensor::zeros({1}, DType::f32)}},
                    {{"kind", "true"}, {"samples", "2"}, {"task", "news"}});
  const ImportanceCard card = read_importance_card(folder / "f.safetensors");
  EXPECT_EQ(card.age, 0);
  EXPECT_EQ(card.weights, "");
}

TEST(ImportanceFile, CardIsCheckedWithoutAModel) {
  const TemporaryFolder folder;
  const std::string path = folder / "f.safetensors";
  const auto refused = [&](const char* part, const std::map<std::string, std::string>& metadata) {
    write_safetensors(path, {{"x", Tensor::zeros({1}, DType::f32)}}, metadata);
    expect_error<std::runtime_error>(part, part, [&] { read_importance_card(path); });
  };
  refused("f.safetensors: its metadata has no \"kind\"", {{"format", "pt"}});
  refused("known: \"true\"", {{"kind", "exact"}, {"samples", "2"}, {"task", "news"}});
  refused("has samples \"0\"", {{"kind", "true"}, {"samples", "0"}, {"task", "news"}});
  refused("has samples \"5x\"", {{"kind", "true"}, {"samples", "5x"}, {"task", "news"}});
  refused("has age \"-1\"", {{"kind", "si"}, {"samples", "5"}, {"task", "a"}, {"age", "-1"}});
  std::ofstream(path) << "no safetensors";
  expect_error<std::runtime_error>("format", path, [&] { read_importance_card(path); });
}

// The new task's own head, and an adapter that is new, have no anchor.
TEST(ImportanceFile, WhatIsNewIsHeldToNothing) {
  const TemporaryFolder folder;
  Model model = tiny_model(DType::f64);
  save_importance(folder / "f.safetensors",
                  measure_importance(model, *model.head("news"), texts(5, 3)), model.arena());
  model.add_adapter({.kind = AdapterKind::houlsby, .size = 2}, 1);
  model.add_head("medical", {"x", "y"}, 1);
  EwcPenalty penalty(0.3, model.arena());
  for (const Normalization normalization : {Normalization::mean, Normalization::tensor}) {
    penalty.add(load_importance(folder / "f.safetensors", model.arena()).values, normalization);
  }
  const Tensor moved = model.arena().values().clone(), gradient = moved.clone();
  moved.fill(1.5);
  gradient.fill(0);
  penalty.add_gradient(moved, gradient);
  for (const NamedSlice& slice : model.arena().slices()) {
    const std::vector<double> pull =
        gradient.slice(0, slice.offset, slice.offset + slice.size).to_vector();
    const bool old = !slice.adapter && (slice.task.empty() || slice.task == "news");
    const bool held = std::any_of(pull.begin(), pull.end(), [](double g) { return g != 0; });
    EXPECT_EQ(held, old) << slice.name;
  }
}

// A head that several tasks share has another name than the file's task.
TEST(ImportanceFile, GoesToTheHeadThatAnswersNow) {
  const TemporaryFolder folder;
  const std::string path = folder / "f.safetensors";
  Model model = tiny_model(DType::f64);
  const Importance importance = measure_importance(model, *model.head("news"), texts(5, 3));
  save_importance(path, importance, model.arena());
  model.rename_head("news", "news+medical");
  expect_error<std::runtime_error>("renamed", "classifier.weight, which the model does not have",
                                   [&] { load_importance(path, model.arena()); });
  EXPECT_EQ(load_importance(path, model.arena(), "news+medical").values.to_vector(),
            importance.values.to_vector());
  expect_error<std::runtime_error>("other", "classifier.weight has shape (3,8), the model's (2,8)",
                                   [&] { load_importance(path, model.arena(), "other"); });
}

TEST(WeightsDigest, TellsAModelThatWasTrainedFurther) {
  Model model = tiny_model(DType::f32);
  const std::string start = weights_digest(model.arena());
  EXPECT_EQ(start.size(), 32u);
  Model exact = tiny_model(DType::f64);
  exact.arena().values().copy_from(model.arena().values());
  EXPECT_EQ(weights_digest(exact.arena()), start);  // in any precision
  model.add_head("medical", {"x", "y"}, 1);
  EXPECT_EQ(weights_digest(model.arena()), start);  // a new task's head changes nothing shared
  model.arena()[model.head("news")->bias].value.fill(3);
  EXPECT_EQ(weights_digest(model.arena()), start);
  model.arena()[3].value.data<float>()[1] += 1e-3F;
  EXPECT_NE(weights_digest(model.arena()), start);
}

}  // namespace
}  // namespace holdfast
