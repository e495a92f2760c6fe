#include "base/toml.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "base/utf8.h"

namespace holdfast {

Toml Toml::table(Table members) {
  Toml toml(false);
  toml.value_ = std::move(members);
  return toml;
}

Toml Toml::list(Array values) {
  Toml toml(false);
  toml.value_ = std::move(values);
  return toml;
}

std::string Toml::where() const {
  if (!file_) {
    return "";
  }
  if (position_.line == 0) {
    return *file_ + ": ";
  }
  return *file_ + ':' + std::to_string(position_.line) + ':' + std::to_string(position_.column) +
         ": ";
}

std::int64_t Toml::checked(std::uint64_t value) {
  if (!std::in_range<std::int64_t>(value)) {
    throw std::invalid_argument("[toml] " + std::to_string(value) + " is above 2^63 - 1");
  }
  return static_cast<std::int64_t>(value);
}

std::runtime_error Toml::error(std::string_view fact) const {
  std::string message = where();
  message += key_.empty() ? "this value" : utf8::printable(key_);
  return std::runtime_error(message.append(" ").append(fact));
}

std::runtime_error Toml::wrong_type(std::string_view wanted) const {
  std::string found;
  if (is_table()) {
    found = "a table";
  } else if (is_array()) {
    found = "an array";
  } else if (is_string() && as_string().size() > 60) {
    found = "a string of " + std::to_string(as_string().size()) + " bytes";
  } else {
    found = utf8::printable(dump());
  }
  return error("must be " + std::string(wanted) + ", found " + found);
}

bool Toml::as_bool() const {
  if (const bool* value = std::get_if<bool>(&value_)) {
    return *value;
  }
  throw wrong_type("true or false");
}

std::int64_t Toml::as_int64() const {
  if (const auto* value = std::get_if<std::int64_t>(&value_)) {
    return *value;
  }
  throw wrong_type("an integer");
}

double Toml::as_double() const {
  if (const auto* value = std::get_if<double>(&value_)) {
    return *value;
  }
  if (const auto* value = std::get_if<std::int64_t>(&value_)) {
    return static_cast<double>(*value);
  }
  throw wrong_type("a number");
}

const std::string& Toml::as_string() const {
  if (const auto* value = std::get_if<std::string>(&value_)) {
    return *value;
  }
  throw wrong_type("a string");
}

const Toml::Array& Toml::array() const {
  if (const auto* value = std::get_if<Array>(&value_)) {
    return *value;
  }
  throw wrong_type("an array");
}

const Toml::Table& Toml::items() const {
  if (const auto* value = std::get_if<Table>(&value_)) {
    return *value;
  }
  throw wrong_type("a table");
}

const Toml* Toml::find(std::string_view key) const {
  for (const auto& [name, value] : items()) {
    if (name == key) {
      return &value;
    }
  }
  return nullptr;
}

Toml* Toml::find(std::string_view key) { return const_cast<Toml*>(std::as_const(*this).find(key)); }

const Toml& Toml::at(std::string_view key) const {
  if (const Toml* value = find(key)) {
    return *value;
  }
  throw error("has no key \"" + utf8::printable(key) + "\"");
}

Toml& Toml::set(std::string key, Toml value) {
  value.key_ = key;
  if (Toml* present = find(key)) {
    *present = std::move(value);
    return *present;
  }
  return std::get<Table>(value_).emplace_back(std::move(key), std::move(value)).second;
}

void Toml::push_back(Toml value) { std::get<Array>(value_).push_back(std::move(value)); }

namespace {

void write_string(std::string& out, std::string_view text) {
  if (utf8::first_invalid(text) != std::string_view::npos) {
    throw std::invalid_argument("[toml] text is not UTF-8: " + utf8::printable(text.substr(0, 80)));
  }
  out += '"';
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t begin = at;
    const char32_t c = utf8::decode(text, at);
    const std::size_t letter = c < 0x80
                                   ? std::string_view("\"\\\b\f\n\r\t").find(static_cast<char>(c))
                                   : std::string_view::npos;
    if (letter != std::string_view::npos) {
      out += '\\';
      out += "\"\\bfnrt"[letter];
    } else if (c < 0x20 || (c >= 0x7F && c < 0xA0)) {
      out += "\\u00";
      out += "0123456789ABCDEF"[c >> 4U];
      out += "0123456789ABCDEF"[c & 0xFU];
    } else {
      out.append(text.substr(begin, at - begin));
    }
  }
  out += '"';
}

void write_key(std::string& out, std::string_view key) {
  const bool bare = !key.empty() && std::all_of(key.begin(), key.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-';
  });
  if (bare) {
    out += key;
  } else {
    write_string(out, key);
  }
}

void write_real(std::string& out, double value) {
  if (!std::isfinite(value)) {
    out += std::isnan(value) ? "nan" : value > 0 ? "inf" : "-inf";
    return;
  }
  char buffer[32];
  const std::string_view text(
      buffer,
      static_cast<std::size_t>(std::to_chars(buffer, buffer + sizeof buffer, value).ptr - buffer));
  out += text;
  if (text.find_first_of(".e") == std::string_view::npos) {
    out += ".0";
  }
}

// A value on one line, tables inline.
void write_value(std::string& out, const Toml& value) {
  switch (value.type()) {
    case Toml::Type::boolean:
      out += value.as_bool() ? "true" : "false";
      return;
    case Toml::Type::integer:
      out += std::to_string(value.as_int64());
      return;
    case Toml::Type::real:
      write_real(out, value.as_double());
      return;
    case Toml::Type::string:
      write_string(out, value.as_string());
      return;
    case Toml::Type::array:
      out += '[';
      for (const Toml& element : value.array()) {
        out += &element == value.array().data() ? "" : ", ";
        write_value(out, element);
      }
      out += ']';
      return;
    case Toml::Type::table:
      out += '{';
      for (const auto& member : value.items()) {
        out += &member == value.items().data() ? "" : ", ";
        write_key(out, member.first);
        out += " = ";
        write_value(out, member.second);
      }
      out += '}';
      return;
  }
}

bool is_array_of_tables(const Toml& value) {
  return value.is_array() && !value.array().empty() &&
         std::all_of(value.array().begin(), value.array().end(),
                     [](const Toml& element) { return element.is_table(); });
}

// `path`: the dotted name of `table`, empty for the root.
void write_table(std::string& out, const Toml& table, const std::string& path) {
  for (const auto& [key, value] : table.items()) {
    if (!value.is_table() && !is_array_of_tables(value)) {
      write_key(out, key);
      out += " = ";
      write_value(out, value);
      out += '\n';
    }
  }
  for (const auto& [key, value] : table.items()) {
    std::string name = path.empty() ? "" : path + '.';
    write_key(name, key);
    const std::string gap = out.empty() ? "" : "\n";
    if (value.is_table()) {
      out += gap + '[' + name + "]\n";
      write_table(out, value, name);
    } else if (is_array_of_tables(value)) {
      for (const Toml& element : value.array()) {
        out += (out.empty() ? "[[" : "\n[[") + name + "]]\n";
        write_table(out, element, name);
      }
    }
  }
}

}  // namespace

std::string Toml::dump() const {
  std::string out;
  if (is_table()) {
    write_table(out, *this, "");
  } else {
    write_value(out, *this);
  }
  return out;
}

}  // namespace holdfast
