// TOML 1.0 without dates and times: a value tree that keeps order and positions, a strict parser,
// and a writer. toml.cpp holds values and the writer, toml_parser.cpp the grammar of documents,
// toml_scanner.cpp that of scalars. Tested by tests/base/toml_test.cpp.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace holdfast {

class Toml {
 public:
  enum class Type { boolean, integer, real, string, array, table };
  using Array = std::vector<Toml>;
  using Table = std::vector<std::pair<std::string, Toml>>;
  struct Position {
    std::int64_t line = 0;  // from 1; 0 for a value that was not parsed
    std::int64_t column = 0;
  };

  Toml(bool value) : value_(value) {}
  template <std::signed_integral Integer>
  Toml(Integer value) : value_(static_cast<std::int64_t>(value)) {}
  /// Throws std::invalid_argument above 2^63 - 1.
  template <std::unsigned_integral Integer>
  requires(!std::same_as<Integer, bool>) Toml(Integer value) : value_(checked(value)) {}
  Toml(double value) : value_(value) {}
  Toml(std::string value) : value_(std::move(value)) {}
  Toml(std::string_view value) : value_(std::string(value)) {}
  Toml(const char* value) : value_(std::string(value)) {}
  template <class T>
  Toml(const T*) = delete;  // else a pointer would become a bool

  static Toml table(Table members = {});
  static Toml list(Array values = {});

  /// Parses a document. Beyond TOML's own rules: no dates and times, at most 64 levels, at most
  /// 4,096 keys in a table. Throws std::runtime_error, `<file>:<line>:<column>: <what>`; columns
  /// count characters.
  static Toml parse(std::string_view text, std::string_view file);
  /// Parses one value, the right-hand side of `key = value`. `where` begins the messages, as the
  /// file's name does.
  static Toml parse_value(std::string_view text, std::string_view where);
  /// Parses a key: the parts of `a.b."c.d"`.
  static std::vector<std::string> parse_key(std::string_view text, std::string_view where);

  Type type() const { return static_cast<Type>(value_.index()); }
  bool is_bool() const { return type() == Type::boolean; }
  bool is_integer() const { return type() == Type::integer; }
  bool is_number() const { return type() == Type::integer || type() == Type::real; }
  bool is_string() const { return type() == Type::string; }
  bool is_array() const { return type() == Type::array; }
  bool is_table() const { return type() == Type::table; }

  // Each throws std::runtime_error when the value is of another type, as in
  // `recipe.toml:4:1: seed must be an integer, found "7"`.
  bool as_bool() const;
  std::int64_t as_int64() const;
  /// Any number.
  double as_double() const;
  const std::string& as_string() const;
  const Array& array() const;
  const Table& items() const;

  /// The member `key` of a table, or null.
  const Toml* find(std::string_view key) const;
  Toml* find(std::string_view key);
  /// The member `key` of a table; throws std::runtime_error naming it when it is absent.
  const Toml& at(std::string_view key) const;

  /// Sets member `key` of a table, in place when it is there, else at the end; returns the member.
  Toml& set(std::string key, Toml value);
  /// Appends to an array.
  void push_back(Toml value);

  /// Where the key of a table's member, or an array's value, is written.
  Position position() const { return position_; }
  /// `<file>:<line>:<column>: ` of position(), as messages begin; `<where>: ` for what
  /// parse_value() returned; empty for a value not parsed.
  std::string where() const;
  /// What to throw about this value: `<file>:<line>:<column>: <key> <fact>`; `fact` begins with
  /// "must", "is" and the like.
  std::runtime_error error(std::string_view fact) const;

  /// The document of a table, which parses back to the same values: in each table the plain members
  /// first, then the tables under headers; or the text of any other value. Throws
  /// std::invalid_argument for text that is not UTF-8.
  std::string dump() const;

  /// Equal values in the same order. NaN equals nothing.
  bool operator==(const Toml& other) const { return value_ == other.value_; }

 private:
  friend class TomlParser;
  // How a table or array came to be, which decides what may still be added to it.
  enum class Made { value, prefix_of_header, header, dotted_key, array_of_tables };

  static std::int64_t checked(std::uint64_t value);
  std::runtime_error wrong_type(std::string_view wanted) const;

  std::variant<bool, std::int64_t, double, std::string, Array, Table> value_;
  std::string key_;                          // its own name in a table
  std::shared_ptr<const std::string> file_;  // null for a value that was not parsed
  Position position_;
  Made made_ = Made::value;
};

}  // namespace holdfast
