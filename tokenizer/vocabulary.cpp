#include "tokenizer/vocabulary.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <stdexcept>
#include <unordered_map>
#include <utility>

#include "base/file.h"
#include "base/json.h"
#include "base/utf8.h"
#include "tokenizer/unicode.h"

namespace holdfast {
namespace {

constexpr std::int64_t kMaxFileBytes = std::int64_t{256} << 20;
constexpr std::size_t kMaxTokenBytes = 4096;

std::string_view trim_end(std::string_view line) {
  std::size_t end = line.size();
  while (end > 0) {
    std::size_t begin = end - 1;
    while (begin > 0 && (static_cast<unsigned char>(line[begin]) & 0xC0U) == 0x80) {
      --begin;
    }
    std::size_t at = begin;
    if (!unicode::is_space(utf8::decode(line, at))) {
      break;
    }
    end = begin;
  }
  return line.substr(0, end);
}

std::string line_name(std::string_view where, std::size_t index) {
  return fmt::format("{}:{}", where, index + 1);
}

void check_encoding(std::string_view text, std::string_view where) {
  if (text.starts_with("\xFF\xFE") || text.starts_with("\xFE\xFF")) {
    throw std::runtime_error(fmt::format("{}: is UTF-16; convert it to UTF-8", where));
  }
  const std::size_t bad = utf8::first_invalid(text);
  if (bad != std::string_view::npos) {
    const auto line =
        std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(bad), '\n');
    throw std::runtime_error(fmt::format("{} is not valid UTF-8 at byte {}",
                                         line_name(where, static_cast<std::size_t>(line)), bad));
  }
}

std::string_view checked_token(std::string_view line, std::string_view where, std::size_t index) {
  const std::string_view token = trim_end(line);
  if (token.size() > kMaxTokenBytes) {
    throw std::runtime_error(fmt::format("{} is a token of {} bytes; at most {} are allowed",
                                         line_name(where, index), token.size(), kMaxTokenBytes));
  }
  if (token.find('\r') != std::string_view::npos) {
    throw std::runtime_error(fmt::format(
        "{} has a carriage return inside; lines must end in LF or CRLF", line_name(where, index)));
  }
  if (token.find('\t') != std::string_view::npos) {
    throw std::runtime_error(
        fmt::format("{} has a tab inside; a vocab.txt has one token a line and no ids",
                    line_name(where, index)));
  }
  return token;
}

void tell_duplicates(const std::vector<std::string>& tokens, std::string_view where,
                     std::vector<std::string>& notices) {
  std::unordered_map<std::string_view, std::size_t> lines;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    const auto [entry, is_new] = lines.try_emplace(tokens[i], i);
    if (tokens[i].empty() && is_new) {
      notices.push_back(
          fmt::format("{} is empty: an empty token, which no text yields", line_name(where, i)));
    } else if (!is_new) {
      notices.push_back(fmt::format("{} repeats \"{}\" of line {}; the last one counts",
                                    line_name(where, i), utf8::printable(tokens[i]),
                                    entry->second + 1));
      entry->second = i;
    }
  }
}

// Looks for the special tokens and sees to it that each is an added token.
void complete(Vocabulary& vocabulary, std::string_view where) {
  const SpecialTokens& special = vocabulary.special;
  const std::array<const std::string*, 5> wanted = {&special.pad, &special.unk, &special.cls,
                                                    &special.sep, &special.mask};
  for (const std::string* token : wanted) {
    const auto listed = std::find_if(vocabulary.added.begin(), vocabulary.added.end(),
                                     [&](const AddedToken& t) { return t.content == *token; });
    if (listed != vocabulary.added.end()) {
      continue;
    }
    const auto found = std::find(vocabulary.tokens.rbegin(), vocabulary.tokens.rend(), *token);
    if (found != vocabulary.tokens.rend()) {
      const auto id = vocabulary.tokens.rend() - found - 1;
      vocabulary.added.push_back({static_cast<std::int32_t>(id), *token});
    } else if (token != &special.mask) {
      throw std::runtime_error(
          fmt::format("{}: lacks the token {}, which BERT needs; is it another model's vocabulary?",
                      where, utf8::printable(*token)));
    }
  }
  std::sort(vocabulary.added.begin(), vocabulary.added.end(),
            [](const AddedToken& a, const AddedToken& b) { return a.id < b.id; });
}

Vocabulary plain_vocabulary(std::vector<std::string> tokens, const TokenizerOptions& options) {
  Vocabulary vocabulary;
  vocabulary.is_outside.resize(tokens.size());
  vocabulary.tokens = std::move(tokens);
  vocabulary.options = options;
  return vocabulary;
}

// A member that is there and not null.
const Json* given(const Json& config, std::string_view key) {
  const Json* value = config.find(key);
  return value != nullptr && !value->is_null() ? value : nullptr;
}

template <class Value>
void override_with(Value value, Value& target, std::string_view key, bool from_json,
                   std::string_view where, std::vector<std::string>& notices) {
  if (value == target) {
    return;
  }
  if (from_json) {
    notices.push_back(
        fmt::format("{}: {} differs from tokenizer.json; it wins, as in transformers", where, key));
  }
  target = std::move(value);
}

// What tokenizer_config.json says goes before what tokenizer.json says: transformers 4 and 5 do so.
void apply_config(const Json& config, bool from_json, std::string_view where,
                  Vocabulary& vocabulary, std::vector<std::string>& notices) {
  const auto flag = [&](std::string_view key, bool& target) {
    if (const Json* value = given(config, key)) {
      override_with(value->as_bool(), target, key, from_json, where, notices);
    }
  };
  const auto token = [&](std::string_view key, std::string& target) {
    if (const Json* value = given(config, key)) {
      const Json& content = value->is_object() ? value->at("content") : *value;
      override_with(content.as_string(), target, key, from_json, where, notices);
    }
  };
  TokenizerOptions& options = vocabulary.options;
  flag("do_lower_case", options.lowercase);
  flag("tokenize_chinese_chars", options.chinese_chars);
  if (given(config, "strip_accents") != nullptr) {
    bool strip = options.strip_accents.value_or(options.lowercase);
    flag("strip_accents", strip);
    options.strip_accents = strip;
  } else if (config.find("strip_accents") != nullptr) {
    options.strip_accents.reset();
  }
  token("pad_token", vocabulary.special.pad);
  token("unk_token", vocabulary.special.unk);
  token("cls_token", vocabulary.special.cls);
  token("sep_token", vocabulary.special.sep);
  token("mask_token", vocabulary.special.mask);
}

// What other readers of the same files see differently, or would make of files that are not read.
void tell_differences(const std::filesystem::path& dir, bool from_json, const Json& config,
                      const TokenizerOptions& options, std::vector<std::string>& notices) {
  if (from_json && !options.lowercase && given(config, "do_lower_case") == nullptr) {
    notices.push_back(
        fmt::format("{}: keeps upper case, as tokenizer.json says; transformers lowers it, as "
                    "tokenizer_config.json has no "
                    "do_lower_case",
                    dir.string()));
  }
  if (!from_json && std::filesystem::exists(dir / "added_tokens.json")) {
    notices.push_back(fmt::format(
        "{}: added_tokens.json is ignored; save the tokenizer as tokenizer.json to keep its tokens",
        dir.string()));
  }
}

// Empty for a token that would not be read back: see Tokenizer::save.
std::string vocab_txt(const Vocabulary& vocabulary) {
  std::string out;
  for (const std::string& token : vocabulary.tokens) {
    if (token.find_first_of("\n\r\t") == std::string::npos && trim_end(token) == token) {
      out += token;
    }
    out += '\n';
  }
  return out;
}

std::string tokenizer_config_json(const Vocabulary& vocabulary, std::int64_t max_length) {
  const TokenizerOptions& options = vocabulary.options;
  const SpecialTokens& special = vocabulary.special;
  Json config = Json::object();
  config.add("tokenizer_class", "BertTokenizer");
  config.add("do_lower_case", options.lowercase);
  config.add("strip_accents", options.strip_accents ? Json(*options.strip_accents) : Json());
  config.add("tokenize_chinese_chars", options.chinese_chars);
  config.add("model_max_length", max_length);
  config.add("padding_side", "right");
  config.add("truncation_side", "right");
  config.add("pad_token", special.pad);
  config.add("unk_token", special.unk);
  config.add("cls_token", special.cls);
  config.add("sep_token", special.sep);
  config.add("mask_token", special.mask);
  return config.dump(2) + "\n";
}

}  // namespace

std::vector<std::string> parse_vocab_txt(std::string_view text, std::string_view where,
                                         std::vector<std::string>& notices) {
  check_encoding(text, where);
  if (text.starts_with("\xEF\xBB\xBF")) {
    notices.push_back(fmt::format("{}: begins with a byte order mark, which is dropped", where));
    text.remove_prefix(3);
  }
  std::vector<std::string> tokens;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    tokens.emplace_back(checked_token(text.substr(at, end - at), where, tokens.size()));
    at = end + 1;
  }
  const std::size_t lines = tokens.size();
  while (!tokens.empty() && tokens.back().empty()) {
    tokens.pop_back();
  }
  if (tokens.empty()) {
    throw std::runtime_error(fmt::format("{}: has no tokens", where));
  }
  if (tokens.size() < lines) {
    notices.push_back(
        fmt::format("{}: the {} empty lines at the end are dropped", where, lines - tokens.size()));
  }
  tell_duplicates(tokens, where, notices);
  return tokens;
}

Vocabulary make_vocabulary(std::vector<std::string> tokens, const TokenizerOptions& options,
                           std::string_view where) {
  Vocabulary vocabulary = plain_vocabulary(std::move(tokens), options);
  complete(vocabulary, where);
  return vocabulary;
}

Vocabulary load_vocabulary(const std::filesystem::path& dir, std::vector<std::string>& notices) {
  const std::filesystem::path json = dir / "tokenizer.json";
  const std::filesystem::path txt = dir / "vocab.txt";
  const std::filesystem::path config_path = dir / "tokenizer_config.json";
  const bool from_json = std::filesystem::exists(json);
  if (!from_json && !std::filesystem::exists(txt)) {
    throw std::runtime_error(
        fmt::format("{}: has neither tokenizer.json nor vocab.txt", dir.string()));
  }
  const std::filesystem::path& path = from_json ? json : txt;
  const std::string text = read_file(path, kMaxFileBytes);
  Vocabulary vocabulary = from_json
                              ? parse_tokenizer_json(text, path.string(), notices)
                              : plain_vocabulary(parse_vocab_txt(text, path.string(), notices), {});
  const Json config = std::filesystem::exists(config_path)
                          ? Json::parse(read_file(config_path, kMaxFileBytes), config_path.string())
                          : Json::object();
  apply_config(config, from_json, config_path.string(), vocabulary, notices);
  tell_differences(dir, from_json, config, vocabulary.options, notices);
  complete(vocabulary, path.string());
  const bool has_mask = std::any_of(
      vocabulary.added.begin(), vocabulary.added.end(),
      [&](const AddedToken& token) { return token.content == vocabulary.special.mask; });
  if (!has_mask) {
    notices.push_back(fmt::format("{}: lacks {}, which only pretraining needs", path.string(),
                                  utf8::printable(vocabulary.special.mask)));
  }
  return vocabulary;
}

void save_vocabulary(const Vocabulary& vocabulary, const std::filesystem::path& dir,
                     std::int64_t max_length) {
  write_file(dir / "vocab.txt", vocab_txt(vocabulary));
  write_file(dir / "tokenizer.json", tokenizer_json(vocabulary));
  write_file(dir / "tokenizer_config.json", tokenizer_config_json(vocabulary, max_length));
}

}  // namespace holdfast
