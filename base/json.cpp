#include "base/json.h"

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>

#include "base/sort_key.h"
#include "base/utf8.h"

namespace holdfast {

// A value's path is found by walking from its node to the root; keys live in one string, so a value
// costs no allocation.
struct Json::Origin {
  struct Node {
    std::uint32_t parent;
    std::uint32_t key_begin;  // in `keys`; for a member of an array: its index
    std::uint32_t key_size;   // or kIndex
  };
  static constexpr std::uint32_t kIndex = std::numeric_limits<std::uint32_t>::max();
  std::string where;
  std::vector<Node> nodes;
  std::string keys;

  std::string path(std::uint32_t node) const;
};

namespace {

std::runtime_error error_at(std::string_view where, std::string_view fact) {
  std::string message(where);
  if (!message.empty()) {
    message += ": ";
  }
  return std::runtime_error(message.append(fact));
}

// "line 3, column 5: ", or "column 5: " in a text of one line, whose own line `where` may name.
std::string place_in(std::string_view text, std::size_t at) {
  const std::string_view before = text.substr(0, at);
  const auto line = 1 + std::count(before.begin(), before.end(), '\n');
  const std::size_t line_begin = before.rfind('\n') + 1;  // npos + 1 = 0
  const bool one_line = text.find('\n') == std::string_view::npos;
  return (one_line ? "" : "line " + std::to_string(line) + ", ") + "column " +
         std::to_string(before.size() - line_begin + 1) + ": ";
}

bool is_plain_key(std::string_view key) {
  return !key.empty() && std::all_of(key.begin(), key.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-';
  });
}

}  // namespace

std::string Json::Origin::path(std::uint32_t node) const {
  std::vector<std::uint32_t> chain;
  for (; node != 0; node = nodes[node].parent) {
    chain.push_back(node);
  }
  std::string out;
  for (auto at = chain.rbegin(); at != chain.rend(); ++at) {
    const Node& step = nodes[*at];
    if (step.key_size == kIndex) {
      out += '[' + std::to_string(step.key_begin) + ']';
      continue;
    }
    const std::string_view key = std::string_view(keys).substr(step.key_begin, step.key_size);
    out += out.empty() ? "" : ".";
    if (is_plain_key(key)) {
      out += key;
    } else {
      out += Json(key).dump();
    }
  }
  return utf8::printable(out);
}

// Receives nlohmann's events and builds the tree; every container that is still open is on the
// stack.
class Json::Builder {
 public:
  Builder(std::string_view text, std::string_view where, int max_depth)
      : text_(text),
        max_depth_(static_cast<std::size_t>(max_depth)),
        origin_(std::make_shared<Origin>()) {
    origin_->where = where;
  }

  Json take() { return std::move(root_); }

  bool null() { return add(Json()); }
  bool boolean(bool value) { return add(Json(value)); }
  // nlohmann calls this for numbers with a minus sign: -0 must not become the integer 0.
  bool number_integer(std::int64_t value) { return add(value == 0 ? Json(-0.0) : Json(value)); }
  bool number_unsigned(std::uint64_t value) {
    if (!std::in_range<std::int64_t>(value)) {
      throw too_large(std::to_string(value));
    }
    return add(Json(value));
  }
  bool number_float(double value, const std::string& written) {
    if (written.find_first_of(".eE") == std::string::npos) {
      throw too_large(written);
    }
    return add(Json(value));
  }
  bool string(std::string& value) { return add(Json(std::move(value))); }
  bool binary(std::vector<std::uint8_t>&) { return false; }
  bool start_object(std::size_t) { return open(Json::object()); }
  bool start_array(std::size_t) { return open(Json::list()); }
  bool key(std::string& name) {
    key_ = std::move(name);
    return true;
  }
  bool end_object() {
    refuse_duplicates(std::get<Object>(open_.back().value_));
    return close();
  }
  bool end_array() { return close(); }

  bool parse_error(std::size_t position, const std::string&,
                   const nlohmann::detail::exception& exception) {
    // "[json.exception.parse_error.101] parse error at line 1, column 2: syntax error while ..."
    std::string_view message = exception.what();
    message.remove_prefix(std::min(message.size(), message.find("] ") + 2));
    if (const std::size_t colon = message.find(": ");
        message.starts_with("parse error") && colon < message.size()) {
      message.remove_prefix(colon + 2);
    }
    const std::size_t at = position == 0 ? 0 : std::min(position - 1, text_.size());
    throw error_at(origin_->where, place_in(text_, at) + utf8::printable(message));
  }

 private:
  Json place(Json value) {
    Origin& origin = *origin_;
    if (origin.nodes.size() >= Origin::kIndex ||
        origin.keys.size() + key_.size() >= Origin::kIndex) {
      throw error_at(origin.where, "has too many values");
    }
    Origin::Node node{0, 0, 0};
    if (!open_.empty()) {
      node.parent = open_.back().node_;
      if (const auto* array = std::get_if<Array>(&open_.back().value_)) {
        node.key_begin = static_cast<std::uint32_t>(array->size());
        node.key_size = Origin::kIndex;
      } else {
        node.key_begin = static_cast<std::uint32_t>(origin.keys.size());
        node.key_size = static_cast<std::uint32_t>(key_.size());
        origin.keys += key_;
      }
    }
    value.node_ = static_cast<std::uint32_t>(origin.nodes.size());
    value.origin_ = origin_;
    origin.nodes.push_back(node);
    return value;
  }

  bool open(Json container) {
    if (open_.size() >= max_depth_) {
      throw error_at(origin_->where,
                     "is nested more than " + std::to_string(max_depth_) + " levels deep");
    }
    open_.push_back(place(std::move(container)));
    keys_.push_back(std::move(key_));
    return true;
  }

  bool add(Json value) {
    attach(place(std::move(value)));
    return true;
  }

  void attach(Json value) {
    if (open_.empty()) {
      root_ = std::move(value);
    } else if (auto* array = std::get_if<Array>(&open_.back().value_)) {
      array->push_back(std::move(value));
    } else {
      std::get<Object>(open_.back().value_).emplace_back(std::move(key_), std::move(value));
    }
  }

  bool close() {
    Json done = std::move(open_.back());
    open_.pop_back();
    key_ = std::move(keys_.back());
    keys_.pop_back();
    attach(std::move(done));
    return true;
  }

  void refuse_duplicates(const Object& members) const {
    std::vector<SortKey> names;
    names.reserve(members.size());
    for (const auto& member : members) {
      names.emplace_back(member.first);
    }
    std::sort(names.begin(), names.end());
    const auto twice = std::adjacent_find(names.begin(), names.end());
    if (twice != names.end()) {
      throw open_.back().error("has the key " + utf8::printable(Json(twice->text()).dump()) +
                               " twice");
    }
  }

  std::runtime_error too_large(const std::string& written) const {
    return error_at(origin_->where,
                    "the integer " + written.substr(0, 40) + " does not fit in 64 bits");
  }

  std::string_view text_;
  std::size_t max_depth_;
  std::shared_ptr<Origin> origin_;
  Json root_;
  std::vector<Json> open_;
  std::vector<std::string> keys_;  // the name under which each open container will be attached
  std::string key_;
};

Json Json::parse(std::string_view text, std::string_view where, int max_depth) {
  if (text.starts_with("\xEF\xBB\xBF")) {
    throw error_at(where, "begins with a byte order mark, which JSON does not allow");
  }
  if (const std::size_t nul = text.find('\0'); nul != std::string_view::npos) {
    throw error_at(where, place_in(text, nul) + "NUL byte");
  }
  Builder builder(text, where, max_depth);
  nlohmann::json::sax_parse(text.begin(), text.end(), &builder);
  return builder.take();
}

Json Json::object(Object members) {
  Json json;
  json.value_ = std::move(members);
  return json;
}

Json Json::list(Array values) {
  Json json;
  json.value_ = std::move(values);
  return json;
}

std::int64_t Json::checked(std::uint64_t value) {
  if (!std::in_range<std::int64_t>(value)) {
    throw std::invalid_argument("[json] " + std::to_string(value) + " is above 2^63 - 1");
  }
  return static_cast<std::int64_t>(value);
}

std::runtime_error Json::error(std::string_view fact) const {
  std::string path = origin_ ? origin_->path(node_) : "";
  if (!path.empty()) {
    path += ' ';
  }
  return error_at(origin_ ? origin_->where : "", path.append(fact));
}

std::runtime_error Json::wrong_type(std::string_view wanted) const {
  std::string found;
  if (is_object()) {
    found = "an object";
  } else if (is_array()) {
    found = "an array";
  } else if (const auto* text = std::get_if<std::string>(&value_);
             text != nullptr && text->size() > 60) {
    found = "a string of " + std::to_string(text->size()) + " bytes";
  } else {
    found = utf8::printable(dump());
  }
  return error("must be " + std::string(wanted) + ", found " + found);
}

bool Json::as_bool() const {
  if (const bool* value = std::get_if<bool>(&value_)) {
    return *value;
  }
  throw wrong_type("true or false");
}

std::int64_t Json::as_int64() const {
  if (const auto* value = std::get_if<std::int64_t>(&value_)) {
    return *value;
  }
  throw wrong_type("an integer");
}

double Json::as_double() const {
  if (const auto* value = std::get_if<double>(&value_)) {
    return *value;
  }
  if (const auto* value = std::get_if<std::int64_t>(&value_)) {
    return static_cast<double>(*value);
  }
  throw wrong_type("a number");
}

const std::string& Json::as_string() const {
  if (const auto* value = std::get_if<std::string>(&value_)) {
    return *value;
  }
  throw wrong_type("a string");
}

const Json::Array& Json::array() const {
  if (const auto* value = std::get_if<Array>(&value_)) {
    return *value;
  }
  throw wrong_type("an array");
}

const Json::Object& Json::items() const {
  if (const auto* value = std::get_if<Object>(&value_)) {
    return *value;
  }
  throw wrong_type("an object");
}

const Json* Json::find(std::string_view key) const {
  for (const auto& [name, value] : items()) {
    if (name == key) {
      return &value;
    }
  }
  return nullptr;
}

const Json& Json::at(std::string_view key) const {
  if (const Json* value = find(key)) {
    return *value;
  }
  throw error("has no key \"" + utf8::printable(key) + "\"");
}

Json& Json::set(std::string key, Json value) {
  for (auto& member : std::get<Object>(value_)) {
    if (member.first == key) {
      member.second = std::move(value);
      return *this;
    }
  }
  add(std::move(key), std::move(value));
  return *this;
}

void Json::add(std::string key, Json value) {
  std::get<Object>(value_).emplace_back(std::move(key), std::move(value));
}

void Json::push_back(Json value) { std::get<Array>(value_).push_back(std::move(value)); }

}  // namespace holdfast
