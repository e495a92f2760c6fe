#include "train/replay.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "base/csv.h"
#include "base/file.h"
#include "base/parallel.h"

namespace holdfast {
namespace {

// The words of every text by number, in the order of first appearance.
std::vector<Document> documents_of(std::span<const Example> examples, const Tokenizer& tokenizer,
                                   WordTable& table) {
  std::vector<std::vector<std::string>> words(examples.size());
  parallel_for(
      static_cast<std::int64_t>(examples.size()), 32, [&](std::int64_t begin, std::int64_t end) {
        for (auto n = static_cast<std::size_t>(begin); n < static_cast<std::size_t>(end); ++n) {
          words[n] = tokenizer.words(examples[n].text + ' ' + examples[n].pair);
        }
      });
  std::vector<Document> documents(examples.size());
  for (std::size_t n = 0; n < examples.size(); ++n) {
    for (const std::string& word : words[n]) {
      documents[n].push_back(table.id(word));
    }
  }
  return documents;
}

}  // namespace

std::int64_t texts_to_keep(const ReplayRecipe& replay, const TaskData& old) {
  const auto n = static_cast<std::int64_t>(old.train.size());
  if (replay.count > n) {
    throw std::runtime_error(fmt::format("replay.count is {}, but task {} has {} training texts",
                                         replay.count, old.name, n));
  }
  return replay.count > 0
             ? replay.count
             : std::clamp<std::int64_t>(std::llround(replay.keep * static_cast<double>(n)), 1, n);
}

Memory select_memory(const ReplayRecipe& replay, const TaskData& old, const TaskData& fresh,
                     const Tokenizer& tokenizer, std::uint64_t seed) {
  const std::int64_t count = texts_to_keep(replay, old);
  std::vector<std::int32_t> labels;
  for (const Sample& sample : old.train) {
    labels.push_back(sample.label);
  }
  Memory memory{old.name, {}, {}};
  if (replay.select == "tfidf") {
    WordTable table;
    const std::vector<Document> old_words = documents_of(old.examples, tokenizer, table);
    const std::vector<Document> new_words = documents_of(fresh.examples, tokenizer, table);
    memory.selected = select_tfidf(old_words, labels, new_words,
                                   {count, replay.quota == "class", replay.diversity});
  } else if (replay.select == "balanced") {
    memory.selected = select_balanced(labels, count, seed);
  } else {
    memory.selected = select_random(static_cast<std::int64_t>(old.train.size()), count, seed);
  }
  for (const Selected& selected : memory.selected) {
    memory.samples.push_back(old.train[static_cast<std::size_t>(selected.index)]);
  }
  return memory;
}

void write_replay(const std::filesystem::path& path, std::span<const Memory> memories,
                  std::span<const TaskData> tasks) {
  std::string csv = "task,line,label,score,reason,text,text_pair\n";
  for (const Memory& memory : memories) {
    const auto task = std::find_if(tasks.begin(), tasks.end(), [&](const TaskData& candidate) {
      return candidate.name == memory.task;
    });
    for (const Selected& selected : memory.selected) {
      const Example& example = task->examples.at(static_cast<std::size_t>(selected.index));
      csv += fmt::format("{},{},{},{:.6f},{},{},{}\n", csv_field(memory.task), example.line,
                         csv_field(example.label), selected.score, csv_field(selected.reason),
                         csv_field(example.text), csv_field(example.pair));
    }
  }
  write_file(path, csv);
}

}  // namespace holdfast
