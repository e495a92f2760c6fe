// Strict JSON (RFC 8259): a small value tree that keeps the order of keys, a parser that refuses
// what readers disagree about, and a writer. Tested by tests/base/json_test.cpp.
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

class Json {
 public:
  enum class Type { null, boolean, integer, real, string, array, object };
  using Array = std::vector<Json>;
  using Object = std::vector<std::pair<std::string, Json>>;

  Json() = default;  // null
  Json(std::nullptr_t) {}
  Json(bool value) : value_(value) {}
  template <std::signed_integral Integer>
  Json(Integer value) : value_(static_cast<std::int64_t>(value)) {}
  /// Throws std::invalid_argument above 2^63 - 1.
  template <std::unsigned_integral Integer>
  requires(!std::same_as<Integer, bool>) Json(Integer value) : value_(checked(value)) {}
  Json(double value) : value_(value) {}
  Json(std::string value) : value_(std::move(value)) {}
  Json(std::string_view value) : value_(std::string(value)) {}
  Json(const char* value) : value_(std::string(value)) {}
  template <class T>
  Json(const T*) = delete;  // else a pointer would become a bool

  static Json object(Object members = {});
  static Json list(Array values = {});

  /// Parses one JSON text. Refused, beyond what RFC 8259 refuses: duplicate keys at any level, a
  /// byte order mark, NUL bytes, integers that do not fit in 64 bits, numbers too large for a
  /// double, more than `max_depth` levels. `where` (a file's name) begins every message about the
  /// text and, later, about its values. Throws std::runtime_error with line and column.
  static Json parse(std::string_view text, std::string_view where, int max_depth = 64);

  Type type() const { return static_cast<Type>(value_.index()); }
  bool is_null() const { return type() == Type::null; }
  bool is_bool() const { return type() == Type::boolean; }
  bool is_integer() const { return type() == Type::integer; }
  bool is_number() const { return type() == Type::integer || type() == Type::real; }
  bool is_string() const { return type() == Type::string; }
  bool is_array() const { return type() == Type::array; }
  bool is_object() const { return type() == Type::object; }

  // Each throws std::runtime_error when the value is of another type, as in
  // `config.json: hidden_size must be an integer, found "768"`.
  bool as_bool() const;
  /// Only numbers written as integers: 2.0 is none, and -0 is a real number.
  std::int64_t as_int64() const;
  /// Any number.
  double as_double() const;
  const std::string& as_string() const;
  const Array& array() const;
  const Object& items() const;

  /// The member `key` of an object, or null. Linear in the number of members: iterate over items()
  /// of a large object.
  const Json* find(std::string_view key) const;
  /// The member `key` of an object; throws std::runtime_error naming it when it is absent.
  const Json& at(std::string_view key) const;

  /// Sets member `key` of an object: in place when it is there, else at the end. Linear in the
  /// number of members.
  Json& set(std::string key, Json value);
  /// Appends a member that the object is known not to have: what a large object is built with.
  void add(std::string key, Json value);
  /// Appends to an array.
  void push_back(Json value);

  /// The JSON text: on one line, or indented by `indent` spaces a level (arrays of scalars stay on
  /// one line). Integers are written as such, real numbers with the fewest digits that read back
  /// the same and always with a point or an exponent. Control characters are escaped, other UTF-8
  /// is kept. Throws std::invalid_argument for NaN, infinity and text that is not UTF-8.
  std::string dump(int indent = 0) const;

  /// What to throw about this value: `<where>: <path of keys> <fact>`; `fact` begins with "must",
  /// "is" and the like.
  std::runtime_error error(std::string_view fact) const;

  /// Equal values; an integer never equals a real number, and the order of members counts.
  bool operator==(const Json& other) const { return value_ == other.value_; }

 private:
  struct Origin;  // where a parsed document came from and the keys that lead to each value
  class Builder;

  static std::int64_t checked(std::uint64_t value);
  std::runtime_error wrong_type(std::string_view wanted) const;
  void write(std::string& out, int indent, int level) const;

  std::variant<std::nullptr_t, bool, std::int64_t, double, std::string, Array, Object> value_;
  std::shared_ptr<const Origin> origin_;  // null for a value that was not parsed
  std::uint32_t node_ = 0;                // this value's entry in origin_
};

}  // namespace holdfast
