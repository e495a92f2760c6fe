// holdfast train: one run of a recipe.
#include <fmt/format.h>

#include "base/file.h"
#include "base/text.h"
#include "cli/profile.h"
#include "cli/run.h"
#include "cli/table.h"
#include "train/report.h"
#include "train/report_parts.h"

namespace holdfast::cli {
namespace {

constexpr std::int64_t kLargestReport = std::int64_t{1} << 30;  // bytes

std::string profile_file(const RunResult& run) { return run.recipe.output + "/profile.json"; }

std::filesystem::path report_file(const RunResult& run) {
  return std::filesystem::path(run.recipe.output) / "report.html";
}

// Before the ledger's last line, which covers them.
void leave_pages(const RunResult& run, const Profile& profile) {
  write_file(report_file(run), report_html(run));
  if (profile.summary().steps > 0) write_file(profile_file(run), profile.trace().dump() + '\n');
}

// After it: the page says with which chain it ended.
void name_chain(const RunResult& run) {
  if (run.chain.empty()) return;
  write_file(report_file(run),
             report::with_chain(read_file(report_file(run), kLargestReport), run.chain));
}

// What --json prints beside metrics.json.
Json::Object more_of(const RunResult& run, const Profile::Summary& profile) {
  Json::Object more;
  if (profile.steps > 0) more.emplace_back("profile", profile_json(profile));
  if (!run.chain.empty()) more.emplace_back("chain", run.chain);
  return more;
}

void print_result(const RunResult& run, const Profile::Summary& profile, const Common& common) {
  std::string out = tasks_text(run);
  out += fmt::format(
      "{} steps, {} tokens, {} of computing; {} holds model/, metrics.json and report.html\n",
      grouped(run.steps), grouped(run.tokens), human_duration(run.seconds.computing()),
      run.recipe.output);
  if (profile.steps > 0)
    out += fmt::format("\n{}{} is their timeline, for chrome://tracing or ui.perfetto.dev\n",
                       profile_text(profile), profile_file(run));
  if (!common.quiet && !run.chain.empty()) out += "chain " + run.chain + '\n';
  print(out);
}

struct Flags {
  bool profiled = false, resume = false;
};

int run(const RunOptions& options, const Flags& flags, const Common& common) {
  if (flags.profiled && options.dry_run)
    throw std::invalid_argument("--profile measures a run, --dry-run makes none: leave out one");
  const Recipe recipe = recipe_of(options);
  if (options.dry_run) return print_plan(recipe, 1, common);
  Watch watch(common);
  return training([&] {
    Profile profile;
    Hooks hooks = watch.hooks();
    if (flags.profiled) hooks.profile = &profile;
    hooks.saved = [&](const RunResult& run) { leave_pages(run, profile); };
    const RunResult result =
        flags.resume ? resume_recipe(recipe, hooks) : run_recipe(recipe, hooks);
    watch.clear();
    name_chain(result);
    const Profile::Summary summary = profile.summary();
    if (common.json)
      print_metrics(recipe.output, more_of(result, summary));
    else
      print_result(result, summary, common);
    return result.interrupted ? kInterrupted : kDone;
  });
}

}  // namespace

Command add_train(CLI::App& app, Common& common) {
  CLI::App* sub = add_subcommand(
      app, common, "train", "Fine-tunes a model as a recipe says",
      "  holdfast train examples/news-to-medical/news.toml\n"
      "  holdfast train recipe.toml --set training.epochs=1 --set seed=3 --output runs/try\n"
      "  holdfast train recipe.toml --set training.steps=50 --profile");
  auto options = add_run_options(*sub);
  auto flags = std::make_shared<Flags>();
  sub->add_flag("--profile", flags->profiled,
                "Show where a step's time goes, by operation; profile.json is a timeline");
  sub->add_flag(
      "--resume", flags->resume,
      "Go on with the run that the output folder holds, from its latest checkpoint, to the "
      "same bits as if it had never stopped");
  return {sub, [options, flags, &common] { return run(*options, *flags, common); }};
}

}  // namespace holdfast::cli
