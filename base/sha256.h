// SHA-256 (FIPS 180-4): fingerprints that nobody can forge, as `sha256sum` prints them. Tested by
// tests/base/sha256_test.cpp.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace holdfast {

/// 64 lower-case hexadecimal digits.
std::string sha256(std::string_view bytes);

/// Of a regular file's contents, read piece by piece. Throws std::runtime_error that names it.
std::string sha256_file(const std::filesystem::path& path);

}  // namespace holdfast
