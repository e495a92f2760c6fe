#include "cli/progress.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "base/text.h"
#include "base/utf8.h"

namespace holdfast::cli {
namespace {

constexpr int kPlainWidth = 200;  // of a line that is not on a terminal

int terminal_width() {
  winsize size{};
  return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

/// To standard error; that nobody can read it must stop no run.
void write(const std::string& text) {
  std::fputs(text.c_str(), stderr);
  std::fflush(stderr);
}

std::string bar(double share, int width) {
  const int full = static_cast<int>(share * width);
  return '[' + std::string(static_cast<std::size_t>(full), '#') +
         std::string(static_cast<std::size_t>(width - full), ' ') + ']';
}

}  // namespace

std::string progress_line(const Step& step, int width, bool with_bar) {
  std::string head = utf8::printable(step.phase);
  if (!step.detail.empty()) head += ' ' + utf8::printable(step.detail);
  std::string tail;
  if (step.total > 0 && step.done > 0) {
    const double share =
        std::clamp(static_cast<double>(step.done) / static_cast<double>(step.total), 0.0, 1.0);
    if (with_bar) tail += ' ' + bar(share, 20);
    tail += fmt::format(" {:3.0f}% {}/{}", 100 * share, step.done, step.total);
  } else if (step.done > 0) {
    tail += fmt::format(" {}", step.done);
  }
  if (step.loss >= 0) tail += fmt::format("  loss {:.3f}", step.loss);
  if (step.tokens_per_second > 0) tail += fmt::format("  {:.0f} tokens/s", step.tokens_per_second);
  if (step.seconds_left >= 0) tail += fmt::format("  {} left", human_duration(step.seconds_left));
  const auto room = static_cast<std::size_t>(std::max(width, 1));
  std::string line = head + tail;
  if (line.size() > room) line.resize(room);
  return utf8::replace_invalid(line);
}

Progress::Progress(bool quiet) : quiet_(quiet), terminal_(false) {
  const char* term = std::getenv("TERM");
  terminal_ = isatty(STDERR_FILENO) != 0 && !(term && std::string_view(term) == "dumb");
}

void Progress::update(const Step& step) {
  if (quiet_) return;
  const auto now = Clock::now();
  const auto pause = std::chrono::milliseconds(terminal_ ? 100 : 10'000);
  const bool is_new = begun_.emplace(step.phase).second;
  if (is_new || now - last_ >= pause) draw(step);
}

void Progress::finish(const Step& step) {
  if (!quiet_) draw(step);
}

void Progress::draw(const Step& step) {
  last_ = Clock::now();
  const int width = terminal_width();
  if (terminal_)
    write(fmt::format("\r{}\x1b[K", progress_line(step, width - 1, width >= 72)));
  else
    write(progress_line(step, kPlainWidth, false) + '\n');
  drawn_ = true;
}

void Progress::notice(std::string_view line) {
  if (quiet_) return;
  clear();
  write(utf8::printable(line) + '\n');
}

void Progress::clear() {
  if (drawn_ && terminal_) write("\r\x1b[K");
  drawn_ = false;
}

}  // namespace holdfast::cli
