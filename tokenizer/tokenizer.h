// BERT's tokenizer: text to ids with byte offsets, equal to Hugging Face's fast tokenizer. Depends
// on base and ICU alone. Tested by tests/tokenizer.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tokenizer/added_tokens.h"
#include "tokenizer/normalizer.h"
#include "tokenizer/vocabulary.h"
#include "tokenizer/wordpiece.h"

namespace holdfast {

/// One text or pair of texts, special tokens included. All three have one entry a token.
struct Encoding {
  std::vector<std::int32_t> ids;
  std::vector<std::int32_t> type_ids;  // 0, and 1 for the second text and its [SEP]
  /// The UTF-8 bytes [first, second) of the token's own text that it stands for; (0,0) for special
  /// tokens.
  std::vector<std::pair<std::int64_t, std::int64_t>> offsets;
};

/// Immutable, so that threads may share it.
class Tokenizer {
 public:
  /// Reads DIR/tokenizer.json if there, else DIR/vocab.txt; in both cases DIR/tokenizer_config.json
  /// if there, whose do_lower_case, strip_accents, tokenize_chinese_chars and special tokens win,
  /// as they do in transformers. What is peculiar but harmless is told in `notices`, one line each.
  /// Truncation and padding in the files are ignored. Throws std::runtime_error for files that are
  /// missing or malformed, or that need a tokenizer other than BERT's.
  static Tokenizer load(const std::filesystem::path& dir,
                        std::vector<std::string>* notices = nullptr);

  /// Token i of `vocab` has id i. Throws std::runtime_error when one of [PAD] [UNK] [CLS] [SEP] is
  /// not among them.
  static Tokenizer from_vocab(std::vector<std::string> vocab, TokenizerOptions options = {});

  /// "[CLS] a [SEP]", or "[CLS] a [SEP] b [SEP]", cut to max_length tokens (0: not cut) as
  /// truncation="longest_first" does: the longer text first, each to half when both are too long.
  /// Throws std::invalid_argument for text that is not UTF-8 or of 4 GiB, and for a max_length that
  /// is negative or has no room for the special tokens.
  Encoding encode(std::string_view text, std::int64_t max_length = 0) const;
  Encoding encode(std::string_view text, std::string_view pair, std::int64_t max_length) const;

  /// The normalised words of `text` before WordPiece, punctuation included; what TF-IDF counts.
  /// Special tokens in the text are words like others here. Throws as encode does.
  std::vector<std::string> words(std::string_view text) const;

  /// Throws std::invalid_argument for an id outside [0, size()).
  const std::string& token(std::int32_t id) const;
  /// -1 if absent.
  std::int32_t id(std::string_view token) const;
  std::int64_t size() const { return static_cast<std::int64_t>(vocabulary_.tokens.size()); }
  const TokenizerOptions& options() const { return vocabulary_.options; }

  std::int32_t pad_id() const { return pad_id_; }
  std::int32_t unk_id() const { return unk_id_; }
  std::int32_t cls_id() const { return cls_id_; }
  std::int32_t sep_id() const { return sep_id_; }
  /// -1 when the vocabulary has none.
  std::int32_t mask_id() const { return mask_id_; }

  /// Writes vocab.txt, tokenizer.json and tokenizer_config.json into a folder that exists, for
  /// transformers 4 and 5. `max_length` is what they call model_max_length. The contents are equal,
  /// but for what vocab.txt has no place for: added tokens other than the special ones count as
  /// words there, and a token that is no line (one with a line feed or with white space at its end,
  /// which no text yields) is an empty one. Throws std::runtime_error when a file cannot be
  /// written.
  void save(const std::filesystem::path& dir, std::int64_t max_length = 512) const;

 private:
  struct Tokens;
  explicit Tokenizer(Vocabulary vocabulary);
  Tokens tokenize(std::string_view text, std::int64_t limit) const;
  void tokenize_words(const NormalizedText& normalized, std::size_t begin, std::size_t end,
                      Tokens& out) const;
  static void append(const Tokens& tokens, std::int64_t size, std::int32_t type_id, Encoding& out);
  static void append_special(std::int32_t id, std::int32_t type_id, Encoding& out);

  Vocabulary vocabulary_;
  std::int32_t pad_id_;
  std::int32_t unk_id_;
  std::int32_t cls_id_;
  std::int32_t sep_id_;
  std::int32_t mask_id_;
  Normalizer normalizer_;
  WordPiece wordpiece_;
  AddedTokenMatcher raw_matcher_;         // of the text as it is
  AddedTokenMatcher normalized_matcher_;  // of the normalised text
};

struct TrainerOptions {
  TokenizerOptions tokenizer;
  std::int64_t min_frequency = 2;  // a pair that occurs less often is not merged
};

/// Trains a WordPiece vocabulary of at most `size` tokens, as Hugging Face's WordPieceTrainer does:
/// [PAD] [UNK] [CLS] [SEP] [MASK], then every character that occurs (code point order), then their
/// "##" forms (code point order), then the most frequent pair of adjacent pieces merged, again and
/// again; among equally frequent pairs the one with the smaller ids. The alphabet is never cut: a
/// `size` too small for it yields a larger vocabulary. `next` fills in one text and returns true,
/// or returns false at the end. The same texts in any order give the same vocabulary. Throws
/// std::invalid_argument for size < 5, for text that is not UTF-8, and when no word was seen.
std::vector<std::string> train_vocabulary(const std::function<bool(std::string& text)>& next,
                                          std::int64_t size, const TrainerOptions& options = {});

}  // namespace holdfast
