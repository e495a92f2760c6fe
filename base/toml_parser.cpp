#include "base/toml.h"
#include "base/toml_scanner.h"
#include "base/utf8.h"

namespace holdfast {
namespace {

constexpr std::size_t kMaxDepth = 64;
constexpr std::size_t kMaxKeys = 4096;  // a table's members are searched one by one

}  // namespace

class TomlParser {
 public:
  TomlParser(std::string_view text, std::string_view file)
      : file_(std::make_shared<const std::string>(file)), scanner_(text, *file_) {
    if (const std::size_t bad = text.find('\0'); bad != std::string_view::npos) {
      scanner_.skip(bad);
      throw scanner_.error("NUL byte (is this a text file?)");
    }
    if (const std::size_t bad = utf8::first_invalid(text); bad != std::string_view::npos) {
      scanner_.skip(bad);
      throw scanner_.error("not UTF-8");
    }
  }

  Toml document();
  Toml lone_value();
  std::vector<std::string> lone_key();

 private:
  struct Part {
    std::string name;
    Toml::Position position;
  };
  using Key = std::vector<Part>;

  Part key_part();
  Key key();
  void header(Toml& root);
  void pair(Toml& table, bool inside_inline, std::size_t depth);
  Toml value(std::size_t depth);
  Toml array(std::size_t depth);
  Toml inline_table(std::size_t depth);

  Toml& step_into(Toml& table, const Part& part);
  Toml& add(Toml& table, const Part& part, Toml member, Toml::Made made);
  std::runtime_error error(Toml::Position position, const std::string& what) const;
  std::runtime_error duplicate(const Part& part, const Toml& first) const;

  std::shared_ptr<const std::string> file_;
  TomlScanner scanner_;
};

std::runtime_error TomlParser::error(Toml::Position position, const std::string& what) const {
  return std::runtime_error(*file_ + ':' + std::to_string(position.line) + ':' +
                            std::to_string(position.column) + ": " + what);
}

std::runtime_error TomlParser::duplicate(const Part& part, const Toml& first) const {
  return error(part.position, utf8::printable(part.name) + " is already defined, on line " +
                                  std::to_string(first.position().line));
}

Toml& TomlParser::add(Toml& table, const Part& part, Toml member, Toml::Made made) {
  if (table.items().size() >= kMaxKeys) {
    throw error(part.position, "more than " + std::to_string(kMaxKeys) + " keys in one table");
  }
  Toml& added = table.set(part.name, std::move(member));
  added.file_ = file_;
  added.position_ = part.position;
  added.made_ = made;
  return added;
}

TomlParser::Part TomlParser::key_part() {
  scanner_.skip_space();
  const Toml::Position position = scanner_.position();
  const bool quoted = scanner_.peek() == '"' || scanner_.peek() == '\'';
  return {quoted ? scanner_.string(true) : scanner_.bare_key(), position};
}

TomlParser::Key TomlParser::key() {
  Key parts;
  do {
    parts.push_back(key_part());
    if (parts.size() > kMaxDepth) {
      throw scanner_.error("the key has more than " + std::to_string(kMaxDepth) + " parts");
    }
    scanner_.skip_space();
  } while (scanner_.skip_if('.'));
  return parts;
}

// The table that a header's prefix names: made when absent, the last element of an array of tables,
// never a closed one.
Toml& TomlParser::step_into(Toml& table, const Part& part) {
  Toml* member = table.find(part.name);
  if (member == nullptr) {
    return add(table, part, Toml::table(), Toml::Made::prefix_of_header);
  }
  if (member->made_ == Toml::Made::array_of_tables) {
    return std::get<Toml::Array>(member->value_).back();
  }
  if (!member->is_table() || member->made_ == Toml::Made::value) {
    throw duplicate(part, *member);
  }
  return *member;
}

// [a.b.c] or [[a.b.c]] and the lines that belong to it.
void TomlParser::header(Toml& root) {
  scanner_.skip(1);
  const bool is_array = scanner_.skip_if('[');
  const Key parts = key();
  if (!scanner_.skip_if(']') || (is_array && !scanner_.skip_if(']'))) {
    throw scanner_.error(is_array ? "expected ]]" : "expected ]");
  }
  scanner_.end_line();
  Toml* table = &root;
  for (std::size_t i = 0; i + 1 < parts.size(); ++i) {
    table = &step_into(*table, parts[i]);
  }
  const Part& last = parts.back();
  Toml* member = table->find(last.name);
  if (is_array) {
    if (member == nullptr) {
      member = &add(*table, last, Toml::list(), Toml::Made::array_of_tables);
    } else if (member->made_ != Toml::Made::array_of_tables) {
      throw duplicate(last, *member);
    }
    Toml element = Toml::table();
    element.key_ = last.name;
    element.file_ = file_;
    element.position_ = last.position;
    element.made_ = Toml::Made::header;
    member->push_back(std::move(element));
    table = &std::get<Toml::Array>(member->value_).back();
  } else if (member == nullptr) {
    table = &add(*table, last, Toml::table(), Toml::Made::header);
  } else if (member->is_table() && member->made_ == Toml::Made::prefix_of_header) {
    member->made_ = Toml::Made::header;
    member->position_ = last.position;
    table = member;
  } else {
    throw duplicate(last, *member);
  }
  for (scanner_.skip_blank(); !scanner_.at_end() && scanner_.peek() != '['; scanner_.skip_blank()) {
    pair(*table, false, parts.size());
  }
}

// key = value, of a document or of an inline table.
void TomlParser::pair(Toml& table, bool inside_inline, std::size_t depth) {
  const Key parts = key();
  if (!scanner_.skip_if('=')) {
    throw scanner_.error("expected = after the key");
  }
  scanner_.skip_space();
  Toml* target = &table;
  for (std::size_t i = 0; i + 1 < parts.size(); ++i) {
    Toml* member = target->find(parts[i].name);
    if (member == nullptr) {
      member = &add(*target, parts[i], Toml::table(), Toml::Made::dotted_key);
    } else if (!member->is_table() || member->made_ != Toml::Made::dotted_key) {
      throw duplicate(parts[i], *member);
    }
    target = member;
  }
  if (const Toml* member = target->find(parts.back().name)) {
    throw duplicate(parts.back(), *member);
  }
  add(*target, parts.back(), value(depth + parts.size()), Toml::Made::value);
  if (!inside_inline) {
    scanner_.end_line();
  }
}

Toml TomlParser::value(std::size_t depth) {
  if (depth > kMaxDepth) {
    throw scanner_.error("nested more than " + std::to_string(kMaxDepth) + " levels deep");
  }
  const Toml::Position position = scanner_.position();
  const char first = scanner_.peek();
  Toml result = first == '"' || first == '\'' ? Toml(scanner_.string(false))
                : first == '['                ? array(depth)
                : first == '{'                ? inline_table(depth)
                                              : scanner_.word();
  result.file_ = file_;
  result.position_ = position;
  return result;
}

Toml TomlParser::array(std::size_t depth) {
  scanner_.skip(1);
  Toml result = Toml::list();
  for (scanner_.skip_blank(); !scanner_.skip_if(']'); scanner_.skip_blank()) {
    result.push_back(value(depth + 1));
    scanner_.skip_blank();
    if (!scanner_.skip_if(',') && scanner_.peek() != ']') {
      throw scanner_.error("expected , or ] in the array");
    }
  }
  return result;
}

// TOML 1.0: on one line, no comma after the last member.
Toml TomlParser::inline_table(std::size_t depth) {
  scanner_.skip(1);
  Toml result = Toml::table();
  scanner_.skip_space();
  if (scanner_.skip_if('}')) {
    return result;
  }
  do {
    pair(result, true, depth);
    scanner_.skip_space();
  } while (scanner_.skip_if(','));
  if (!scanner_.skip_if('}')) {
    throw scanner_.error("expected , or } in the inline table");
  }
  return result;
}

Toml TomlParser::document() {
  if (scanner_.starts_with("\xEF\xBB\xBF")) {
    scanner_.skip(3);
  }
  Toml root = Toml::table();
  root.file_ = file_;
  root.position_ = {1, 1};
  for (scanner_.skip_blank(); !scanner_.at_end(); scanner_.skip_blank()) {
    if (scanner_.peek() == '[') {
      header(root);
    } else {
      pair(root, false, 0);
    }
  }
  return root;
}

Toml TomlParser::lone_value() {
  scanner_.skip_space();
  Toml result = value(0);
  scanner_.end_line();
  if (!scanner_.at_end()) {
    throw scanner_.error("expected one value");
  }
  return result;
}

std::vector<std::string> TomlParser::lone_key() {
  std::vector<std::string> names;
  for (Part& part : key()) {
    names.push_back(std::move(part.name));
  }
  if (!scanner_.at_end()) {
    throw scanner_.error("expected a key such as ewc.lambda");
  }
  return names;
}

Toml Toml::parse(std::string_view text, std::string_view file) {
  return TomlParser(text, file).document();
}

Toml Toml::parse_value(std::string_view text, std::string_view where) {
  Toml value = TomlParser(text, where).lone_value();
  value.position_ = {0, 0};
  return value;
}

std::vector<std::string> Toml::parse_key(std::string_view text, std::string_view where) {
  return TomlParser(text, where).lone_key();
}

}  // namespace holdfast
