#include "train/recipe_reader.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "base/utf8.h"

namespace holdfast {
namespace {

std::string text_of(const Range& range) {
  const std::string low = fmt::format("{}{:g}", range.open_low ? '(' : '[', range.low);
  if (range.high == std::numeric_limits<double>::infinity()) {
    return fmt::format("{} {:g}", range.open_low ? "above" : "at least", range.low);
  }
  return fmt::format("in {}, {:g}{}", low, range.high, range.open_high ? ')' : ']');
}

bool same(const Toml& a, const Toml& b) {
  return a == b || (a.is_number() && b.is_number() && a.as_double() == b.as_double());
}

}  // namespace

TableReader::TableReader(const Toml& table, std::string name)
    : table_(&table), name_(std::move(name)) {
  if (!table.is_table()) {
    throw std::runtime_error(table.where() + name_ + " must be a table: [" + name_ + "]");
  }
}

std::string TableReader::full(std::string_view key) const {
  return (name_.empty() ? "" : name_ + '.') + utf8::printable(key);
}

std::runtime_error TableReader::error(const Toml& value, std::string_view key,
                                      std::string_view fact) const {
  return std::runtime_error(fmt::format("{}{} {}", value.where(), full(key), fact));
}

std::runtime_error TableReader::error(std::string_view fact) const {
  return std::runtime_error(
      fmt::format("{}{}{}{}", table_->where(), name_, name_.empty() ? "" : " ", fact));
}

const Toml* TableReader::find(std::string_view key) {
  known_.emplace_back(key);
  return table_->find(key);
}

bool TableReader::read(std::string_view key, bool& target) {
  const Toml* value = find(key);
  if (value) {
    target = value->as_bool();
  }
  return value;
}

bool TableReader::read(std::string_view key, std::string& target) {
  const Toml* value = find(key);
  if (value) {
    target = value->as_string();
  }
  return value;
}

bool TableReader::read(std::string_view key, std::string& target,
                       std::initializer_list<const char*> choices) {
  const Toml* value = find(key);
  if (!value) {
    return false;
  }
  const std::string& found = value->as_string();
  if (std::find(choices.begin(), choices.end(), found) == choices.end()) {
    throw error(*value, key,
                fmt::format("must be \"{}\", found \"{}\"", fmt::join(choices, "\" or \""),
                            utf8::printable(found)));
  }
  target = found;
  return true;
}

bool TableReader::read(std::string_view key, double& target, Range range) {
  const Toml* value = find(key);
  if (!value) {
    return false;
  }
  const double x = value->as_double();
  const bool inside = (range.open_low ? x > range.low : x >= range.low) &&
                      (range.open_high ? x < range.high : x <= range.high) &&
                      x < std::numeric_limits<double>::infinity();
  if (!inside) {
    throw error(*value, key, fmt::format("must be {}, found {:g}", text_of(range), x));
  }
  target = x;
  return true;
}

bool TableReader::read(std::string_view key, std::int64_t& target, std::int64_t low,
                       std::int64_t high) {
  const Toml* value = find(key);
  if (!value) {
    return false;
  }
  const std::int64_t n = value->as_int64();
  if (n < low || n > high) {
    throw error(*value, key, fmt::format("must be in [{}, {}], found {}", low, high, n));
  }
  target = n;
  return true;
}

void TableReader::later(std::string_view key, const Toml& accepted) {
  const Toml* value = find(key);
  if (value && !same(*value, accepted)) {
    throw error(
        *value, key,
        fmt::format("is not available in this version: leave it out, or {}", accepted.dump()));
  }
}

void TableReader::absent(std::string_view key) {
  if (const Toml* value = find(key)) {
    throw error(*value, key, "is not available in this version: leave it out");
  }
}

void TableReader::finish() const {
  for (const auto& [key, value] : table_->items()) {
    if (std::find(known_.begin(), known_.end(), key) != known_.end()) {
      continue;
    }
    const auto nearest =
        std::min_element(known_.begin(), known_.end(), [&name = key](const auto& a, const auto& b) {
          return edit_distance(name, a) < edit_distance(name, b);
        });
    throw std::runtime_error(
        fmt::format("{}unknown key {} (did you mean {}?)", value.where(), full(key), *nearest));
  }
}

}  // namespace holdfast
