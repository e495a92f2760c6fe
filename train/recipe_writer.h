// Writes one table of a recipe key by key: the other side of recipe_reader.h.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/text.h"
#include "base/toml.h"

namespace holdfast {

class TableWriter {
 public:
  Toml table = Toml::table();

  template <class Value, class... Constraints>
  void operator()(const char* key, const Value& value, const Constraints&...) {
    set(key, Toml(value));
  }
  template <class... Constraints>
  void operator()(const char* key, const std::optional<double>& value, const Constraints&...) {
    if (value) {
      set(key, *value);
    }
    written_ = true;
  }
  /// The next key is written only when `active`: of rivals, the one that counts.
  TableWriter& when(bool active) {
    written_ = active;
    return *this;
  }
  template <class Choice>
  void required(const char* key, const std::string& value, const Choice&) {
    set(key, value);
  }
  void automatic(const char* key, std::int64_t value, const char* word) {
    set(key, value > 0 ? Toml(value) : Toml(word));
  }
  template <class Limits>
  void number_or(const char* key, const std::optional<double>& value, const Limits&,
                 const char* word) {
    set(key, value ? Toml(*value) : Toml(word));
  }
  void bytes(const char* key, std::int64_t value, const char* = "") {
    const std::string text = exact_bytes(value);
    set(key, text.ends_with('B') ? Toml(text) : Toml(value));
  }
  template <class Limits>
  void pair(const char* key, double first, double second, const Limits&) {
    set(key, Toml::list({first, second}));
  }
  template <class Limits>
  void list(const char* key, const std::vector<double>& values, const Limits&) {
    set(key, Toml::list(Toml::Array(values.begin(), values.end())));
  }
  void exclusive(std::initializer_list<const char*>) {}
  void together(const char*, const char*) {}
  void needs(const char*, const char*, const char*, const char*) {}
  template <class Accepted>
  void later(const char*, const Accepted&) {}

 private:
  void set(const char* key, Toml value) {
    if (written_) {
      table.set(key, std::move(value));
    }
    written_ = true;
  }
  bool written_ = true;
};

}  // namespace holdfast
