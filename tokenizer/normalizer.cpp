#include "tokenizer/normalizer.h"

#include <algorithm>

#include "base/utf8.h"
#include "tokenizer/unicode.h"

namespace holdfast {
namespace {

constexpr char kDropped = '\x7F';  // DEL, itself a control character, marks what has no normal form

// Everything that happens to a code point, one at a time. Only combining marks wait: canonical
// order sorts each run of them by class, so a run is held until the next starter. The peer aligns
// what it sorts by position: the k-th character of a run that was there before decomposition gets
// the k-th original span, one that decomposition added gets the span of the one before.
class Pipeline {
 public:
  Pipeline(const TokenizerOptions& options, bool strip_accents, NormalizedText& out)
      : options_(options), strip_accents_(strip_accents), out_(out) {}

  void ascii(char c, TextSpan span) {
    finish_marks();
    last_span_ = span;
    out_.text.push_back(c);
    out_.spans.push_back(span);
  }

  void code_point(char32_t c, TextSpan span) {
    if (options_.clean_text) {
      if (c == 0xFFFD || unicode::category(c) == unicode::Category::control) {
        return;
      }
      if (unicode::is_space(c)) {
        ascii(' ', span);
        return;
      }
    }
    const bool spaced = options_.chinese_chars && unicode::is_chinese(c);
    if (spaced) {
      ascii(' ', span);
    }
    decompose(c, span);
    if (spaced) {
      ascii(' ', span);
    }
  }

  void finish_marks() {
    if (marks_.empty()) {
      return;
    }
    std::stable_sort(marks_.begin(), marks_.end(), [](const Mark& a, const Mark& b) {
      return a.combining_class < b.combining_class;
    });
    auto span = mark_spans_.begin();
    for (const Mark& mark : marks_) {
      if (!mark.added) {
        last_span_ = *span++;
      }
      lower(mark.code_point, last_span_);
    }
    marks_.clear();
    mark_spans_.clear();
  }

 private:
  struct Mark {
    int combining_class;
    char32_t code_point;
    bool added;  // by decomposition, after its first code point
  };

  void decompose(char32_t c, TextSpan span) {
    if (!strip_accents_) {
      lower(c, span);
      return;
    }
    const unicode::Decomposition parts = unicode::decompose(c);
    for (std::size_t i = 0; i < parts.size; ++i) {
      const char32_t part = parts.code_points[i];
      const int combining_class = unicode::combining_class(part);
      if (combining_class == 0) {
        finish_marks();
        last_span_ = span;
        lower(part, span);
      } else {
        marks_.push_back({combining_class, part, i > 0});
        if (i == 0) {
          mark_spans_.push_back(span);
        }
      }
    }
  }

  void lower(char32_t c, TextSpan span) {
    if (strip_accents_ && unicode::category(c) == unicode::Category::mark) {
      return;
    }
    if (!options_.lowercase) {
      emit(c, span);
    } else if (c == 0x130) {
      emit('i', span);
      emit(0x307, span);
    } else {
      emit(unicode::lower(c), span);
    }
  }

  void emit(char32_t c, TextSpan span) {
    utf8::append(out_.text, c);
    out_.spans.resize(out_.text.size(), span);
  }

  const TokenizerOptions& options_;
  bool strip_accents_;
  NormalizedText& out_;
  std::vector<Mark> marks_;
  std::vector<TextSpan> mark_spans_;  // of the marks that are not added
  TextSpan last_span_;
};

enum class AsciiClass : std::uint8_t { word, space, punctuation, not_ascii };

constexpr std::array<AsciiClass, 256> kAsciiClasses = [] {
  std::array<AsciiClass, 256> classes{};
  for (std::size_t c = 0; c < classes.size(); ++c) {
    const bool alphanumeric =
        (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
    classes[c] = c >= 0x80                              ? AsciiClass::not_ascii
                 : c == ' ' || (c >= 0x09 && c <= 0x0D) ? AsciiClass::space
                 : c > ' ' && c < 0x7F && !alphanumeric ? AsciiClass::punctuation
                                                        : AsciiClass::word;
  }
  return classes;
}();

// The class of the character at `at`, which is moved behind it.
AsciiClass next_class(std::string_view text, std::size_t& at) {
  const AsciiClass ascii = kAsciiClasses[static_cast<unsigned char>(text[at])];
  if (ascii != AsciiClass::not_ascii) {
    ++at;
    return ascii;
  }
  const char32_t c = utf8::decode(text, at);
  return unicode::is_space(c)                                     ? AsciiClass::space
         : unicode::category(c) == unicode::Category::punctuation ? AsciiClass::punctuation
                                                                  : AsciiClass::word;
}

}  // namespace

Normalizer::Normalizer(const TokenizerOptions& options)
    : options_(options), strip_accents_(options.strip_accents.value_or(options.lowercase)) {
  for (std::size_t i = 0; i < ascii_.size(); ++i) {
    const auto c = static_cast<char>(i);
    const bool line_space = c == '\t' || c == '\n' || c == '\r';
    const bool control = c < ' ' || c == '\x7F';
    ascii_[i] = options.clean_text && line_space            ? ' '
                : options.clean_text && control             ? kDropped
                : options.lowercase && c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A'))
                                                            : c;
  }
}

NormalizedText Normalizer::normalize(std::string_view text, std::uint32_t offset) const {
  NormalizedText out;
  out.text.reserve(text.size() + text.size() / 8);
  out.spans.reserve(text.size() + text.size() / 8);
  Pipeline pipeline(options_, strip_accents_, out);
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t begin = at;
    const auto byte = static_cast<unsigned char>(text[at]);
    const auto span_to = [&](std::size_t end) {
      return TextSpan{offset + static_cast<std::uint32_t>(begin),
                      offset + static_cast<std::uint32_t>(end)};
    };
    if (byte >= 0x80) {
      const char32_t c = utf8::decode(text, at);
      pipeline.code_point(c, span_to(at));
      continue;
    }
    ++at;
    const char mapped = ascii_[byte];
    if (mapped != kDropped || !options_.clean_text) {
      pipeline.ascii(mapped, span_to(at));
    }
  }
  pipeline.finish_marks();
  return out;
}

std::string_view next_word(std::string_view text, std::size_t& at) {
  std::size_t begin = at;
  while (at < text.size()) {
    const std::size_t before = at;
    const AsciiClass found = next_class(text, at);
    if (found == AsciiClass::word) {
      continue;
    }
    if (before > begin) {
      at = found == AsciiClass::space ? at : before;
      return text.substr(begin, before - begin);
    }
    if (found == AsciiClass::punctuation) {
      return text.substr(begin, at - begin);
    }
    begin = at;
  }
  return text.substr(begin);
}

}  // namespace holdfast
