#include "train/dataset.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <set>
#include <stdexcept>
#include <unordered_map>

#include "base/file.h"
#include "base/parallel.h"
#include "base/utf8.h"
#include "tensor/cpu.h"
#include "train/recipe_check.h"

namespace holdfast {
namespace {

constexpr std::int64_t kMaxImportanceBytes = std::int64_t{1} << 36;
constexpr std::int64_t kTextsAtOnce = 32;  // of a worker's turn at tokenising

DataColumns columns_of(const DataRecipe& data) {
  return {.text = data.text,
          .label = data.label,
          .text_pair = data.text_pair,
          .header = data.header,
          .invalid_utf8_replace = data.invalid_utf8 == "replace",
          .label_required = true};
}

std::optional<std::int64_t> as_integer(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  return code == std::errc() && end == text.data() + text.size() ? std::optional(value)
                                                                 : std::nullopt;
}

std::string list_of(const std::vector<std::string>& labels) {
  constexpr std::size_t kShown = 12;
  std::string text;
  for (std::size_t i = 0; i < std::min(labels.size(), kShown); ++i) {
    text += (i == 0 ? "" : ", ") + utf8::printable(labels[i]);
  }
  return labels.size() > kShown ? text + ", ..." : text;
}

// The labels of the new task's training texts.
std::vector<std::string> new_labels(const DataRecipe& fresh, std::span<const Example> examples) {
  const std::vector<std::string> labels = sorted_labels(examples);
  if (labels.size() < 2) {
    throw std::runtime_error(fmt::format("{}: every text has the label \"{}\"; a task needs two",
                                         utf8::printable(fresh.train),
                                         utf8::printable(labels.front())));
  }
  if (labels.size() > 1000 && labels.size() > examples.size() / 2) {
    throw std::runtime_error(
        fmt::format("{}: {} texts have {} different labels; is {} the right column?",
                    utf8::printable(fresh.train), examples.size(), labels.size(), fresh.label));
  }
  return labels;
}

// A rank is of the matrices that there are; and what is measured against the start says nothing
// about an adapter that it does not have.
void check_new_adapter(const Recipe& recipe, const BertConfig& config) {
  const AdapterRecipe& adapter = *recipe.adapter;
  if (adapter.kind == "lora" && adapter.rank > config.hidden_size) {
    throw std::runtime_error(fmt::format(
        "adapter.rank is {}, but the matrices of {} are {} wide: a product of that rank "
        "can be no more than they are, so give at most {}",
        adapter.rank, utf8::printable(recipe.model), config.hidden_size, config.hidden_size));
  }
  const std::string none =
      fmt::format("{} has no adapter, and with [adapter] nothing else of the encoder moves",
                  utf8::printable(recipe.model));
  if (const std::vector<std::string> measures = holding_measures(recipe); !measures.empty()) {
    throw std::runtime_error(fmt::format("{} has nothing to hold: {}", measures.front(), none));
  }
  if (recipe.merge && recipe.adapter->kind != "lora") {
    throw std::runtime_error("merge has nothing to merge with: " + none);
  }
}

// An adapter that is there is trained further, as it is.
void check_present_adapter(const Recipe& recipe, const AdapterConfig& present) {
  const AdapterRecipe& wanted = *recipe.adapter;
  const auto refuse_if = [&](bool differs, const char* key, const auto& found, const auto& there) {
    if (differs) {
      throw std::runtime_error(fmt::format(
          "adapter.{} is {}, but {} has an adapter already, with {}, which can be trained further",
          key, found, utf8::printable(recipe.model), there));
    }
  };
  const bool lora = present.kind == AdapterKind::lora;
  refuse_if(wanted.kind != name_of(present.kind), "kind", wanted.kind, name_of(present.kind));
  refuse_if(!lora && wanted.size != 0 && wanted.size != present.size, "size", wanted.size,
            present.size);
  refuse_if(lora && wanted.rank != present.rank, "rank", wanted.rank, present.rank);
  refuse_if(lora && wanted.alpha != present.alpha, "alpha", wanted.alpha, present.alpha);
}

void check_limits(const Recipe& recipe, const Model& model, const Tokenizer& tokenizer) {
  if (tokenizer.size() > model.config().vocab_size) {
    throw std::runtime_error(
        fmt::format("{}: the tokenizer has {} tokens, the model {}: they do not belong together",
                    utf8::printable(recipe.model), tokenizer.size(), model.config().vocab_size));
  }
  if (recipe.adapter) {
    model.adapter().kind == AdapterKind::none ? check_new_adapter(recipe, model.config())
                                              : check_present_adapter(recipe, model.adapter());
  }
  std::vector<DataRecipe> all = recipe.old;
  all.push_back(recipe.fresh);
  for (const DataRecipe& data : all) {
    if (data.max_length > model.config().max_positions) {
      throw std::runtime_error(fmt::format(
          "task {}: max_length is {}, but {} has {} positions", data.name, data.max_length,
          utf8::printable(recipe.model), model.config().max_positions));
    }
    if (!data.text_pair.empty() && model.config().type_vocab_size < 2) {
      throw std::runtime_error(fmt::format("task {}: text_pair needs two token types, {} has one",
                                           data.name, utf8::printable(recipe.model)));
    }
  }
}

void notice_missing_classes(const TaskData& task, const std::vector<Sample>& samples,
                            const std::string& file, Notices& notices) {
  std::vector<std::string> missing;
  std::int32_t k = task.classes.first;
  for (const std::string& label : task.classes.labels) {
    const auto is_k = [k](const Sample& s) { return s.label == k; };
    if (std::none_of(samples.begin(), samples.end(), is_k)) {
      missing.push_back(label);
    }
    ++k;
  }
  if (!missing.empty()) {
    notices.push_back(
        fmt::format("{}: no text has the label {}", utf8::printable(file), list_of(missing)));
  }
}

std::int64_t count_empty(std::span<const Sample> samples, const DataRecipe& data) {
  const std::size_t special = data.text_pair.empty() ? 2 : 3;  // [CLS] [SEP], or [CLS] [SEP] [SEP]
  return std::count_if(samples.begin(), samples.end(),
                       [&](const Sample& sample) { return sample.ids.size() <= special; });
}

void notice_empty_texts(const std::vector<Sample>& samples, const DataRecipe& data,
                        const std::string& file, Notices& notices) {
  if (const std::int64_t empty = count_empty(samples, data)) {
    notices.push_back(
        fmt::format("{}: {} of {} texts are empty", utf8::printable(file), empty, samples.size()));
  }
}

std::optional<Augmenter> make_augmenter(const Recipe& recipe) {
  if (!recipe.augment) {
    return std::nullopt;
  }
  const AugmentRecipe& augment = *recipe.augment;
  const bool synonyms = !augment.synonyms.empty();
  return Augmenter({.replace = synonyms ? augment.replace : 0,
                    .remove = augment.remove,
                    .swap = augment.swap,
                    .insert = augment.insert},
                   synonyms ? Synonyms::read(augment.synonyms) : Synonyms(),
                   static_cast<std::uint64_t>(recipe.seed));
}

}  // namespace

std::vector<std::string> sorted_labels(std::span<const Example> examples) {
  std::set<std::string> unique;
  bool integers = true;
  for (const Example& example : examples) {
    if (unique.insert(example.label).second) {
      integers = integers && as_integer(example.label).has_value();
    }
  }
  std::vector<std::string> labels(unique.begin(), unique.end());
  if (integers) {
    std::stable_sort(labels.begin(), labels.end(),
                     [](const auto& a, const auto& b) { return as_integer(a) < as_integer(b); });
  }
  return labels;
}

void encode(std::string_view text, std::string_view pair, const DataRecipe& data,
            const Tokenizer& tokenizer, Sample& sample) {
  Encoding encoding = data.text_pair.empty() ? tokenizer.encode(text, data.max_length)
                                             : tokenizer.encode(text, pair, data.max_length);
  sample.ids = std::move(encoding.ids);
  if (!data.text_pair.empty()) {
    sample.type_ids = std::move(encoding.type_ids);
  }
}

std::vector<Sample> to_samples(std::span<const Example> examples, const DataRecipe& data,
                               const std::string& file, const std::vector<std::string>& labels,
                               const Tokenizer& tokenizer, std::int32_t first) {
  std::unordered_map<std::string, std::int32_t> index;
  for (std::size_t k = 0; k < labels.size(); ++k) {
    index.emplace(labels[k], first + static_cast<std::int32_t>(k));
  }
  for (std::size_t k = 0; k < labels.size(); ++k) {  // transformers' names for nameless classes
    if (labels[k] == "LABEL_" + std::to_string(k)) {
      index.emplace(std::to_string(k), first + static_cast<std::int32_t>(k));
    }
  }
  std::vector<Sample> samples(examples.size());
  for (std::size_t n = 0; n < examples.size(); ++n) {
    const auto found = index.find(examples[n].label);
    if (found == index.end()) {
      throw std::runtime_error(fmt::format(
          "{}:{}: the label \"{}\" is none of {}: {}", utf8::printable(file), examples[n].line,
          utf8::printable(examples[n].label),
          data.name.empty() ? "the model's" : "task " + data.name + "'s", list_of(labels)));
    }
    samples[n].label = found->second;
    samples[n].id = examples[n].line;
  }
  parallel_for(static_cast<std::int64_t>(examples.size()), kTextsAtOnce,
               [&](std::int64_t begin, std::int64_t end) {
                 for (auto n = static_cast<std::size_t>(begin); n < static_cast<std::size_t>(end);
                      ++n) {
                   encode(examples[n].text, examples[n].pair, data, tokenizer, samples[n]);
                 }
               });
  if (!samples.empty() && count_empty(samples, data) == std::ssize(samples)) {
    throw std::runtime_error(fmt::format("{}: every text is empty; is {} the right column?",
                                         utf8::printable(file), utf8::printable(data.text)));
  }
  return samples;
}

std::vector<Sample> read_samples(const std::filesystem::path& file, const DataRecipe& data,
                                 const TaskClasses& classes, const Tokenizer& tokenizer) {
  const std::vector<Example> examples = read_examples(file, columns_of(data));
  return to_samples(examples, data, file.string(), classes.labels, tokenizer, classes.first);
}

Inputs load_inputs(const Recipe& recipe, const ReadProgress& progress) {
  std::vector<std::pair<const DataRecipe*, bool>> sources;
  for (const DataRecipe& old : recipe.old) {
    sources.emplace_back(&old, true);
  }
  sources.emplace_back(&recipe.fresh, false);
  const auto total = static_cast<std::int64_t>(3 * sources.size() + 1);
  std::int64_t done = 0;
  const auto tell = [&](const std::string& file) {
    if (progress) {
      progress(file, done, total);
    }
    ++done;
  };

  tell(recipe.model);
  Notices notices;
  Tokenizer tokenizer = Tokenizer::load(recipe.model, &notices);
  Model model = Model::load(recipe.model, recipe.storage(), &notices);
  check_limits(recipe, model, tokenizer);
  const bool trained_before = head_of_task(model, recipe.fresh.name);
  const std::vector<std::string> old_heads = adopt_old_heads(model, recipe, notices);

  std::vector<TaskData> tasks;
  std::vector<TaskHeads> heads;
  for (const auto& [data, old] : sources) {
    TaskData& task = tasks.emplace_back();
    task.name = data->name;
    task.old = old;
    tell(data->train);
    if (!data->train.empty()) {
      task.examples = read_examples(data->train, columns_of(*data));
    }
    if (!old) {
      heads = prepare_heads(model, recipe, old_heads, new_labels(*data, task.examples), notices);
    }
    const Head& head = *(old ? head_of_task(model, task.name) : model.head(heads.back().now));
    task.labels = head.labels;
    task.classes = classes_of(head, task.name);
    task.train = to_samples(task.examples, *data, data->train, task.classes.labels, tokenizer,
                            task.classes.first);
    notice_empty_texts(task.train, *data, data->train, notices);
    for (const auto& [file, samples] :
         {std::pair(&data->valid, &task.valid), {&data->test, &task.test}}) {
      tell(*file);
      if (!file->empty()) {
        *samples = read_samples(*file, *data, task.classes, tokenizer);
        notice_empty_texts(*samples, *data, *file, notices);
        notice_missing_classes(task, *samples, *file, notices);
      }
    }
    for (std::vector<Sample>* samples : {&task.train, &task.valid, &task.test}) {
      for (Sample& sample : *samples) {
        sample.task = static_cast<std::int32_t>(tasks.size()) - 1;
      }
    }
  }
  for (std::size_t t = 0; t < tasks.size(); ++t) {
    tasks[t].heads = heads[t];
  }
  const bool fresh_head = recipe.heads.scenario != "domain" && !trained_before;
  return {std::move(model),
          std::move(tokenizer),
          std::move(tasks),
          std::move(notices),
          fresh_head ? heads.back().now : "",
          make_augmenter(recipe)};
}

void Inputs::leave_out_tests() {
  tested = false;
  for (TaskData& task : tasks) {
    task.test.clear();
  }
}

std::string Inputs::digest() const {
  Hasher hasher;
  hasher.update(arithmetic());
  dispatch(model.dtype(), "digest",
           [&]<class T>() { hasher.update(std::as_bytes(model.arena().values().span<T>())); });
  const auto add_text = [&](std::string_view text) {
    hasher.update(std::to_string(text.size()) + ':');
    hasher.update(text);
  };
  for (const TaskData& task : tasks) {
    add_text(task.name);
    for (const std::string& label : task.labels) {
      add_text(label);
    }
    for (const Example& example : task.examples) {
      add_text(example.text);
      add_text(example.pair);
    }
    for (const std::vector<Sample>* samples :
         {&task.train, &task.valid, &task.test, &task.kept_samples}) {
      add_text(std::to_string(samples->size()));
      for (const Sample& sample : *samples) {
        add_text(std::to_string(sample.label));
        hasher.update(std::as_bytes(std::span(sample.ids)));
        hasher.update(std::as_bytes(std::span(sample.type_ids)));
      }
    }
    if (!task.importance.empty()) {
      add_text(read_file(task.importance, kMaxImportanceBytes));
    }
  }
  return to_hex(hasher.digest());
}

}  // namespace holdfast
