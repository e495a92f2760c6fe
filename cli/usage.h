// What is said about a command line that is not understood, and the limits of options in plain
// words. Tested by tests/cli/errors_test.cpp.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <limits>
#include <string>

namespace holdfast::cli {

/// The first word that no command takes, in a sentence with the nearest known one: a command that
/// there is not, an option, or a word too many. Empty when there is no such word.
std::string misunderstood(const CLI::App& app);

/// Whether the command itself was not understood, so that there is nothing whose help could be
/// shown.
bool no_such_command(const CLI::App& app);

/// A whole number in [low, high], or `word` where there is one: "must be at least 1, found 0".
CLI::Validator whole_number(std::int64_t low,
                            std::int64_t high = std::numeric_limits<std::int64_t>::max(),
                            const std::string& word = "");
/// A number in [0, 1].
CLI::Validator share();
/// A device, in the words of parse_device().
CLI::Validator device_name();
/// A number of bytes, which becomes a plain number: 4096, 512KiB, 16MiB, 2GiB.
CLI::Validator byte_size();

}  // namespace holdfast::cli
