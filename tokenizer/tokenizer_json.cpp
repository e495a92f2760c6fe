// tokenizer.json, the one file that transformers 5 saves a tokenizer in: reading, as strictly as
// BERT allows, and writing.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <initializer_list>
#include <limits>
#include <stdexcept>
#include <string>
#include <unordered_map>
#include <utility>

#include "base/json.h"
#include "tokenizer/vocabulary.h"
#include "tokenizer/wordpiece.h"

namespace holdfast {
namespace {

void check_keys(const Json& object, std::initializer_list<std::string_view> known) {
  for (const auto& [key, value] : object.items()) {
    if (std::find(known.begin(), known.end(), key) == known.end()) {
      throw value.error("is not known; only BERT's tokenizer can be read");
    }
  }
}

// The object `key` of `parent`, which must be of this type.
const Json& typed(const Json& parent, std::string_view key, std::string_view type) {
  const Json& object = parent.at(key);
  if (object.is_null()) {
    throw object.error(fmt::format("must be {}; only BERT's tokenizer can be read", type));
  }
  const Json& found = object.at("type");
  if (found.as_string() != type) {
    throw found.error(fmt::format("must be \"{}\", found \"{}\"; only BERT's tokenizer can be read",
                                  type, found.as_string()));
  }
  return object;
}

bool bool_or(const Json& object, std::string_view key, bool absent) {
  const Json* value = object.find(key);
  return value != nullptr ? value->as_bool() : absent;
}

void read_normalizer(const Json& root, TokenizerOptions& options) {
  const Json& normalizer = typed(root, "normalizer", "BertNormalizer");
  check_keys(normalizer,
             {"type", "clean_text", "handle_chinese_chars", "strip_accents", "lowercase"});
  options.clean_text = normalizer.at("clean_text").as_bool();
  options.chinese_chars = normalizer.at("handle_chinese_chars").as_bool();
  options.lowercase = normalizer.at("lowercase").as_bool();
  const Json* strip = normalizer.find("strip_accents");
  if (strip != nullptr && !strip->is_null()) {
    options.strip_accents = strip->as_bool();
  }
}

std::int32_t read_id(const Json& value, std::int64_t limit) {
  const std::int64_t id = value.as_int64();
  if (id < 0 || id >= limit) {
    throw value.error(fmt::format("must be an id from 0 to {}, found {}", limit - 1, id));
  }
  return static_cast<std::int32_t>(id);
}

// Grows the tables to hold `id`; what lies between is a gap.
void put_token(Vocabulary& vocabulary, std::int32_t id, const std::string& token, bool outside) {
  const auto index = static_cast<std::size_t>(id);
  if (index >= vocabulary.tokens.size()) {
    vocabulary.tokens.resize(index + 1);
    vocabulary.is_outside.resize(index + 1, true);
  }
  vocabulary.tokens[index] = token;
  vocabulary.is_outside[index] = outside;
}

void read_model(const Json& root, Vocabulary& vocabulary) {
  const Json& model = root.at("model");
  check_keys(model, {"type", "unk_token", "continuing_subword_prefix", "max_input_chars_per_word",
                     "vocab"});
  if (model.find("type") != nullptr) {
    typed(root, "model", "WordPiece");
  }
  vocabulary.special.unk = model.at("unk_token").as_string();
  const Json& prefix = model.at("continuing_subword_prefix");
  if (prefix.as_string() != WordPiece::kPrefix) {
    throw prefix.error(fmt::format("must be \"##\", found \"{}\"", prefix.as_string()));
  }
  const Json& max_chars = model.at("max_input_chars_per_word");
  if (max_chars.as_int64() < 1 || max_chars.as_int64() > std::numeric_limits<int>::max()) {
    throw max_chars.error(fmt::format("must be a positive int, found {}", max_chars.as_int64()));
  }
  vocabulary.options.max_chars_per_word = static_cast<int>(max_chars.as_int64());

  const Json::Object& vocab = model.at("vocab").items();
  // Gaps are what transformers leaves of a vocab.txt with repeated lines; there cannot be many.
  const auto limit = static_cast<std::int64_t>(2 * vocab.size());
  for (const auto& [token, value] : vocab) {
    const std::int32_t id = read_id(value, limit);
    const auto index = static_cast<std::size_t>(id);
    if (index < vocabulary.tokens.size() && !vocabulary.is_outside[index]) {
      throw value.error(fmt::format("is the id of \"{}\", too", vocabulary.tokens[index]));
    }
    put_token(vocabulary, id, token, false);
  }
}

AddedToken read_added_token(const Json& entry, std::int64_t limit) {
  check_keys(entry, {"id", "content", "single_word", "lstrip", "rstrip", "normalized", "special"});
  AddedToken token;
  token.id = read_id(entry.at("id"), limit);
  token.content = entry.at("content").as_string();
  token.lstrip = bool_or(entry, "lstrip", false);
  token.rstrip = bool_or(entry, "rstrip", false);
  token.special = bool_or(entry, "special", false);
  token.normalized = bool_or(entry, "normalized", !token.special);
  if (token.content.empty()) {
    throw entry.at("content").error("must not be empty");
  }
  if (bool_or(entry, "single_word", false)) {
    throw entry.at("single_word").error("must be false; whole-word added tokens are not supported");
  }
  return token;
}

void read_added_tokens(const Json& root, Vocabulary& vocabulary) {
  const Json* list = root.find("added_tokens");
  if (list == nullptr || list->is_null()) {
    return;
  }
  constexpr std::int32_t kUnknown = -1;
  std::unordered_map<std::string_view, std::int32_t> ids;  // of the contents that are listed
  for (const Json& entry : list->array()) {
    ids.emplace(entry.at("content").as_string(), kUnknown);
  }
  for (std::size_t i = 0; i < vocabulary.tokens.size(); ++i) {
    const auto listed = ids.find(vocabulary.tokens[i]);
    if (listed != ids.end() && !vocabulary.is_outside[i]) {
      listed->second = static_cast<std::int32_t>(i);
    }
  }
  const auto limit = static_cast<std::int64_t>(vocabulary.tokens.size() + list->array().size());
  for (const Json& entry : list->array()) {
    const AddedToken token = read_added_token(entry, limit);
    std::int32_t& known = ids.at(token.content);
    const bool is_new = known == kUnknown;
    known = is_new ? token.id : known;
    if (known != token.id) {
      throw entry.at("id").error(
          fmt::format("is {}, but \"{}\" has id {} already", token.id, token.content, known));
    }
    if (is_new) {
      const auto index = static_cast<std::size_t>(token.id);
      if (index < vocabulary.tokens.size() && !vocabulary.tokens[index].empty()) {
        throw entry.at("id").error(
            fmt::format("is {}, the id of \"{}\"", token.id, vocabulary.tokens[index]));
      }
      put_token(vocabulary, token.id, token.content, true);
    }
    vocabulary.added.push_back(token);
  }
}

// The special tokens of a template such as [CLS] $A [SEP]; "$A" and "$B" stand for the texts.
std::vector<std::pair<std::string, std::int64_t>> read_template(const Json& list) {
  std::vector<std::pair<std::string, std::int64_t>> out;
  for (const Json& step : list.array()) {
    const Json* special = step.find("SpecialToken");
    const Json& part = special != nullptr ? *special : step.at("Sequence");
    out.emplace_back((special != nullptr ? "" : "$") + part.at("id").as_string(),
                     part.at("type_id").as_int64());
  }
  return out;
}

void read_template_processing(const Json& processor, SpecialTokens& special) {
  check_keys(processor, {"type", "single", "pair", "special_tokens"});
  using Template = std::vector<std::pair<std::string, std::int64_t>>;
  const Template single = read_template(processor.at("single"));
  const bool three = single.size() == 3;
  if (!three || single != Template{{single[0].first, 0}, {"$A", 0}, {single[2].first, 0}}) {
    throw processor.at("single").error("must be [CLS] A [SEP]");
  }
  special.cls = single[0].first;
  special.sep = single[2].first;
  if (read_template(processor.at("pair")) !=
      Template{{special.cls, 0}, {"$A", 0}, {special.sep, 0}, {"$B", 1}, {special.sep, 1}}) {
    throw processor.at("pair").error("must be [CLS] A [SEP] B [SEP] with types 0, 0, 0, 1, 1");
  }
}

void read_post_processor(const Json& root, SpecialTokens& special, std::string_view where,
                         std::vector<std::string>& notices) {
  const Json* processor = root.find("post_processor");
  if (processor == nullptr || processor->is_null()) {
    notices.push_back(
        fmt::format("{}: has no post_processor; texts get {} and {}, as in transformers", where,
                    special.cls, special.sep));
    return;
  }
  if (processor->at("type").as_string() == "BertProcessing") {
    check_keys(*processor, {"type", "sep", "cls"});
    special.sep = processor->at("sep").array().at(0).as_string();
    special.cls = processor->at("cls").array().at(0).as_string();
    return;
  }
  read_template_processing(typed(root, "post_processor", "TemplateProcessing"), special);
}

Json template_step(std::string_view kind, std::string_view id, int type_id) {
  Json inner = Json::object();
  inner.add("id", id);
  inner.add("type_id", type_id);
  Json step = Json::object();
  step.add(std::string(kind), std::move(inner));
  return step;
}

Json post_processor(const Vocabulary& vocabulary) {
  const SpecialTokens& special = vocabulary.special;
  const Json cls = template_step("SpecialToken", special.cls, 0);
  const Json a = template_step("Sequence", "A", 0);
  const Json sep = template_step("SpecialToken", special.sep, 0);
  Json tokens = Json::object();
  for (const AddedToken& token : vocabulary.added) {
    if (token.content == special.cls || token.content == special.sep) {
      Json entry = Json::object();
      entry.add("id", token.content);
      entry.add("ids", Json::list({token.id}));
      entry.add("tokens", Json::list({token.content}));
      tokens.add(token.content, std::move(entry));
    }
  }
  Json out = Json::object();
  out.add("type", "TemplateProcessing");
  out.add("single", Json::list({cls, a, sep}));
  out.add("pair", Json::list({cls, a, sep, template_step("Sequence", "B", 1),
                              template_step("SpecialToken", special.sep, 1)}));
  out.add("special_tokens", std::move(tokens));
  return out;
}

Json normalizer(const TokenizerOptions& options) {
  Json out = Json::object();
  out.add("type", "BertNormalizer");
  out.add("clean_text", options.clean_text);
  out.add("handle_chinese_chars", options.chinese_chars);
  out.add("strip_accents", options.strip_accents ? Json(*options.strip_accents) : Json());
  out.add("lowercase", options.lowercase);
  return out;
}

Json added_tokens(const Vocabulary& vocabulary) {
  Json out = Json::list();
  for (const AddedToken& token : vocabulary.added) {
    Json entry = Json::object();
    entry.add("id", token.id);
    entry.add("content", token.content);
    entry.add("single_word", false);
    entry.add("lstrip", token.lstrip);
    entry.add("rstrip", token.rstrip);
    entry.add("normalized", token.normalized);
    entry.add("special", token.special);
    out.push_back(std::move(entry));
  }
  return out;
}

Json model(const Vocabulary& vocabulary) {
  std::unordered_map<std::string_view, std::size_t> last;
  for (std::size_t i = 0; i < vocabulary.tokens.size(); ++i) {
    last[vocabulary.tokens[i]] = i;
  }
  Json vocab = Json::object();
  for (std::size_t i = 0; i < vocabulary.tokens.size(); ++i) {
    if (!vocabulary.is_outside[i] && last[vocabulary.tokens[i]] == i) {
      vocab.add(vocabulary.tokens[i], i);
    }
  }
  Json out = Json::object();
  out.add("type", "WordPiece");
  out.add("unk_token", vocabulary.special.unk);
  out.add("continuing_subword_prefix", WordPiece::kPrefix);
  out.add("max_input_chars_per_word", vocabulary.options.max_chars_per_word);
  out.add("vocab", std::move(vocab));
  return out;
}

}  // namespace

Vocabulary parse_tokenizer_json(std::string_view text, std::string_view where,
                                std::vector<std::string>& notices) {
  const Json root = Json::parse(text, where);
  check_keys(root, {"version", "truncation", "padding", "added_tokens", "normalizer",
                    "pre_tokenizer", "post_processor", "decoder", "model"});
  const Json& version = root.at("version");
  if (version.as_string() != "1.0") {
    throw version.error(fmt::format("must be \"1.0\", found \"{}\"", version.as_string()));
  }
  for (const std::string_view key : {"truncation", "padding"}) {
    const Json* value = root.find(key);
    if (value != nullptr && !value->is_null()) {
      notices.push_back(
          fmt::format("{}: {} is ignored; the recipe's max_length decides", where, key));
    }
  }
  Vocabulary vocabulary;
  read_normalizer(root, vocabulary.options);
  check_keys(typed(root, "pre_tokenizer", "BertPreTokenizer"), {"type"});
  read_model(root, vocabulary);
  read_post_processor(root, vocabulary.special, where, notices);
  read_added_tokens(root, vocabulary);
  return vocabulary;
}

std::string tokenizer_json(const Vocabulary& vocabulary) {
  Json decoder = Json::object();
  decoder.add("type", "WordPiece");
  decoder.add("prefix", WordPiece::kPrefix);
  decoder.add("cleanup", true);
  Json pre_tokenizer = Json::object();
  pre_tokenizer.add("type", "BertPreTokenizer");
  Json root = Json::object();
  root.add("version", "1.0");
  root.add("truncation", Json());
  root.add("padding", Json());
  root.add("added_tokens", added_tokens(vocabulary));
  root.add("normalizer", normalizer(vocabulary.options));
  root.add("pre_tokenizer", std::move(pre_tokenizer));
  root.add("post_processor", post_processor(vocabulary));
  root.add("decoder", std::move(decoder));
  root.add("model", model(vocabulary));
  return root.dump(2) + "\n";
}

}  // namespace holdfast
