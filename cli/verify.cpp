// holdfast verify: whether a run is what its ledger says.
#include "train/verify.h"

#include <fmt/format.h>

#include <charconv>

#include "base/utf8.h"
#include "cli/run.h"
#include "cli/table.h"
#include "cli/usage.h"

namespace holdfast::cli {
namespace {

struct Options {
  std::string run, threads = "auto";
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

void print_text(const std::string& run, const Verification& result) {
  std::string out;
  for (const Finding& finding : result.findings) out += finding.text() + '\n';
  out += fmt::format(
      "{}: {}: {} lines{}, {} files; {}\nchain {}\n", utf8::printable(run),
      result.equal() ? "all is equal" : "differs", grouped(static_cast<std::int64_t>(result.lines)),
      result.finished ? "" : " of a run that did not end",
      grouped(static_cast<std::int64_t>(result.files)), executed(result), result.chain);
  print(out);
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
  const auto count = [](std::size_t n) { return static_cast<std::int64_t>(n); };
  print(Json::object({{"run", run},
                      {"equal", result.equal()},
                      {"finished", result.finished},
                      {"lines", count(result.lines)},
                      {"files", count(result.files)},
                      {"chain", result.chain},
                      {"first_step", result.first},
                      {"last_step", result.last},
                      {"end", result.end},
                      {"findings", std::move(findings)}})
            .dump() +
        '\n');
}

int run(const Options& options, const Common& common) {
  Watch watch(common);
  const Verification result = verify_run(options.run, options.verify, watch.hooks());
  watch.clear();
  common.json ? print_json(options.run, result) : print_text(options.run, result);
  if (result.interrupted) return kInterrupted;
  return result.equal() ? kDone : kFailed;
}

}  // namespace

Command add_verify(CLI::App& app, Common& common) {
  CLI::App* sub = add_subcommand(
      app, common, "verify", "Checks a run against its ledger, and executes it again",
      "  holdfast verify runs/medical\n"
      "  holdfast verify runs/medical --from 501 --to 510\n\n"
      "Exit status 0: all is equal, bit for bit; 1: something differs, and the first difference "
      "is\n"
      "named; 2: it cannot be told here. Run it where the run was started: data files are looked\n"
      "for where the recipe says.");
  auto options = std::make_shared<Options>();
  sub->add_option("run", options->run, "Folder of a run")->required();
  sub->add_option("--from", options->verify.from,
                  "First step of interest: begins at the nearest checkpoint before it")
      ->check(whole_number(1));
  sub->add_option("--to", options->verify.to, "Last step to execute")->check(whole_number(1));
  sub->add_option("--threads", options->threads, "Worker threads, or auto; no bit depends on them")
      ->check(whole_number(1, 1024, "auto"));
  return {sub, [options, &common] {
            const std::string& threads = options->threads;
            if (threads != "auto")
              std::from_chars(threads.data(), threads.data() + threads.size(),
                              options->verify.threads);
            return run(*options, common);
          }};
}

}  // namespace holdfast::cli
