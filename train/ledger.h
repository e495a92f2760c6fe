// ledger.jsonl: what happened, a line of JSON each, on the disk as it happens and chained, so that
// no line can be changed, dropped or added unnoticed. Lines of kind "step" (one a training step),
// "evaluation" and "action" after one of kind "run"; one of kind "save" before the model takes its
// place; one of kind "end" closes it. Tested by tests/train/ledger_test.cpp.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "base/json.h"

namespace holdfast {

/// Takes one line: into the ledger, or to compare it with one (train/verify).
using LineWriter = std::function<void(std::string_view kind, const Json& members)>;

/// An end of a line.
struct LedgerPlace {
  std::int64_t bytes = 0;  // up to there
  std::string chain;       // of the line that ends there; "" at the beginning
};

/// Every line is {"kind": kind, ...members, "chain": c} with
///   c = SHA-256(chain of the line before, as 64 hexadecimal digits, none before the first line,
///               followed by this line's bytes without the member "chain")
/// so that the last chain stands for all lines. Nothing but the members "seconds" and "execution"
/// (of the machine) may differ when the run is repeated.
class Ledger {
 public:
  /// Continues a ledger at `place`, from an empty one on; what comes after it is dropped.
  /// `execution`: what the first line that is written says under this name, beside its own. Throws
  /// std::runtime_error.
  explicit Ledger(const std::filesystem::path& path, const LedgerPlace& place = {},
                  Json::Object execution = {})
      : file_(path, place.bytes), chain_(place.chain), execution_(std::move(execution)) {}

  /// A line of kind "save" or "end", and the first one with `execution`, is on the disk on return.
  /// Throws std::runtime_error when it cannot be written.
  void write(std::string_view kind, const Json& members);
  /// What is written so far reaches the disk.
  void sync() { file_.sync(); }
  LedgerPlace place() const { return {file_.size(), chain_}; }

 private:
  AppendingFile file_;
  std::string chain_;
  Json::Object execution_;
};

/// A ledger that was written: its lines up to the first that is not as it was written.
class LedgerReader {
 public:
  /// Throws std::runtime_error when the file cannot be read.
  explicit LedgerReader(const std::filesystem::path& path);

  std::size_t size() const { return places_.size(); }
  /// Line i, from 0, with all its members. Throws std::runtime_error, `<file>:<line>: ...`.
  Json line(std::size_t i) const;
  /// "ledger.jsonl:<i + 1>", for messages.
  std::string where(std::size_t i) const;
  /// The end of line i.
  const LedgerPlace& place(std::size_t i) const { return places_[i]; }
  /// The line that ends at `place`.
  std::optional<std::size_t> find(const LedgerPlace& place) const;
  /// Bytes that follow the last whole line: a line cut short by the end of the process or changed
  /// later, and all after it.
  bool broken() const { return rest() < text_.size(); }
  /// Whether these are no whole line.
  bool cut_short() const { return broken() && text_.find('\n', rest()) == std::string::npos; }
  /// Lines after the one with which they begin, the last of them whole or not.
  std::size_t unread() const;

 private:
  std::size_t rest() const {
    return places_.empty() ? 0 : static_cast<std::size_t>(places_.back().bytes);
  }

  std::string name_, text_;
  std::vector<LedgerPlace> places_;
};

/// Where two lines differ.
struct LineDifference {
  std::string member;  // dotted: "task_loss.news"
  Json was, is;        // null where there is none
  /// "<member> is <is>, was <was>".
  std::string text() const;
};

/// The first member that is not the same in both; but for "seconds", "execution" and "chain" at the
/// top.
std::optional<LineDifference> first_difference(const Json& was, const Json& is);

}  // namespace holdfast
