// Names of enumerators in recipes, files and messages.
#pragma once

#include <array>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

namespace holdfast {

template <class Enum, std::size_t N>
using NameTable = std::array<std::pair<Enum, const char*>, N>;

template <class Enum, std::size_t N>
std::string_view name_in(const NameTable<Enum, N>& table, Enum value) {
  for (const auto& [known, name] : table) {
    if (known == value) return name;
  }
  throw std::logic_error("[names] an enumerator has no name");
}

/// Throws std::invalid_argument that lists the known names.
template <class Enum, std::size_t N>
Enum parse_in(const NameTable<Enum, N>& table, std::string_view what, std::string_view name) {
  std::string known_names;
  for (const auto& [known, known_name] : table) {
    if (name == known_name) return known;
    known_names += (known_names.empty() ? "\"" : ", \"") + std::string(known_name) + "\"";
  }
  throw std::invalid_argument("unknown " + std::string(what) + " \"" + std::string(name) +
                              "\"; known: " + known_names);
}

}  // namespace holdfast
