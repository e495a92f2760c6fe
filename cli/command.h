// What the subcommands share: how one is declared, and which exit status an error means.
// Each subcommand is one file: parse, call, print.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <stdexcept>
#include <string>

namespace holdfast::cli {

// Exit statuses, as documented in interface and README.
inline constexpr int kDone = 0;
inline constexpr int kFailed = 1;   // after work had begun
inline constexpr int kRefused = 2;  // before the first step: usage, recipe, any bad input file
inline constexpr int kInterrupted = 130;  // Ctrl-C, after saving

/// Options of every command.
struct Common {
  bool json = false;   // one JSON document, or JSON Lines, on standard output
  bool quiet = false;  // no progress, no notices
};

/// A subcommand: its options, and what to run once they are parsed. `run` returns the exit status.
/// Exceptions it throws mean kRefused, unless they are Failed.
struct Command {
  CLI::App* app = nullptr;
  std::function<int()> run;
};

/// An error after work had begun: exit status 1.
class Failed : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Runs `body`, the part of a command that computes or writes: what it throws becomes Failed.
template <class Body>
auto working(Body&& body) {
  try {
    return body();
  } catch (const std::bad_alloc&) {
    throw;
  } catch (const std::exception& error) {
    throw Failed(error.what());
  }
}

/// Adds a subcommand with --json and --quiet; `examples` follow the options in its help.
CLI::App* add_subcommand(CLI::App& app, Common& common, const std::string& name,
                         const std::string& description, const std::string& examples);

Command add_train(CLI::App& app, Common& common);
Command add_compare(CLI::App& app, Common& common);
Command add_ablate(CLI::App& app, Common& common);
Command add_search(CLI::App& app, Common& common);
Command add_evaluate(CLI::App& app, Common& common);
Command add_predict(CLI::App& app, Common& common);
Command add_tokenize(CLI::App& app, Common& common);
Command add_train_tokenizer(CLI::App& app, Common& common);
Command add_init(CLI::App& app, Common& common);
Command add_select(CLI::App& app, Common& common);
Command add_fisher(CLI::App& app, Common& common);
Command add_trace(CLI::App& app, Common& common);
Command add_merge(CLI::App& app, Common& common);
Command add_audit(CLI::App& app, Common& common);
Command add_verify(CLI::App& app, Common& common);
Command add_info(CLI::App& app, Common& common);

}  // namespace holdfast::cli
