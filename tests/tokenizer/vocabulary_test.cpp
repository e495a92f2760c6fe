// vocab.txt, tokenizer.json and tokenizer_config.json: what is read, what is told and what is
// refused.
#include "tokenizer/vocabulary.h"

#include <gtest/gtest.h>

#include <functional>

#include "base/file.h"
#include "base/json.h"
#include "tests/reference/expect_error.h"
#include "tests/reference/temporary_folder.h"
#include "tokenizer/tokenizer.h"

namespace holdfast {
namespace {

using Strings = std::vector<std::string>;

const std::string kSpecial = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n";

Tokenizer load_txt(const std::string& text, Strings* notices = nullptr,
                   const std::string& config = "") {
  const TemporaryFolder folder;
  write_file(folder / "vocab.txt", text);
  if (!config.empty()) {
    write_file(folder / "tokenizer_config.json", config);
  }
  return Tokenizer::load(folder.path(), notices);
}

void expect_notice(const Strings& notices, std::string_view part) {
  ASSERT_EQ(notices.size(), 1U) << part;
  EXPECT_NE(notices[0].find(part), std::string::npos) << notices[0];
}

TEST(VocabTxt, ReadsPlainFilesWithoutNotices) {
  for (const std::string end : {"", "\n"}) {
    Strings notices;
    const Tokenizer tokenizer = load_txt(kSpecial + "a\n##b" + end, &notices);
    EXPECT_EQ(tokenizer.size(), 7);
    EXPECT_EQ(tokenizer.id("##b"), 6);
    EXPECT_TRUE(notices.empty());
  }
}

TEST(VocabTxt, StripsTheEndsOfLinesAsThePeer) {
  const Tokenizer crlf = load_txt("[PAD]\r\n[UNK]\r\n[CLS]\r\n[SEP]\r\n[MASK]\r\na\r\n");
  EXPECT_EQ(crlf.token(5), "a");
  const Tokenizer spaces = load_txt(kSpecial + "a \t \nb\u00A0\u3000\n c\n");
  EXPECT_EQ(spaces.token(5), "a");
  EXPECT_EQ(spaces.token(6), "b");
  EXPECT_EQ(spaces.token(7), " c");
}

TEST(VocabTxt, TellsWhatIsPeculiar) {
  Strings notices;
  EXPECT_EQ(load_txt("\xEF\xBB\xBF" + kSpecial, &notices).id("[PAD]"), 0);
  expect_notice(notices, "byte order mark");

  notices.clear();
  EXPECT_EQ(load_txt(kSpecial + "a\n\nb\n", &notices).id("b"), 7);
  expect_notice(notices, "vocab.txt:7 is empty");

  notices.clear();
  EXPECT_EQ(load_txt(kSpecial + "a\n\n\n", &notices).size(), 6);
  expect_notice(notices, "2 empty lines at the end");

  notices.clear();
  EXPECT_EQ(load_txt(kSpecial + "a\nb\na\n", &notices).id("a"), 7);
  expect_notice(notices, "vocab.txt:8 repeats \"a\" of line 6");

  notices.clear();
  EXPECT_EQ(load_txt("[PAD]\n[UNK]\n[CLS]\n[SEP]\n", &notices).mask_id(), -1);
  expect_notice(notices, "lacks [MASK]");
}

TEST(VocabTxt, KeepsNul) {
  EXPECT_EQ(load_txt(kSpecial + std::string("a\0b\n", 4)).token(5), std::string("a\0b", 3));
}

TEST(VocabTxt, RefusesWhatIsNoVocabulary) {
  const auto refuse = [](std::string_view name, std::string_view part, const std::string& text) {
    expect_error<std::runtime_error>(name, part, [&] { load_txt(text); });
  };
  refuse("lone CR", "vocab.txt:6 has a carriage return", kSpecial + "a\rb\n");
  refuse("invalid UTF-8", "vocab.txt:6 is not valid UTF-8 at byte 32", kSpecial + "a\xFF\n");
  refuse("UTF-16", "is UTF-16", std::string("\xFF\xFE[\0P\0", 6));
  refuse("empty", "has no tokens", "");
  refuse("empty lines", "has no tokens", "\n\n");
  refuse("no [UNK]", "lacks the token [UNK]", "[PAD]\n[CLS]\n[SEP]\n[MASK]\n");
  refuse("no [CLS]", "lacks the token [CLS]", "[PAD]\n[UNK]\n[SEP]\n[MASK]\n");
  refuse("no [SEP]", "lacks the token [SEP]", "[PAD]\n[UNK]\n[CLS]\n[MASK]\n");
  refuse("no [PAD]", "lacks the token [PAD]", "[UNK]\n[CLS]\n[SEP]\n[MASK]\n");
  refuse("long line", "vocab.txt:6 is a token of 5000 bytes",
         kSpecial + std::string(5000, 'a') + "\n");
  refuse("ids", "vocab.txt:1 has a tab", "[PAD]\t0\n[UNK]\t1\n");
  expect_error<std::runtime_error>("no file", "neither tokenizer.json nor vocab.txt", [] {
    const TemporaryFolder folder;
    Tokenizer::load(folder.path());
  });
}

TEST(TokenizerConfig, DecidesAboutCaseAccentsIdeographsAndSpecialTokens) {
  const std::string text = "[PAD]\n[UNK]\n<s>\n</s>\n[MASK]\n";
  const Tokenizer tokenizer =
      load_txt(text, nullptr, R"({"do_lower_case": false, "strip_accents": true,
      "tokenize_chinese_chars": false, "cls_token": "<s>", "sep_token": {"content": "</s>", "lstrip": false},
      "pad_token": null, "model_max_length": 7})");
  EXPECT_FALSE(tokenizer.options().lowercase);
  EXPECT_EQ(tokenizer.options().strip_accents, true);
  EXPECT_FALSE(tokenizer.options().chinese_chars);
  EXPECT_EQ(tokenizer.cls_id(), 2);
  EXPECT_EQ(tokenizer.sep_id(), 3);
  EXPECT_EQ(tokenizer.encode("<s>").ids, (std::vector<std::int32_t>{2, 2, 3}));
  expect_error<std::runtime_error>("wrong type", "do_lower_case",
                                   [&] { load_txt(text, nullptr, R"({"do_lower_case": 1})"); });
  expect_error<std::runtime_error>("unknown token", "lacks the token <x>",
                                   [&] { load_txt(text, nullptr, R"({"unk_token": "<x>"})"); });
}

// A tokenizer.json whose members a test may change.
Json base_json() {
  return Json::parse(R"({"version": "1.0", "truncation": null, "padding": null,
    "added_tokens": [{"id": 0, "content": "[PAD]", "single_word": false, "lstrip": false, "rstrip": false,
                      "normalized": false, "special": true}],
    "normalizer": {"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true,
                   "strip_accents": null, "lowercase": true},
    "pre_tokenizer": {"type": "BertPreTokenizer"},
    "post_processor": {"type": "BertProcessing", "sep": ["[SEP]", 3], "cls": ["[CLS]", 2]},
    "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": true},
    "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
              "max_input_chars_per_word": 100,
              "vocab": {"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3, "[MASK]": 4, "a": 5}}})",
                     "base");
}

Tokenizer load_json(const Json& json, Strings* notices = nullptr, const std::string& config = "") {
  const TemporaryFolder folder;
  write_file(folder / "tokenizer.json", json.dump());
  if (!config.empty()) {
    write_file(folder / "tokenizer_config.json", config);
  }
  return Tokenizer::load(folder.path(), notices);
}

Json changed(std::string_view part, std::string_view key, const Json& value) {
  Json json = base_json();
  if (part.empty()) {
    json.set(std::string(key), value);
  } else {
    Json member = json.at(part);
    member.set(std::string(key), value);
    json.set(std::string(part), member);
  }
  return json;
}

Json vocabulary_with(std::string_view token, const Json& id) {
  Json model = base_json().at("model");
  Json vocab = model.at("vocab");
  vocab.set(std::string(token), id);
  model.set("vocab", vocab);
  return changed("", "model", model);
}

Json added(std::int64_t id, std::string_view content, std::string_view flag = "",
           bool value = true) {
  Json token = Json::object();
  token.set("id", id);
  token.set("content", content);
  if (!flag.empty()) {
    token.set(std::string(flag), value);
  }
  return changed("", "added_tokens", Json::list({token}));
}

TEST(TokenizerJson, ReadsThePlainFile) {
  Strings notices;
  const Tokenizer tokenizer = load_json(base_json(), &notices);
  EXPECT_TRUE(notices.empty());
  EXPECT_EQ(tokenizer.size(), 6);
  EXPECT_EQ(tokenizer.encode("A").ids, (std::vector<std::int32_t>{2, 5, 3}));
}

TEST(TokenizerJson, TellsWhatItIgnores) {
  Strings notices;
  load_json(changed("", "truncation", Json::object({{"max_length", 3}})), &notices);
  expect_notice(notices, "truncation is ignored");
  notices.clear();
  load_json(changed("", "padding", Json::object({{"direction", "Right"}})), &notices);
  expect_notice(notices, "padding is ignored");
  notices.clear();
  EXPECT_EQ(load_json(changed("", "post_processor", Json()), &notices).encode("a").ids.size(), 3U);
  expect_notice(notices, "no post_processor");
  notices.clear();
  EXPECT_FALSE(
      load_json(base_json(), &notices, R"({"do_lower_case": false, "strip_accents": null})")
          .options()
          .lowercase);
  expect_notice(notices, "do_lower_case differs from tokenizer.json");
}

TEST(TokenizerJson, TellsWhereTransformersDiffers) {
  const Json cased = changed("normalizer", "lowercase", false);
  Strings notices;
  EXPECT_FALSE(load_json(cased, &notices).options().lowercase);
  expect_notice(notices, "transformers lowers it");
  notices.clear();
  load_json(cased, &notices, R"({"do_lower_case": false})");
  EXPECT_TRUE(notices.empty());
}

TEST(VocabTxt, TellsThatAddedTokensAreIgnored) {
  const TemporaryFolder folder;
  write_file(folder / "vocab.txt", kSpecial);
  write_file(folder / "added_tokens.json", R"({"<new>": 5})");
  Strings notices;
  EXPECT_EQ(Tokenizer::load(folder.path(), &notices).size(), 5);
  expect_notice(notices, "added_tokens.json is ignored");
}

TEST(TokenizerJson, AddsTokensBeyondTheVocabulary) {
  const Tokenizer tokenizer = load_json(added(6, "<new>", "normalized", false));
  EXPECT_EQ(tokenizer.size(), 7);
  EXPECT_EQ(tokenizer.id("<new>"), 6);
  EXPECT_EQ(tokenizer.encode("a<new>a").ids, (std::vector<std::int32_t>{2, 5, 6, 5, 3}));
}

TEST(TokenizerJson, KeepsGaps) {
  const Tokenizer tokenizer = load_json(vocabulary_with("b", 8));
  EXPECT_EQ(tokenizer.size(), 9);
  EXPECT_EQ(tokenizer.token(7), "");
  EXPECT_EQ(tokenizer.id(""), -1);
  EXPECT_EQ(tokenizer.id("b"), 8);
}

TEST(TokenizerJson, RefusesOtherTokenizersAndImpossibleIds) {
  const auto refuse = [](std::string_view name, std::string_view part, const Json& json) {
    expect_error<std::runtime_error>(name, part, [&] { load_json(json); });
  };
  refuse("top-level key", "extra is not known", changed("", "extra", 1));
  refuse("version", "must be \"1.0\"", changed("", "version", "2.0"));
  refuse("model type", "must be \"WordPiece\", found \"BPE\"", changed("model", "type", "BPE"));
  refuse("normalizer type", "found \"NFC\"", changed("normalizer", "type", "NFC"));
  refuse("normalizer key", "x is not known", changed("normalizer", "x", true));
  refuse("no normalizer", "must be BertNormalizer", changed("", "normalizer", Json()));
  refuse("pre-tokenizer", "found \"Whitespace\"", changed("pre_tokenizer", "type", "Whitespace"));
  refuse("post-processor", "found \"ByteLevel\"", changed("post_processor", "type", "ByteLevel"));
  refuse("prefix", "must be \"##\"", changed("model", "continuing_subword_prefix", ""));
  refuse("max chars 0", "must be a positive int", changed("model", "max_input_chars_per_word", 0));
  refuse("max chars real", "max_input_chars_per_word",
         changed("model", "max_input_chars_per_word", 100.0));
  refuse("duplicate id", "is the id of \"a\", too", vocabulary_with("b", 5));
  refuse("negative id", "must be an id", vocabulary_with("b", -1));
  refuse("id 2^32", "must be an id", vocabulary_with("b", std::int64_t{1} << 32));
  refuse("id 10^9", "must be an id from 0 to 13", vocabulary_with("b", 1000000000));
  refuse("real id", "vocab", vocabulary_with("b", 6.0));
  refuse("unk_token", "lacks the token <x>", changed("model", "unk_token", "<x>"));
  refuse("added id", "has id 5 already", added(6, "a"));
  refuse("added taken id", "is 5, the id of \"a\"", added(5, "b"));
  refuse("added far id", "must be an id from 0 to 6", added(7, "b"));
  refuse("added empty", "must not be empty", added(6, ""));
  refuse("added single_word", "single_word must be false", added(6, "b", "single_word", true));
  refuse("not an object", "object", Json::list({}));
}

TEST(TokenizerJson, ModelNeedsNoType) {
  const Json base = base_json();
  Json model = Json::object();
  for (const auto& [key, value] : base.at("model").items()) {
    if (key != "type") {
      model.set(key, value);
    }
  }
  EXPECT_EQ(load_json(changed("", "model", model)).size(), 6);
}

TEST(TokenizerJson, TemplateMustBeBerts) {
  const Tokenizer tokenizer = Tokenizer::from_vocab({"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"});
  const TemporaryFolder folder;
  tokenizer.save(folder.path());
  Json json = Json::parse(read_file(folder / "tokenizer.json", 1 << 20), "tokenizer.json");
  const Json steps = json.at("post_processor").at("pair");
  EXPECT_EQ(load_json(json).size(), 5);
  Json processor = json.at("post_processor");
  processor.set("single", steps);
  json.set("post_processor", processor);
  expect_error<std::runtime_error>("single", "must be [CLS] A [SEP]", [&] { load_json(json); });
}

TEST(Save, FilesHaveEqualContents) {
  const Strings tokens = {"[PAD]", "[UNK]",  "[CLS]", "[SEP]", "[MASK]",
                          "a",     "\u00E9", "##b",   "a",     "\u4E2D"};
  const Tokenizer tokenizer = Tokenizer::from_vocab(
      tokens, {.lowercase = false, .strip_accents = true, .chinese_chars = false});
  const TemporaryFolder json_folder;
  const TemporaryFolder txt_folder;
  tokenizer.save(json_folder.path(), 128);
  tokenizer.save(txt_folder.path(), 128);
  std::filesystem::remove(json_folder / "vocab.txt");
  std::filesystem::remove(txt_folder / "tokenizer.json");
  for (const TemporaryFolder* folder : {&json_folder, &txt_folder}) {
    const Tokenizer loaded = Tokenizer::load(folder->path());
    EXPECT_EQ(loaded.options(), tokenizer.options());
    EXPECT_EQ(loaded.size(), tokenizer.size());
    for (const std::string& token : tokens) {
      EXPECT_EQ(loaded.id(token), tokenizer.id(token)) << token;
    }
    EXPECT_EQ(loaded.encode("a\u4E2D E\u0301 ab [MASK]").ids,
              tokenizer.encode("a\u4E2D E\u0301 ab [MASK]").ids);
  }
}

TEST(Save, TokensThatAreNoLinesBecomeEmptyOnes) {
  const Tokenizer tokenizer = load_json(vocabulary_with("x\ny", 6));
  const TemporaryFolder folder;
  tokenizer.save(folder.path());
  EXPECT_EQ(read_file(folder / "vocab.txt", 1 << 20), kSpecial + "a\n\n");
  EXPECT_EQ(Tokenizer::load(folder.path()).id("x\ny"), 6);
}

}  // namespace
}  // namespace holdfast
