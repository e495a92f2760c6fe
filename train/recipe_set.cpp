// `--set key=value`.
#include <fmt/format.h>

#include <charconv>

#include "base/utf8.h"
#include "train/recipe.h"

namespace holdfast {
namespace {

constexpr std::size_t kShownBytes = 100;  // of an assignment, in messages

// The number of an entry of the list `name`, from 0. Throws what says how entries are named.
std::size_t entry_of(const Toml& list, const std::string& name, const std::string& key,
                     const std::string& source) {
  const std::size_t size = list.array().size();
  std::size_t index = 0;
  const auto [end, code] = std::from_chars(key.data(), key.data() + key.size(), index);
  if (code != std::errc() || end != key.data() + key.size() || index >= size) {
    throw std::runtime_error(fmt::format(
        "{}: there is no {}.{}: {} is a list, whose entries are numbered from 0, and has {}",
        source, name, utf8::printable(key), name, size));
  }
  return index;
}

// `value`, whose name is `name`, with `keys[at...]` set to `leaf`; tables are made where there are
// none.
Toml with_key(Toml value, const std::string& name, const std::vector<std::string>& keys,
              std::size_t at, const Toml& leaf, const std::string& source) {
  if (at == keys.size()) {
    return leaf;
  }
  const std::string& key = keys[at];
  const std::string full = utf8::printable(name.empty() ? key : name + '.' + key);
  if (value.is_table()) {
    const Toml* present = value.find(key);
    Toml child = with_key(present ? *present : Toml::parse_value("{}", source), full, keys, at + 1,
                          leaf, source);
    value.set(key, std::move(child));
    return value;
  }
  if (!value.is_array()) {
    throw std::runtime_error(fmt::format("{}: there is no {}: {} has no keys", source, full, name));
  }
  const std::size_t index = entry_of(value, name, key, source);
  Toml::Array elements = value.array();
  elements[index] = with_key(elements[index], full, keys, at + 1, leaf, source);
  return Toml::list(std::move(elements));
}

// Keys of which a table has one: setting one takes the other away.
struct Rivals {
  const char *table, *key, *other;
};
constexpr Rivals kRivals[] = {
    {"training", "steps", "epochs"},      {"training", "epochs", "steps"},
    {"replay", "keep", "count"},          {"replay", "count", "keep"},
    {"replay", "keep", "budget"},         {"replay", "count", "budget"},
    {"replay", "budget", "keep"},         {"replay", "budget", "count"},
    {"learning_rate", "rate", "bottom"},  {"learning_rate", "rate", "top"},
    {"learning_rate", "rate", "spacing"}, {"learning_rate", "bottom", "rate"},
    {"learning_rate", "top", "rate"}};

void remove_rivals(Toml& document, const std::vector<std::string>& keys) {
  for (const Rivals& rivals : kRivals) {
    Toml* table = document.find(rivals.table);
    if (keys.size() != 2 || keys[0] != rivals.table || keys[1] != rivals.key || !table ||
        !table->is_table()) {
      continue;
    }
    Toml::Table rest;
    for (const auto& member : table->items()) {
      if (member.first != rivals.other) {
        rest.push_back(member);
      }
    }
    document.set(rivals.table, Toml::table(std::move(rest)));
  }
}

}  // namespace

void set_key(Toml& document, std::string_view assignment) {
  const std::string source = "--set " + utf8::printable(assignment.substr(0, kShownBytes));
  const std::size_t equals = assignment.find('=');
  if (equals == std::string_view::npos) {
    throw std::runtime_error(source + ": must be key=value, as in --set training.steps=100");
  }
  const std::string_view text = assignment.substr(equals + 1);
  std::vector<std::string> keys;
  try {
    keys = Toml::parse_key(assignment.substr(0, equals), source);
  } catch (const std::runtime_error&) {
    throw std::runtime_error(source + ": what stands before = is no key such as training.steps");
  }
  Toml value = Toml::parse_value(Toml(std::string(text)).dump(), source);
  try {
    value = Toml::parse_value(text, source);
  } catch (const std::runtime_error&) {
    // Not a TOML value: the text itself, so that --set output=runs/b needs no quotes in a shell.
  }
  remove_rivals(document, keys);
  document = with_key(document, "", keys, 0, value, source);
}

}  // namespace holdfast
