// The command line and the JSON line that all benchmark programs share: --name value pairs in, one
// object out.
#pragma once

#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

#include "base/json.h"

namespace holdfast::bench {

using Options = std::map<std::string, std::string>;

/// `defaults` names every option there is; an empty value: not given. Throws std::invalid_argument
/// for another one, and for an option without its value.
inline Options parse(int argc, char** argv, Options defaults) {
  for (int i = 1; i < argc; i += 2) {
    const std::string name = argv[i];
    const auto option = name.starts_with("--") ? defaults.find(name.substr(2)) : defaults.end();
    if (option == defaults.end()) throw std::invalid_argument(name + ": no such option");
    if (i + 1 == argc) throw std::invalid_argument(name + ": needs a value");
    option->second = argv[i + 1];
  }
  return defaults;
}

using Clock = std::chrono::steady_clock;

inline double since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

inline double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

/// The most memory that this process has had at once, in bytes.
inline std::int64_t peak_bytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<std::int64_t>(usage.ru_maxrss) * 1024;
}

/// main() of a program: prints what `run` returns as one line of JSON.
template <class Run>
int run_main(const char* name, const Run& run) try {
  std::printf("%s\n", run().dump().c_str());
  return 0;
} catch (const std::exception& error) {
  std::fprintf(stderr, "%s: %s\n", name, error.what());
  return 2;
}

}  // namespace holdfast::bench
