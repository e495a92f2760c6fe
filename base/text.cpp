#include "base/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>
#include <vector>

namespace holdfast {
namespace {

struct ByteUnit {
  std::string_view name;
  std::int64_t bytes;
};
constexpr ByteUnit kByteUnits[] = {
    {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"", 1}};  // the largest first

}  // namespace

std::size_t edit_distance(std::string_view a, std::string_view b) {
  // Rows i-2, i-1 and i of the table: distances from a's first i bytes to each prefix of b.
  std::vector<std::size_t> before(b.size() + 1), last(b.size() + 1), row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) {
    row[j] = j;
  }
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::swap(before, last);
    std::swap(last, row);
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t change = a[i - 1] == b[j - 1] ? 0 : 1;
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + change});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        row[j] = std::min(row[j], before[j - 2] + 1);
      }
    }
  }
  return row[b.size()];
}

std::string nearest(std::string_view word, std::span<const std::string> candidates) {
  constexpr std::size_t kLongest = 100;  // a mistyped word is short; the cost is quadratic
  if (word.size() > kLongest) {
    return "";
  }
  std::size_t best = std::max<std::size_t>(1, word.size() / 3) + 1;
  std::string found;
  for (const std::string& candidate : candidates) {
    if (candidate.size() > kLongest) {
      continue;
    }
    if (const std::size_t distance = edit_distance(word, candidate); distance < best) {
      best = distance;
      found = candidate;
    }
  }
  return found;
}

std::string human_bytes(std::int64_t bytes) {
  constexpr std::array kUnits = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  auto value = static_cast<double>(bytes);
  if (std::abs(value) < 1024) {
    return fmt::format("{} B", bytes);
  }
  std::size_t unit = 0;
  value /= 1024;
  while (std::abs(value) >= 1023.95 && unit + 1 < kUnits.size()) {  // would print as 1024.0
    value /= 1024;
    ++unit;
  }
  return fmt::format("{:.1f} {}", value, kUnits[unit]);
}

std::optional<std::int64_t> parse_bytes(std::string_view text) {
  std::int64_t count = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), count);
  const std::string_view unit(end, static_cast<std::size_t>(text.data() + text.size() - end));
  const auto found = std::find_if(std::begin(kByteUnits), std::end(kByteUnits),
                                  [&](const ByteUnit& one) { return one.name == unit; });
  if (code != std::errc() || count < 0 || found == std::end(kByteUnits) ||
      count > std::numeric_limits<std::int64_t>::max() / found->bytes) {
    return std::nullopt;
  }
  return count * found->bytes;
}

std::string exact_bytes(std::int64_t bytes) {
  const auto largest = std::find_if(std::begin(kByteUnits), std::end(kByteUnits),
                                    [&](const ByteUnit& unit) { return bytes % unit.bytes == 0; });
  return bytes == 0 ? "0" : fmt::format("{}{}", bytes / largest->bytes, largest->name);
}

std::string human_duration(double seconds) {
  if (!(seconds >= 0) || seconds > 1e15) {
    return "?";
  }
  if (seconds < 0.0995) {
    return fmt::format("{:.0f} ms", seconds * 1000);
  }
  if (seconds < 9.95) {
    return fmt::format("{:.1f} s", seconds);
  }
  const auto pair = [](std::int64_t large, const char* unit, std::int64_t small,
                       const char* small_unit) {
    return small == 0 ? fmt::format("{} {}", large, unit)
                      : fmt::format("{} {} {} {}", large, unit, small, small_unit);
  };
  const std::int64_t whole = std::llround(seconds);
  if (whole < 60) {
    return fmt::format("{} s", whole);
  }
  if (whole < 3600) {
    return pair(whole / 60, "min", whole % 60, "s");
  }
  const std::int64_t minutes = (whole + 30) / 60;
  if (minutes < 24 * 60) {
    return pair(minutes / 60, "h", minutes % 60, "min");
  }
  const std::int64_t hours = (minutes + 30) / 60;
  return pair(hours / 24, "d", hours % 24, "h");
}

}  // namespace holdfast
