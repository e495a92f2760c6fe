// What a tokenizer is made of, and how it is read from and written to the files of a Hugging Face
// model folder. Tested by tests/tokenizer/vocabulary_test.cpp.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "tokenizer/added_tokens.h"
#include "tokenizer/normalizer.h"

namespace holdfast {

struct SpecialTokens {
  std::string pad = "[PAD]";
  std::string unk = "[UNK]";
  std::string cls = "[CLS]";
  std::string sep = "[SEP]";
  std::string mask = "[MASK]";  // the one that a vocabulary need not have
};

struct Vocabulary {
  std::vector<std::string> tokens;  // by id, added tokens included
  std::vector<bool>
      is_outside;  // ids that WordPiece does not know: added tokens of no word piece, and gaps
  std::vector<AddedToken> added;  // by ascending id
  SpecialTokens special;
  TokenizerOptions options;
};

/// A vocabulary whose token i has id i and whose added tokens are the special ones.
/// Throws std::runtime_error, beginning with `where`, for a special token that is not there.
Vocabulary make_vocabulary(std::vector<std::string> tokens, const TokenizerOptions& options,
                           std::string_view where);

/// See Tokenizer::load.
Vocabulary load_vocabulary(const std::filesystem::path& dir, std::vector<std::string>& notices);

/// See Tokenizer::save.
void save_vocabulary(const Vocabulary& vocabulary, const std::filesystem::path& dir,
                     std::int64_t max_length);

/// The tokens of a vocab.txt, one a line. `where` begins every message.
std::vector<std::string> parse_vocab_txt(std::string_view text, std::string_view where,
                                         std::vector<std::string>& notices);

/// A tokenizer.json (version 1.0) of a BERT tokenizer; anything else that it may hold is refused,
/// by name. The special tokens are not looked for yet.
Vocabulary parse_tokenizer_json(std::string_view text, std::string_view where,
                                std::vector<std::string>& notices);

/// The tokenizer.json of a vocabulary.
std::string tokenizer_json(const Vocabulary& vocabulary);

}  // namespace holdfast
