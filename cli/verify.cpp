// holdfast verify: whether a run is what its ledger says.
#include "train/verify.h"

#include <fmt/format.h>

#include <charconv>
#include <string>

#include "base/utf8.h"
#include "cli/run.h"
#include "cli/table.h"
#include "cli/usage.h"

namespace holdfast::cli {
namespace {

struct Options {
  std::string run, threads = "auto";
  bool no_execute = false;
  VerifyOptions verify;
};

std::string executed(const Verification& result) {
  if (result.last == 0 && !result.end) return "nothing was executed again";
  std::string text = result.last == 0 ? "the end was executed again"
                                      : fmt::format("steps {} to {} were executed again",
                                                    result.first, result.last);
  if (result.end && result.last > 0) text += ", to the saved model";
  return text;
}

// What the lines are of, when the last one is not there.
std::string of_what(const Verification& result) {
  if (result.finished) return "";
  if (!result.broken) return " of a run that did not end";
  return fmt::format(" (after the broken line {} lines were not read)",
                     grouped(static_cast<std::int64_t>(result.unread)));
}

void print_text(const std::string& run, const Verification& result) {
  std::string out;
  for (const Finding& finding : result.findings) out += finding.text() + '\n';
  out += fmt::format("{}: {}: {} lines{}, {} files; {}\n", utf8::printable(run),
                     result.equal() ? "all is equal" : "differs",
                     grouped(static_cast<std::int64_t>(result.lines)), of_what(result),
                     grouped(static_cast<std::int64_t>(result.files)),
                     result.refusal.empty() ? executed(result) : result.refusal);
  if (!result.chain.empty()) out += "chain " + result.chain + '\n';
  print(out);
}

// Status 2: nothing contradicts the ledger, but not all could be told.
[[noreturn]] void refuse(const std::string& run, const Verification& result) {
  throw Refused(fmt::format("{}: chain and {} files hold; {}", run,
                            grouped(static_cast<std::int64_t>(result.files)), result.refusal));
}

void print_json(const std::string& run, const Verification& result) {
  Json findings = Json::list();
  for (const Finding& finding : result.findings) {
    Json object = Json::object({{"where", finding.where}, {"text", finding.text()}});
    if (finding.step > 0) object.add("step", finding.step);
    if (!finding.difference.member.empty()) {
      object.add("member", finding.difference.member);
      object.add("was", finding.difference.was);
      object.add("is", finding.difference.is);
    }
    findings.push_back(std::move(object));
  }
  const bool refused = result.equal() && !result.refusal.empty();
  const auto count = [](std::size_t n) { return static_cast<std::int64_t>(n); };
  print(Json::object({{"run", run},
                      {"equal", refused ? Json() : Json(result.equal())},
                      {"finished", result.finished},
                      {"lines", count(result.lines)},
                      {"unread_lines", count(result.unread)},
                      {"files", count(result.files)},
                      {"chain", result.chain},
                      {"first_step", result.first},
                      {"last_step", result.last},
                      {"end", result.end},
                      {"findings", std::move(findings)},
                      {"refused", result.refusal.empty() ? Json() : Json(result.refusal)}})
            .dump() +
        '\n');
}

CLI::Validator chain_digits() {
  return CLI::Validator(
      [](const std::string& chain) {
        const bool hex = chain.find_first_not_of("0123456789abcdef") == std::string::npos;
        return chain.size() == 64 && hex ? "" : "must be 64 hexadecimal digits, 0-9 and a-f";
      },
      "HEX");
}

int run(const Options& options, const Common& common) {
  Watch watch(common);
  const Verification result = verify_run(options.run, options.verify, watch.hooks());
  watch.clear();
  const bool refused = result.equal() && !result.refusal.empty();
  if (common.json)
    print_json(options.run, result);
  else if (!refused)
    print_text(options.run, result);
  if (refused) refuse(options.run, result);
  if (result.interrupted) return kInterrupted;
  return result.equal() ? kDone : kFailed;
}

}  // namespace

Command add_verify(CLI::App& app, Common& common) {
  CLI::App* sub = add_subcommand(
      app, common, "verify", "Checks a run against its ledger, and executes it again",
      "  holdfast verify runs/medical\n"
      "  holdfast verify runs/medical --from 501 --to 510\n"
      "  holdfast verify runs/medical --no-execute --chain HEX\n\n"
      "Exit status 0: all is equal, bit for bit; 1: something contradicts the ledger, and it is\n"
      "named, with the first line that comes out differently; 2: nothing does, as far as it can "
      "be\n"
      "told here. Run it where the run was started: data files are looked for where the recipe\n"
      "says.");
  auto options = std::make_shared<Options>();
  sub->add_option("run", options->run, "Folder of a run")->required();
  sub->add_option("--chain", options->verify.chain,
                  "The last chain as you have noted it down, which train prints at its end")
      ->check(chain_digits());
  CLI::Option* from =
      sub->add_option("--from", options->verify.from,
                      "First step of interest: begins at the nearest checkpoint before it")
          ->check(whole_number(1));
  CLI::Option* to =
      sub->add_option("--to", options->verify.to, "Last step to execute")->check(whole_number(1));
  sub->add_flag("--no-execute", options->no_execute,
                "Check the chain and the files alone, and execute nothing")
      ->excludes(from)
      ->excludes(to);
  sub->add_option("--threads", options->threads, "Worker threads, or auto; no bit depends on them")
      ->check(whole_number(1, 1024, "auto"));
  return {sub, [options, &common] {
            const std::string& threads = options->threads;
            if (threads != "auto")
              std::from_chars(threads.data(), threads.data() + threads.size(),
                              options->verify.threads);
            options->verify.execute = !options->no_execute;
            return run(*options, common);
          }};
}

}  // namespace holdfast::cli
