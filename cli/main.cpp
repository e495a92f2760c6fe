// holdfast: the program. Each subcommand has a file of its own; errors are one line on standard
// error: what, where, what to do. Tested by tests/cli.
#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <exception>
#include <sstream>
#include <string>
#include <vector>

#include "base/utf8.h"
#include "base/version.h"
#include "cli/command.h"
#include "cli/table.h"
#include "cli/usage.h"
#include "train/trainer.h"

namespace holdfast::cli {

CLI::App* add_subcommand(CLI::App& app, Common& common, const std::string& name,
                         const std::string& description, const std::string& examples) {
  CLI::App* sub = app.add_subcommand(name, description);
  sub->footer("\nExamples:\n" + examples);
  sub->add_flag("--json", common.json, "Machine-readable results on standard output");
  sub->add_flag("--quiet", common.quiet, "No progress and no notices");
  return sub;
}

namespace {

constexpr std::string_view kSummary =
    R"(holdfast fine-tunes BERT classifiers on a new task without forgetting the old one.

  holdfast compare recipe.toml
  holdfast predict --model runs/medical/recipe/model --text "Stocks rose on Friday."

  train, compare             run a recipe; or run it beside naive fine-tuning
  ablate, search             what each measure is worth alone; the best of a grid
  evaluate, predict          what a model knows; what it says
  tokenize, train-tokenizer  texts to ids; a vocabulary from texts
  init, merge                a fresh BERT; one model of several
  select, fisher             the recipe's parts: texts to keep, weights to hold
  info, trace                this machine, or a model's card; a batch's every number
  audit, verify              every formula, checked; a run, executed again

`holdfast COMMAND --help` shows options and examples.
)";

int report(const char* message, int status) {
  std::fprintf(stderr, "holdfast: %s\n", utf8::printable(message).c_str());
  return status;
}

/// `holdfast help train` is `holdfast train --help`.
std::vector<std::string> arguments(int argc, char** argv) {
  std::vector<std::string> out(argv + std::min(argc, 1), argv + argc);
  if (!out.empty() && out.front() == "help") {
    out.erase(out.begin());
    out.push_back("--help");
  }
  return {out.rbegin(), out.rend()};  // CLI11 takes them backwards
}

/// One line about a command line that was not understood.
int refuse(const CLI::App& app, const CLI::ParseError& error) {
  if (const std::string word = misunderstood(app); !word.empty())
    return report(word.c_str(), kRefused);
  const std::string command =
      app.get_subcommands().empty() ? "" : app.get_subcommands().front()->get_name() + ' ';
  return report(fmt::format("{}; see `holdfast {}--help`", error.what(), command).c_str(),
                kRefused);
}

int run(int argc, char** argv) {
  CLI::App app{"Fine-tunes BERT classifiers on a new task without forgetting the old one.",
               "holdfast"};
  app.set_version_flag("--version", "holdfast " + std::string(version()));
  app.require_subcommand(0, 1);
  Common common;
  const std::vector<Command> commands = {
      add_train(app, common),    add_compare(app, common),         add_ablate(app, common),
      add_search(app, common),   add_evaluate(app, common),        add_predict(app, common),
      add_tokenize(app, common), add_train_tokenizer(app, common), add_init(app, common),
      add_select(app, common),   add_fisher(app, common),          add_merge(app, common),
      add_trace(app, common),    add_audit(app, common),           add_verify(app, common),
      add_info(app, common),
  };
  try {
    app.parse(arguments(argc, argv));
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() != 0 || no_such_command(app)) return refuse(app, error);
    std::ostringstream text;  // --help, --version
    app.exit(error, text, text);
    print(text.str());
    return kDone;
  }
  for (const Command& command : commands)
    if (command.app->parsed()) return command.run();
  print(kSummary);
  return kDone;
}

/// Takes the numbers of closed standard streams, which files would get else: what is read is empty,
/// what is printed fails as on a full disk.
void open_standard_streams() {
  for (const int number : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
    if (fcntl(number, F_GETFD) < 0 && errno == EBADF)
      open(number == STDOUT_FILENO ? "/dev/full" : "/dev/null", number == 0 ? O_RDONLY : O_WRONLY);
}

}  // namespace
}  // namespace holdfast::cli

int main(int argc, char** argv) {
  using namespace holdfast::cli;
  open_standard_streams();
  signal(SIGXFSZ, SIG_IGN);  // a file over the limit is then an ordinary write error
  try {
    return run(argc, argv);
  } catch (const Failed& error) {
    return report(error.what(), kFailed);
  } catch (const std::bad_alloc&) {
    return report("out of memory; a smaller batch_size or max_length needs less", kFailed);
  } catch (const std::invalid_argument& error) {
    return report(error.what(), kRefused);
  } catch (const std::logic_error& error) {
    return report((std::string(error.what()) + " (a bug: please report it)").c_str(), kFailed);
  } catch (const std::exception& error) {
    return report(error.what(), kRefused);
  }
}
