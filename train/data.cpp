#include "train/data.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <stdexcept>

#include "base/csv.h"
#include "base/json.h"
#include "base/utf8.h"

namespace holdfast {
namespace {

constexpr std::size_t kFieldBytes = 1U << 20U;
constexpr std::size_t kJsonLineBytes = 16U << 20U;

[[noreturn]] void fail(const std::string& where, std::int64_t line, const std::string& what) {
  throw std::runtime_error(fmt::format("{}:{}: {}", where, line, what));
}

std::string list_of(const std::vector<std::string>& names) {
  constexpr std::size_t kShown = 20;
  std::string out;
  for (std::size_t i = 0; i < std::min(names.size(), kShown); ++i) {
    out += i == 0 ? "" : ", ";
    out += utf8::printable(names[i].substr(0, 60));
  }
  return names.size() > kShown ? out + ", ..." : out;
}

// Where the wanted columns stand in a row.
struct Places {
  std::size_t text = 0;
  std::optional<std::size_t> label, pair;
};

class RowReader {
 public:
  RowReader(std::string where, const DataColumns& columns, const ExampleCallback& use)
      : where_(std::move(where)), columns_(columns), use_(use) {}

  void operator()(std::int64_t line, const std::vector<std::string>& fields) {
    if (!places_) {
      places_ = places(line, fields);
      if (columns_.header) {
        return;
      }
    }
    Example example{fields[places_->text], "", "", line};
    if (places_->pair) {
      example.pair = fields[*places_->pair];
    }
    if (places_->label) {
      example.label = fields[*places_->label];
      if (example.label.empty()) {
        fail(where_, line, "the label is empty");
      }
    }
    use_(std::move(example));
  }

 private:
  Places places(std::int64_t line, const std::vector<std::string>& first_row) const {
    const auto place = [&](const std::string& name) {
      return columns_.header ? named(line, first_row, name)
                             : numbered(line, first_row.size(), name);
    };
    Places places;
    places.text = required(line, first_row, columns_.text, place(columns_.text));
    if (!columns_.text_pair.empty()) {
      places.pair = required(line, first_row, columns_.text_pair, place(columns_.text_pair));
    }
    if (columns_.label_required) {
      places.label = required(line, first_row, columns_.label, place(columns_.label));
    } else if (columns_.header || is_number(columns_.label)) {
      places.label = place(columns_.label);
    }
    return places;
  }

  std::size_t required(std::int64_t line, const std::vector<std::string>& first_row,
                       const std::string& name, std::optional<std::size_t> place) const {
    if (place) {
      return *place;
    }
    const std::string missing = utf8::printable(name);
    if (!columns_.header) {
      fail(where_, line,
           fmt::format("there is no column {}; the first row has {}", missing, first_row.size()));
    }
    fail(where_, line,
         fmt::format("there is no column \"{}\"; the columns are: {} (name yours in the recipe, or "
                     "set header = false and "
                     "give numbers)",
                     missing, list_of(first_row)));
  }

  std::optional<std::size_t> named(std::int64_t line, const std::vector<std::string>& names,
                                   const std::string& name) const {
    const auto found = std::find(names.begin(), names.end(), name);
    if (found == names.end()) {
      return std::nullopt;
    }
    if (std::find(found + 1, names.end(), name) != names.end()) {
      fail(where_, line, "two columns are named \"" + utf8::printable(name) + "\"");
    }
    return static_cast<std::size_t>(found - names.begin());
  }

  static bool is_number(const std::string& name) {
    return !name.empty() &&
           std::all_of(name.begin(), name.end(), [](char c) { return c >= '0' && c <= '9'; });
  }

  std::optional<std::size_t> numbered(std::int64_t line, std::size_t count,
                                      const std::string& name) const {
    if (!is_number(name)) {
      fail(where_, line,
           fmt::format("with header = false columns are given as numbers from 1, as in text = "
                       "\"1\"; found \"{}\"",
                       utf8::printable(name)));
    }
    std::size_t number = 0;
    const auto status = std::from_chars(name.data(), name.data() + name.size(), number).ec;
    if (status != std::errc() || number == 0 || number > count) {
      return std::nullopt;
    }
    return number - 1;
  }

  std::string where_;
  const DataColumns& columns_;
  const ExampleCallback& use_;
  std::optional<Places> places_;
};

const std::string& text_of(const Json& value) {
  const std::string& text = value.as_string();
  if (text.size() > kFieldBytes) {
    throw value.error(fmt::format("has more than {} bytes", kFieldBytes));
  }
  return text;
}

std::string label_of(const Json& value) {
  if (value.is_integer()) {
    return std::to_string(value.as_int64());
  }
  if (!value.is_string()) {
    throw value.error(
        "must be a string or an integer, found " +
        (value.is_array() || value.is_object() ? "a list or an object" : value.dump()));
  }
  if (value.as_string().empty()) {
    throw value.error("is empty");
  }
  return text_of(value);
}

Example example_of(const Json& row, const DataColumns& columns, std::int64_t line) {
  Example example{text_of(row.at(columns.text)), "", "", line};
  if (!columns.text_pair.empty()) {
    example.pair = text_of(row.at(columns.text_pair));
  }
  if (columns.label_required || row.find(columns.label) != nullptr) {
    example.label = label_of(row.at(columns.label));
  }
  return example;
}

void read_json_lines(std::string_view text, const std::string& where, const DataColumns& columns,
                     const ExampleCallback& use) {
  std::int64_t number = 0;
  for (std::size_t at = 0; at < text.size();) {
    ++number;
    const std::size_t end = std::min(text.find('\n', at), text.size());
    const std::string_view line = text.substr(at, end - at);
    at = end + 1;
    const std::size_t first = line.find_first_not_of(" \t\r");
    if (first == std::string_view::npos) {
      continue;
    }
    if (line.size() > kJsonLineBytes) {
      fail(where, number, fmt::format("a line of more than {} bytes", kJsonLineBytes));
    }
    if (line[first] == '[') {
      fail(where, number, "an array; JSON Lines has one object a line");
    }
    const Json row = Json::parse(line, fmt::format("{}:{}", where, number));
    use(example_of(row, columns, number));
  }
}

void for_each_row(const TableFile& table, const std::string& where, const DataColumns& columns,
                  const ExampleCallback& use) {
  bool any = false;
  const ExampleCallback counted = [&](Example&& example) {
    any = true;
    use(std::move(example));
  };
  if (table.format == TableFormat::json_lines) {
    read_json_lines(table.text, where, columns, counted);
  } else {
    RowReader rows(where, columns, counted);
    const auto parse = table.format == TableFormat::csv ? parse_csv : parse_tsv;
    parse(table.text, where, std::ref(rows), {.field_bytes = kFieldBytes});
  }
  if (!any) {
    throw std::runtime_error(
        where + (table.text.empty() ? ": the file is empty" : ": the file has no rows of data"));
  }
}

// Whether `parse` finds the column of the text in this header.
template <class Parse>
bool names_text(std::string_view line, const DataColumns& columns, const Parse& parse) {
  bool found = false;
  try {
    parse(line, "", [&](std::int64_t, const std::vector<std::string>& names) {
      found = std::find(names.begin(), names.end(), columns.text) != names.end();
    });
  } catch (const std::runtime_error&) {
    return false;  // no such row
  }
  return found;
}

bool has_text(std::string_view line, const DataColumns& columns) {
  try {
    const Json row = Json::parse(line, "");
    return row.is_object() && row.find(columns.text) != nullptr;
  } catch (const std::runtime_error&) {
    return false;  // no JSON
  }
}

}  // namespace

void for_each_example(const std::filesystem::path& path, const DataColumns& columns,
                      const ExampleCallback& use) {
  for_each_row(read_table_file(path, columns.invalid_utf8_replace), utf8::printable(path.string()),
               columns, use);
}

std::vector<Example> read_examples(const std::filesystem::path& path, const DataColumns& columns) {
  return examples_of(read_table_file(path, columns.invalid_utf8_replace),
                     utf8::printable(path.string()), columns);
}

std::vector<Example> examples_of(const TableFile& table, const std::string& where,
                                 const DataColumns& columns) {
  std::vector<Example> examples;
  for_each_row(table, where, columns,
               [&](Example&& example) { examples.push_back(std::move(example)); });
  return examples;
}

std::optional<TableFormat> format_shown_by(std::string_view line, const DataColumns& columns) {
  line.remove_prefix(line.starts_with("\xEF\xBB\xBF") ? 3 : 0);
  if (has_text(line, columns)) {
    return TableFormat::json_lines;
  }
  if (!columns.header) {
    return std::nullopt;
  }
  const auto csv = [](auto&&... x) { parse_csv(x...); };
  const auto tsv = [](auto&&... x) { parse_tsv(x...); };
  return names_text(line, columns, csv)   ? std::optional(TableFormat::csv)
         : names_text(line, columns, tsv) ? std::optional(TableFormat::tsv)
                                          : std::nullopt;
}

}  // namespace holdfast
