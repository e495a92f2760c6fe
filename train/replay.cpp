#include "train/replay.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>
#include <set>
#include <stdexcept>

#include "base/csv.h"
#include "base/file.h"
#include "base/utf8.h"
#include "train/table_file.h"

namespace holdfast {

Budget texts_to_keep(const ReplayRecipe& replay, const TaskData& old) {
  const auto n = static_cast<std::int64_t>(old.train.size());
  if (replay.budget > 0) {
    return {replay.budget, text_bytes(old.examples)};
  }
  if (replay.count > n) {
    throw std::runtime_error(fmt::format("replay.count is {}, but task {} has {} training texts",
                                         replay.count, old.name, n));
  }
  return replay.count > 0
             ? replay.count
             : std::clamp<std::int64_t>(std::llround(replay.keep * static_cast<double>(n)), 1, n);
}

std::vector<std::int64_t> text_bytes(std::span<const Example> examples) {
  std::vector<std::int64_t> bytes;
  for (const Example& example : examples) {
    bytes.push_back(static_cast<std::int64_t>(example.text.size() + example.pair.size()));
  }
  return bytes;
}

Memory select_memory(const ReplayRecipe& replay, const TaskData& old, const TaskData& fresh,
                     const Tokenizer& tokenizer, std::uint64_t seed,
                     const std::function<std::vector<float>()>& features) {
  std::vector<std::int32_t> labels;
  for (const Sample& sample : old.train) {
    labels.push_back(sample.label);
  }
  SelectionSources sources{{}, features};
  sources.words = [&] {
    WordTable table;
    WordCounter counter(tokenizer, table);
    const auto rows = [&](std::span<const Example> examples) {
      for (const Example& example : examples) {
        counter.add(example.text, example.pair);
      }
      return counter.take();
    };
    WordRows old_rows = rows(old.examples);
    return std::pair(std::move(old_rows), rows(fresh.examples));
  };
  Memory memory{old.name, {}, {}};
  memory.selected = select_texts(labels, texts_to_keep(replay, old),
                                 {.method = parse_selection_method(replay.select),
                                  .quota_by_class = replay.quota == "class",
                                  .diversity = replay.diversity,
                                  .seed = seed},
                                 sources);
  if (memory.selected.empty()) {
    throw std::runtime_error(
        fmt::format("replay.budget is {} bytes, which holds none of the texts of task {}",
                    replay.budget, old.name));
  }
  for (const Selected& selected : memory.selected) {
    memory.samples.push_back(old.train[static_cast<std::size_t>(selected.index)]);
  }
  return memory;
}

std::string replay_row(std::string_view task, const Example& example, const Selected& selected) {
  return fmt::format("{},{},{},{:.6f},{},{},{}\n", csv_field(task), example.line,
                     csv_field(example.label), selected.score, csv_field(selected.reason),
                     csv_field(example.text), csv_field(example.pair));
}

void write_replay(const std::filesystem::path& path, std::span<const Memory> memories,
                  std::span<const TaskData> tasks) {
  std::string csv(kReplayHeader);
  for (const Memory& memory : memories) {
    const auto task = std::find_if(tasks.begin(), tasks.end(), [&](const TaskData& candidate) {
      return candidate.name == memory.task;
    });
    for (const Selected& selected : memory.selected) {
      csv += replay_row(memory.task, task->examples.at(static_cast<std::size_t>(selected.index)),
                        selected);
    }
  }
  write_file(path, csv);
}

namespace {

template <class Number>
std::optional<Number> number_in(std::string_view text) {
  Number value{};
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  return code == std::errc() && end == text.data() + text.size() ? std::optional(value)
                                                                 : std::nullopt;
}

class MemoryReader {
 public:
  MemoryReader(std::string where, const std::string& task, const std::vector<std::string>& labels,
               bool only_old_task)
      : where_(std::move(where)), task_(task), labels_(labels), only_old_task_(only_old_task) {}

  void operator()(std::int64_t line, const std::vector<std::string>& fields) {
    if (names_.empty()) {
      names_ = fields;
      for (const char* name : {"text", "label"}) {
        if (!place(name)) fail(line, fmt::format("there is no column \"{}\"", name));
      }
      return;
    }
    const std::string& task = field(fields, "task");
    if (task.empty() && !only_old_task_) {
      fail(line, "the row names no task, and there are several old ones");
    }
    if (!task.empty() && task != task_) {
      others_.insert(task);
      return;
    }
    Example example{field(fields, "text"), field(fields, "text_pair"), field(fields, "label"),
                    number<std::int64_t>(line, fields, "line")};
    if (!known(example.label)) {
      fail(line, fmt::format("the label \"{}\" is none of task {}'s",
                             utf8::printable(example.label), task_));
    }
    memory_.selected.push_back({static_cast<std::int64_t>(memory_.examples.size()),
                                number<double>(line, fields, "score"), field(fields, "reason")});
    memory_.examples.push_back(std::move(example));
  }

  StoredMemory take() {
    if (memory_.examples.empty()) {
      std::string known;
      for (const std::string& task : others_) {
        known += (known.empty() ? "" : ", ") + utf8::printable(task);
      }
      throw NoTextsOfTask(fmt::format("{}: has no texts of task {}{}", where_, task_,
                                      known.empty() ? "" : "; it has those of " + known));
    }
    return std::move(memory_);
  }

 private:
  [[noreturn]] void fail(std::int64_t line, const std::string& what) const {
    throw std::runtime_error(fmt::format("{}:{}: {}", where_, line, what));
  }

  // As to_samples() understands labels: a number, too, where classes have no names.
  bool known(const std::string& label) const {
    return std::any_of(labels_.begin(), labels_.end(), [&](const std::string& of_head) {
      return of_head == label || of_head == "LABEL_" + label;
    });
  }

  std::optional<std::size_t> place(std::string_view name) const {
    const auto found = std::find(names_.begin(), names_.end(), name);
    if (found == names_.end()) return std::nullopt;
    return static_cast<std::size_t>(found - names_.begin());
  }

  const std::string& field(const std::vector<std::string>& fields, std::string_view name) const {
    static const std::string none;
    const std::optional<std::size_t> at = place(name);
    return at ? fields[*at] : none;
  }

  template <class Number>
  Number number(std::int64_t line, const std::vector<std::string>& fields,
                std::string_view name) const {
    const std::string& text = field(fields, name);
    if (text.empty()) return 0;
    const std::optional<Number> value = number_in<Number>(text);
    if (!value) {
      fail(line, fmt::format("the {} \"{}\" is not a number", name, utf8::printable(text)));
    }
    return *value;
  }

  std::string where_;
  const std::string& task_;
  const std::vector<std::string>& labels_;
  bool only_old_task_;
  std::vector<std::string> names_;  // of the columns
  std::set<std::string> others_;    // tasks that were skipped
  StoredMemory memory_;
};

}  // namespace

StoredMemory read_memory(const std::filesystem::path& path, const std::string& task,
                         const std::vector<std::string>& labels, bool only_old_task) {
  const std::string where = utf8::printable(path.string());
  const TableFile file = read_table_file(path, false);
  if (file.format == TableFormat::json_lines) {
    throw std::runtime_error(where + ": a memory is read from .csv or .tsv");
  }
  MemoryReader rows(where, task, labels, only_old_task);
  const auto parse = file.format == TableFormat::csv ? parse_csv : parse_tsv;
  parse(file.text, where, std::ref(rows), {});
  return rows.take();
}

}  // namespace holdfast
