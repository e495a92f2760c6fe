// Reads one table of a recipe key by key: types, ranges, choices, and at the end the keys nobody
// asked for.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/toml.h"

namespace holdfast {

/// The numbers that a key takes.
struct Range {
  double low = 0, high = std::numeric_limits<double>::infinity();
  bool open_low = false, open_high = false;  // the end itself is not in it
};

/// The texts that a key takes.
using Choices = std::vector<const char*>;

/// Every read leaves the target alone when the key is absent.
/// Errors are std::runtime_error: `<file>:<line>:<column>: <table>.<key> <fact>`.
class TableReader {
 public:
  /// `name`: the table's dotted name, empty for the root.
  TableReader(const Toml& table, std::string name);

  void operator()(std::string_view key, bool& target);
  void operator()(std::string_view key, std::string& target);
  void operator()(std::string_view key, std::string& target, const Choices& choices);
  void operator()(std::string_view key, double& target, Range range);
  void operator()(std::string_view key, std::optional<double>& target, Range range);
  void operator()(std::string_view key, std::int64_t& target, std::int64_t low, std::int64_t high);
  /// As above; the table must have the key.
  void required(std::string_view key, std::string& target, const Choices& choices);
  /// A number from 1 on, or `word`, which is 0.
  void automatic(std::string_view key, std::int64_t& target, std::string_view word);
  /// A number, or `word`, which is no number.
  void number_or(std::string_view key, std::optional<double>& target, Range range,
                 std::string_view word);
  /// "512MiB", "2GiB" or a number of bytes; what `zero` bytes mean, or at least 1 byte.
  void bytes(std::string_view key, std::int64_t& target, std::string_view zero = "");
  /// Two numbers.
  void pair(std::string_view key, double& first, double& second, Range range);
  /// A number or a list of different ones.
  void list(std::string_view key, std::vector<double>& target, Range range);
  /// At most one of these keys may be given.
  void exclusive(std::initializer_list<const char*> keys) const;
  /// Both of these keys may be given, or none.
  void together(const char* one, const char* other) const;
  /// `key` may be given only beside one of the others; `reason` says why.
  void needs(std::string_view key, const char* one, const char* other,
             std::string_view reason) const;
  /// What matters to TableWriter alone.
  TableReader& when(bool) { return *this; }
  /// The member itself, or null; counts as read.
  const Toml* find(std::string_view key);
  /// A key whose feature is not in this version: only `accepted`, its value when off, may be given.
  void later(std::string_view key, const Toml& accepted);
  /// A key or table that this version does not have at all.
  void absent(std::string_view key);

  /// Throws for the first member that was not read, naming the nearest key that was.
  void finish() const;
  std::runtime_error error(const Toml& value, std::string_view key, std::string_view fact) const;
  /// What to throw about the table as a whole.
  std::runtime_error error(std::string_view fact) const;

 private:
  double number(const Toml& value, std::string_view key, Range range) const;
  std::string full(std::string_view key) const;

  const Toml* table_;
  std::string name_;
  std::vector<std::string> known_;
};

}  // namespace holdfast
