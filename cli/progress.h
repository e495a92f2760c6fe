// Progress on standard error: one line that moves on a terminal, plain lines elsewhere, nothing
// when quiet.
#pragma once

#include <chrono>
#include <cstdint>
#include <set>
#include <string>
#include <string_view>

namespace holdfast::cli {

/// How far something is, in the words of a progress line.
struct Step {
  std::string_view phase, detail;
  std::int64_t done = 0, total = 0;  // total 0: not known
  double tokens_per_second = 0;      // 0: not known
  double seconds_left = -1;          // below 0: not known
  double loss = -1;                  // below 0: there is none
};

/// The line for `step`, at most `width` columns.
std::string progress_line(const Step& step, int width, bool with_bar);

class Progress {
 public:
  explicit Progress(bool quiet);
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  ~Progress() { clear(); }

  /// Redraws the moving line, ten times a second at most; elsewhere prints a line when a phase
  /// begins for the first time and every ten seconds.
  void update(const Step& step);
  /// Shows the end of a phase, however little time has passed.
  void finish(const Step& step);
  /// One line that stays, above the moving one.
  void notice(std::string_view line);
  /// Removes the moving line.
  void clear();

 private:
  using Clock = std::chrono::steady_clock;

  void draw(const Step& step);

  bool quiet_;
  bool terminal_;
  bool drawn_ = false;
  std::set<std::string> begun_;  // phases that have been shown
  Clock::time_point last_;
};

}  // namespace holdfast::cli
