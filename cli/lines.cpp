#include "cli/lines.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <stdexcept>

#include "base/utf8.h"

namespace holdfast::cli {
namespace {

constexpr std::size_t kBlock = 1 << 20;
constexpr std::size_t kLargestTable = std::size_t{4} << 30;  // read as a whole
constexpr std::size_t kLongestLine = std::size_t{16} << 20;

int open_input(const std::string& path) {
  const int number = path == "-" ? dup(STDIN_FILENO) : open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (number < 0) throw std::runtime_error(fmt::format("{}: {}", path, std::strerror(errno)));
  return number;
}

}  // namespace

LineReader::LineReader(const std::string& path)
    : name_(path == "-" ? "standard input" : path), file_(open_input(path)) {
  fill();  // a folder shows itself here, before anything is written
}

/// Reads one block more; false at the end.
bool LineReader::fill() {
  const std::size_t had = buffer_.size();
  buffer_.resize(had + kBlock);
  ssize_t got = 0;
  do {
    got = read(file_.get(), buffer_.data() + had, kBlock);
  } while (got < 0 && errno == EINTR);
  if (got < 0) throw std::runtime_error(fmt::format("{}: {}", name_, std::strerror(errno)));
  buffer_.resize(had + static_cast<std::size_t>(got));
  ended_ = got == 0;
  return !ended_;
}

void LineReader::check(std::string_view line, std::int64_t number) const {
  if (const std::size_t at = utf8::first_invalid(line); at != std::string_view::npos)
    throw std::runtime_error(
        fmt::format("{}:{}: byte {} is not UTF-8; convert the file first", name_, number, at + 1));
}

std::string_view LineReader::first_line_text() {
  while (buffer_.find('\n') == std::string::npos && buffer_.size() <= kLongestLine && fill()) {
  }
  std::string_view line = std::string_view(buffer_).substr(0, buffer_.find('\n'));
  line.remove_suffix(line.ends_with('\r') ? 1 : 0);
  return line;
}

std::string LineReader::take_all() {
  while (fill()) {
    if (buffer_.size() > kLargestTable)
      throw std::runtime_error(name_ + ": is larger than 4 GiB; give it as a file, in parts");
  }
  return std::move(buffer_);
}

bool LineReader::next(std::vector<std::string_view>& lines) {
  lines.clear();
  buffer_.erase(0, used_);
  used_ = 0;
  std::size_t searched = 0;
  std::size_t last = std::string::npos;
  for (;;) {  // until a whole line is there
    last = buffer_.rfind('\n');
    if (last != std::string::npos && last >= searched) break;
    searched = buffer_.size();
    if (searched > kLongestLine)
      throw std::runtime_error(
          fmt::format("{}:{}: the line is longer than 16 MiB; is this a file of texts, one a line?",
                      name_, next_line_));
    if (ended_ || !fill()) break;
  }
  const bool whole = last != std::string::npos;
  used_ = whole ? last + 1 : buffer_.size();
  first_line_ = next_line_;
  for (std::size_t at = 0; at < used_;) {
    const std::size_t end = std::min(buffer_.find('\n', at), used_);
    std::string_view line(buffer_.data() + at, end - at);
    if (end < used_ && line.ends_with('\r')) line.remove_suffix(1);
    check(line, next_line_++);
    lines.push_back(line);
    at = end + 1;
  }
  return !lines.empty();
}

}  // namespace holdfast::cli
