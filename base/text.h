// Small helpers for messages: the nearest known word, sizes and durations.
// Tested by tests/base/text_test.cpp.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace holdfast {

/// The number of insertions, deletions, substitutions and exchanges of neighbours that turn `a`
/// into `b`, no place edited twice (optimal string alignment), in bytes.
std::size_t edit_distance(std::string_view a, std::string_view b);

/// The candidate to suggest for a mistyped `word` (the first of the nearest), or "" when none is
/// near: within a third of the word's length, at least 1.
std::string nearest(std::string_view word, std::span<const std::string> candidates);

/// "512 B", "1.2 GiB".
std::string human_bytes(std::int64_t bytes);

/// The bytes of "4096", "512KiB", "16MiB" or "2GiB"; nullopt for anything else, and for 2^63 or
/// more.
std::optional<std::int64_t> parse_bytes(std::string_view text);

/// What parse_bytes() reads back exactly: 2147483648 -> "2GiB", in the largest unit that divides.
std::string exact_bytes(std::int64_t bytes);

/// "12 ms", "3.4 s", "45 s", "2 min 5 s", "3 h 12 min", "2 d 3 h".
std::string human_duration(double seconds);

}  // namespace holdfast
