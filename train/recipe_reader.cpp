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

double TableReader::number(const Toml& value, std::string_view key, Range range) const {
  const double x = value.as_double();
  const bool inside = (range.open_low ? x > range.low : x >= range.low) &&
                      (range.open_high ? x < range.high : x <= range.high) &&
                      x < std::numeric_limits<double>::infinity();
  if (!inside) {
    throw error(value, key, fmt::format("must be {}, found {:g}", text_of(range), x));
  }
  return x;
}

void TableReader::operator()(std::string_view key, bool& target) {
  if (const Toml* value = find(key)) {
    target = value->as_bool();
  }
}

void TableReader::operator()(std::string_view key, std::string& target) {
  if (const Toml* value = find(key)) {
    target = value->as_string();
  }
}

void TableReader::operator()(std::string_view key, std::string& target, const Choices& choices) {
  const Toml* value = find(key);
  if (!value) {
    return;
  }
  const std::string& found = value->as_string();
  if (std::find(choices.begin(), choices.end(), found) == choices.end()) {
    throw error(*value, key,
                fmt::format("must be \"{}\", found \"{}\"", fmt::join(choices, "\" or \""),
                            utf8::printable(found)));
  }
  target = found;
}

void TableReader::operator()(std::string_view key, double& target, Range range) {
  if (const Toml* value = find(key)) {
    target = number(*value, key, range);
  }
}

void TableReader::operator()(std::string_view key, std::optional<double>& target, Range range) {
  if (const Toml* value = find(key)) {
    target = number(*value, key, range);
  }
}

void TableReader::operator()(std::string_view key, std::int64_t& target, std::int64_t low,
                             std::int64_t high) {
  const Toml* value = find(key);
  if (!value) {
    return;
  }
  const std::int64_t n = value->as_int64();
  if (n < low || n > high) {
    throw error(*value, key, fmt::format("must be in [{}, {}], found {}", low, high, n));
  }
  target = n;
}

void TableReader::required(std::string_view key, std::string& target, const Choices& choices) {
  (*this)(key, target, choices);
  if (target.empty()) {
    throw error(fmt::format("needs {} = \"{}\"", key, fmt::join(choices, "\" or \"")));
  }
}

void TableReader::automatic(std::string_view key, std::int64_t& target, std::string_view word) {
  const Toml* value = find(key);
  if (!value || (value->is_string() && value->as_string() == word)) {
    return;
  }
  if (!value->is_integer() || value->as_int64() < 1 || value->as_int64() > 1'000'000'000) {
    throw error(*value, key, fmt::format("must be \"{}\" or a number in [1, 1000000000]", word));
  }
  target = value->as_int64();
}

void TableReader::number_or(std::string_view key, std::optional<double>& target, Range range,
                            std::string_view word) {
  const Toml* value = find(key);
  if (!value || (value->is_string() && value->as_string() == word)) {
    return;
  }
  if (!value->is_number()) {
    throw error(*value, key, fmt::format("must be \"{}\" or a number {}", word, text_of(range)));
  }
  target = number(*value, key, range);
}

void TableReader::bytes(std::string_view key, std::int64_t& target, std::string_view zero) {
  const Toml* value = find(key);
  if (!value) {
    return;
  }
  const std::string text =
      value->is_integer() ? std::to_string(value->as_int64()) : value->as_string();
  const std::optional<std::int64_t> count = parse_bytes(text);
  if (!count || (*count == 0 && zero.empty())) {
    throw error(*value, key,
                fmt::format("must be bytes, as in 4096, \"512MiB\" or \"2GiB\"{}, found {}",
                            zero.empty() ? "" : fmt::format("; 0 = {}", zero), value->dump()));
  }
  target = *count;
}

void TableReader::pair(std::string_view key, double& first, double& second, Range range) {
  const Toml* value = find(key);
  if (!value) {
    return;
  }
  if (!value->is_array() || value->array().size() != 2 || !value->array()[0].is_number() ||
      !value->array()[1].is_number()) {
    throw error(*value, key, fmt::format("must be two numbers, as in [{:g}, {:g}]", first, second));
  }
  first = number(value->array()[0], key, range);
  second = number(value->array()[1], key, range);
}

void TableReader::list(std::string_view key, std::vector<double>& target, Range range) {
  const Toml* value = find(key);
  if (!value) {
    return;
  }
  target.clear();
  for (const Toml& element : value->is_array() ? value->array() : Toml::Array{*value}) {
    if (!element.is_number()) {
      throw error(*value, key,
                  fmt::format("must be a number {} or a list of such", text_of(range)));
    }
    const double x = number(element, key, range);
    if (std::find(target.begin(), target.end(), x) != target.end()) {
      throw error(*value, key, fmt::format("has {:g} twice", x));
    }
    target.push_back(x);
  }
  if (target.empty() || target.size() > 100) {
    throw error(*value, key, "must hold 1 to 100 numbers");
  }
}

void TableReader::exclusive(std::initializer_list<const char*> keys) const {
  const char* first = nullptr;
  for (const char* key : keys) {
    if (!table_->find(key)) {
      continue;
    }
    if (first) {
      throw error(fmt::format("has both {} and {}: give one", first, key));
    }
    first = key;
  }
}

void TableReader::together(const char* one, const char* other) const {
  const bool has_one = table_->find(one);
  if (has_one != (table_->find(other) != nullptr)) {
    throw error(fmt::format("has {} without {}", has_one ? one : other, has_one ? other : one));
  }
}

void TableReader::needs(std::string_view key, const char* one, const char* other,
                        std::string_view reason) const {
  const Toml* value = table_->find(key);
  if (value && !table_->find(one) && !table_->find(other)) {
    throw error(*value, key,
                fmt::format("{}: give {} and {}, or leave it out", reason, one, other));
  }
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
    throw std::runtime_error(fmt::format("{}unknown key {} (did you mean {}?)", value.where(),
                                         full(key), full(*nearest)));
  }
}

}  // namespace holdfast
