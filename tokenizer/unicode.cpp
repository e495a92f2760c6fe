#include "tokenizer/unicode.h"

#include <unicode/uchar.h>
#include <unicode/unorm2.h>
#include <unicode/utf16.h>

#include <algorithm>
#include <stdexcept>
#include <string>
#include <utility>

namespace holdfast::unicode {
namespace {

using Age =
    std::pair<int, int>;  // the Unicode version that assigned a code point; {0, 0} for none yet

struct CategoryException {
  char32_t code_point;
  Category category;
};

struct LowerException {
  char32_t code_point;
  char32_t lower;
};

#include "tokenizer/unicode_exceptions.inc"

template <class Exceptions>
auto find_exception(const Exceptions& exceptions, char32_t c) {
  const auto found = std::lower_bound(
      exceptions.begin(), exceptions.end(), c,
      [](const auto& exception, char32_t wanted) { return exception.code_point < wanted; });
  return found != exceptions.end() && found->code_point == c ? found : exceptions.end();
}

UChar32 icu(char32_t c) { return static_cast<UChar32>(c); }

// Whether the peer, whose tables are of Unicode `version`, knows the code point.
bool is_known(char32_t c, Age version) {
  UVersionInfo age;
  u_charAge(icu(c), age);
  return Age{age[0], age[1]} <= version;
}

bool is_ascii_symbol(char32_t c) {
  return (c >= '!' && c <= '/') || (c >= ':' && c <= '@') || (c >= '[' && c <= '`') ||
         (c >= '{' && c <= '~');
}

const UNormalizer2& nfd() {
  UErrorCode status = U_ZERO_ERROR;
  const UNormalizer2* normalizer = unorm2_getNFDInstance(&status);
  if (U_FAILURE(status)) {
    throw std::runtime_error(std::string("[tokenizer] ICU has no normalisation data: ") +
                             u_errorName(status));
  }
  return *normalizer;
}

}  // namespace

Category category(char32_t c) {
  if (is_ascii_symbol(c)) {
    return Category::punctuation;
  }
  const auto exception = find_exception(kCategoryExceptions, c);
  if (exception != kCategoryExceptions.end()) {
    return exception->category;
  }
  const std::uint32_t mask = U_MASK(u_charType(icu(c)));
  const Category known = (mask & U_GC_P_MASK) != 0    ? Category::punctuation
                         : (mask & U_GC_MN_MASK) != 0 ? Category::mark
                         : (mask & (U_GC_CC_MASK | U_GC_CF_MASK | U_GC_CO_MASK)) ? Category::control
                                                                                 : Category::none;
  return known == Category::none || is_known(c, kCategoryAge) ? known : Category::none;
}

bool is_space(char32_t c) {
  return (c >= 0x09 && c <= 0x0D) || c == 0x20 || c == 0x85 || c == 0xA0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F ||
         c == 0x3000;
}

bool is_chinese(char32_t c) {
  return (c >= 0x4E00 && c <= 0x9FFF) || (c >= 0x3400 && c <= 0x4DBF) ||
         (c >= 0x20000 && c <= 0x2A6DF) || (c >= 0x2A700 && c <= 0x2B73F) ||
         (c >= 0x2B740 && c <= 0x2B81F) || (c >= 0x2B920 && c <= 0x2CEAF) ||
         (c >= 0xF900 && c <= 0xFAFF) || (c >= 0x2F800 && c <= 0x2FA1F);
}

int combining_class(char32_t c) {
  const int known = u_getCombiningClass(icu(c));
  return known == 0 || is_known(c, kCombiningAge) ? known : 0;
}

Decomposition decompose(char32_t c) {
  static const UNormalizer2& normalizer = nfd();
  std::array<UChar, 8> units{};
  UErrorCode status = U_ZERO_ERROR;
  const std::int32_t size = unorm2_getDecomposition(
      &normalizer, icu(c), units.data(), static_cast<std::int32_t>(units.size()), &status);
  Decomposition out;
  if (size < 0 || !is_known(c, kCombiningAge)) {
    out.code_points[out.size++] = c;
    return out;
  }
  for (std::int32_t at = 0; at < size;) {
    UChar32 next = 0;
    U16_NEXT(units, at, size, next);
    out.code_points.at(out.size++) = static_cast<char32_t>(next);
  }
  return out;
}

char32_t lower(char32_t c) {
  const auto exception = find_exception(kLowerExceptions, c);
  if (exception != kLowerExceptions.end()) {
    return exception->lower;
  }
  const auto small = static_cast<char32_t>(u_tolower(icu(c)));
  return small == c || is_known(c, kLowerAge) ? small : c;
}

}  // namespace holdfast::unicode
