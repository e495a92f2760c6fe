// Reads one table of a recipe key by key: types, ranges, choices, and at the end the keys nobody
// asked for.
#pragma once

#include <cstdint>
#include <limits>
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

/// Every read leaves the target alone when the key is absent, and returns whether it was there.
/// Errors are std::runtime_error: `<file>:<line>:<column>: <table>.<key> <fact>`.
class TableReader {
 public:
  /// `name`: the table's dotted name, empty for the root.
  TableReader(const Toml& table, std::string name);

  bool read(std::string_view key, bool& target);
  bool read(std::string_view key, std::string& target);
  bool read(std::string_view key, std::string& target, std::initializer_list<const char*> choices);
  bool read(std::string_view key, double& target, Range range);
  bool read(std::string_view key, std::int64_t& target, std::int64_t low, std::int64_t high);
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
  std::string full(std::string_view key) const;

  const Toml* table_;
  std::string name_;
  std::vector<std::string> known_;
};

}  // namespace holdfast
