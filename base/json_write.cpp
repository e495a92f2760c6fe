// Json's text.
#include <algorithm>
#include <charconv>
#include <cmath>
#include <stdexcept>

#include "base/json.h"
#include "base/utf8.h"

namespace holdfast {
namespace {

void write_string(std::string& out, std::string_view text) {
  if (utf8::first_invalid(text) != std::string_view::npos) {
    throw std::invalid_argument("[json] text is not UTF-8: " + utf8::printable(text.substr(0, 80)));
  }
  out += '"';
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t begin = at;
    const char32_t c = utf8::decode(text, at);
    const std::size_t letter = std::string_view("\"\\\b\f\n\r\t").find(static_cast<char>(c));
    if (c < 0x80 && letter != std::string_view::npos) {
      out += '\\';
      out += "\"\\bfnrt"[letter];
    } else if (c < 0x20 || (c >= 0x7F && c < 0xA0) || c == 0x2028 || c == 0x2029) {
      out += "\\u";
      for (int shift = 12; shift >= 0; shift -= 4) {
        out += "0123456789abcdef"[(c >> static_cast<unsigned>(shift)) & 0xFU];
      }
    } else {
      out.append(text.substr(begin, at - begin));
    }
  }
  out += '"';
}

void write_real(std::string& out, double value) {
  if (!std::isfinite(value)) {
    throw std::invalid_argument("[json] NaN and infinity cannot be written");
  }
  char buffer[32];
  const std::string_view text(buffer, std::to_chars(buffer, buffer + sizeof buffer, value).ptr);
  out += text;
  if (text.find_first_of(".e") == std::string_view::npos) {
    out += ".0";
  }
}

}  // namespace

std::string Json::dump(int indent) const {
  std::string out;
  write(out, indent, 0);
  return out;
}

void Json::write(std::string& out, int indent, int level) const {
  const auto break_line = [&](int depth) {
    if (indent > 0) {
      out += '\n';
      out.append(static_cast<std::size_t>(indent * depth), ' ');
    }
  };
  if (is_null()) {
    out += "null";
  } else if (const bool* boolean = std::get_if<bool>(&value_)) {
    out += *boolean ? "true" : "false";
  } else if (const auto* integer = std::get_if<std::int64_t>(&value_)) {
    out += std::to_string(*integer);
  } else if (const auto* real = std::get_if<double>(&value_)) {
    write_real(out, *real);
  } else if (const auto* text = std::get_if<std::string>(&value_)) {
    write_string(out, *text);
  } else if (const auto* array = std::get_if<Array>(&value_)) {
    const bool one_line = std::none_of(array->begin(), array->end(), [](const Json& value) {
      return value.is_array() || value.is_object();
    });
    out += '[';
    for (const Json& value : *array) {
      out += &value == array->data() ? "" : one_line && indent > 0 ? ", " : ",";
      if (!one_line) {
        break_line(level + 1);
      }
      value.write(out, indent, level + 1);
    }
    if (!one_line) {
      break_line(level);
    }
    out += ']';
  } else {
    const Object& members = std::get<Object>(value_);
    out += '{';
    for (const auto& member : members) {
      out += &member == members.data() ? "" : ",";
      break_line(level + 1);
      write_string(out, member.first);
      out += indent > 0 ? ": " : ":";
      member.second.write(out, indent, level + 1);
    }
    if (!members.empty()) {
      break_line(level);
    }
    out += '}';
  }
}

}  // namespace holdfast
