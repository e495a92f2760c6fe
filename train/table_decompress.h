// gzip and zstd, with the output bounded.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace holdfast {

/// The contents of gzip data (one member or several). `where` begins the messages.
/// Throws std::runtime_error when the data are damaged or cut short, and, before holding more than
/// that, when the contents exceed `max_bytes` or 1,000 times the size of `data` (of which the first
/// MiB is always allowed).
std::string decompress_gzip(std::string_view data, std::string_view where, std::int64_t max_bytes);

/// The same for zstd data (one frame or several).
std::string decompress_zstd(std::string_view data, std::string_view where, std::int64_t max_bytes);

}  // namespace holdfast
