// A tiny model, tokenizer and two tasks of generated texts on the disk: a whole run in a second.
#pragma once

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "audit/reference/small_bert.h"
#include "base/file.h"
#include "nn/model.h"
#include "tensor/random.h"
#include "tests/reference/temporary_folder.h"
#include "tokenizer/tokenizer.h"
#include "train/recipe.h"

namespace holdfast {

inline const std::vector<std::string>& news_words() {
  static const std::vector<std::string> words = {"match",  "goal", "market",
                                                 "shares", "vote", "law"};
  return words;
}
inline const std::vector<std::string>& medical_words() {
  static const std::vector<std::string> words = {"heart", "artery", "tumor", "cell"};
  return words;
}

/// CSV: texts of a few filler words and one or two words that tell the label (two words a label).
inline std::string task_csv(const std::vector<std::string>& words,
                            const std::vector<std::string>& labels, std::int64_t count,
                            std::uint64_t seed) {
  const std::vector<std::string> fillers = {"the", "a", "of", "and", "in", "new", "report", "says"};
  const RandomStream stream(seed, "texts");
  std::string csv = "text,label\n";
  for (std::uint64_t n = 0; n < static_cast<std::uint64_t>(count); ++n) {
    const std::size_t label = stream.below(labels.size(), n, 0);
    const std::size_t length = 2 + stream.below(7, n, 1);
    std::string text;
    for (std::size_t w = 0; w < length; ++w) {
      text += fillers[stream.below(fillers.size(), n, 10 + w)] + ' ';
    }
    text += words[2 * label + stream.below(2, n, 2)];
    csv += text + ',' + labels[label] + '\n';
  }
  return csv;
}

inline std::string file_text(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

/// folder/model: a fresh BERT with head "news"; folder/news_*.csv, folder/medical_*.csv.
class RunFixture {
 public:
  RunFixture() {
    std::vector<std::string> vocabulary = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "a",
                                           "of",    "and",   "in",    "new",   "report", "says"};
    for (const auto* words : {&news_words(), &medical_words()}) {
      vocabulary.insert(vocabulary.end(), words->begin(), words->end());
    }
    const auto words = static_cast<std::int64_t>(vocabulary.size());
    Model model = Model::create(small_bert(words, 16, 2, 0.2), DType::f32, 11);
    model.add_head("news", kNewsLabels, 12);
    std::filesystem::create_directory(path("model"));
    model.save(path("model"), "news");
    Tokenizer::from_vocab(vocabulary).save(path("model"), 32);
    write_file(path("news_train.csv"), task_csv(news_words(), kNewsLabels, 200, 1));
    write_file(path("news_valid.csv"), task_csv(news_words(), kNewsLabels, 40, 2));
    write_file(path("news_test.csv"), task_csv(news_words(), kNewsLabels, 60, 3));
    write_file(path("medical_train.csv"), task_csv(medical_words(), kMedicalLabels, 90, 4));
    write_file(path("medical_valid.csv"), task_csv(medical_words(), kMedicalLabels, 30, 5));
    write_file(path("medical_test.csv"), task_csv(medical_words(), kMedicalLabels, 50, 6));
  }

  std::filesystem::path path(const std::string& name) const { return folder_ / name; }
  const TemporaryFolder& folder() const { return folder_; }

  /// Plain fine-tuning on medical, news measured; ten steps of 16.
  Recipe plain(const std::string& output = "out") const {
    Recipe recipe;
    recipe.model = path("model");
    recipe.output = path(output);
    recipe.threads = 1;
    recipe.fresh = data("medical");
    recipe.old = {data("news")};
    recipe.training.steps = 10;
    recipe.training.batch_size = 16;
    recipe.learning_rate.rate = 1e-3;
    recipe.learning_rate.naive = {1e-3, 3e-3};
    return recipe;
  }

  /// All measures on.
  Recipe full(const std::string& output = "out") const {
    Recipe recipe = plain(output);
    recipe.learning_rate.bottom = 1e-4;
    recipe.learning_rate.top = 3e-3;
    recipe.replay.emplace();
    recipe.ewc.emplace();
    recipe.evaluation.controller = true;
    recipe.evaluation.every = 5;
    return recipe;
  }

  const std::vector<std::string> kNewsLabels = {"sports", "business", "politics"};
  const std::vector<std::string> kMedicalLabels = {"cardiology", "oncology"};

 private:
  DataRecipe data(const std::string& name) const {
    DataRecipe data;
    data.name = name;
    data.train = path(name + "_train.csv");
    data.valid = path(name + "_valid.csv");
    data.test = path(name + "_test.csv");
    data.max_length = 16;
    return data;
  }

  TemporaryFolder folder_;
};

}  // namespace holdfast
