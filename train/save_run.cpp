#include "train/save_run.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "base/file.h"
#include "nn/peft.h"
#include "tensor/storage.h"
#include "train/leave.h"
#include "train/metrics.h"
#include "train/output.h"
#include "train/run_line.h"
#include "train/state_hash.h"

namespace holdfast {
namespace {

// Into a folder that is there; without the heads that have grown into another.
void write_model(const RunContext& run, const std::filesystem::path& folder) {
  std::optional<Model> pruned;
  for (const TaskData& task : run.inputs.tasks) {
    if (task.heads.start == task.heads.now) {
      continue;
    }
    if (!pruned) {
      pruned = run.model.clone();
    }
    if (pruned->head(task.heads.start)) {
      pruned->remove_head(task.heads.start);
    }
  }
  const Model& model = pruned ? *pruned : run.model;
  model.save(folder, run.inputs.fresh().heads.now);
  run.inputs.tokenizer.save(folder, model.config().max_positions);
}

// The ledger says what the model is before it takes its place, so that nobody can put another
// there.
void save_model(const RunContext& run, const std::string& weights, const LineWriter& line,
                Fingerprints& files) {
  std::optional<DirectoryWriter> adapter;
  if (run.model.adapter().kind == AdapterKind::lora) {
    adapter.emplace(run.output() / "adapter");
    write_peft(run.model, run.inputs.fresh().heads.now, run.recipe.model, adapter->temporary());
    files = fingerprint_folder(adapter->temporary(), "adapter");
    run.model.merge_lora();
  }
  run.result.drift = measure_drift(run.model, run.inputs.model);
  DirectoryWriter model(run.output() / "model");
  write_model(run, model.temporary());
  files.merge(fingerprint_folder(model.temporary(), "model"));
  line("save", save_line(run.result, weights, files));
  if (adapter) {
    adapter->commit();
  }
  model.commit();
}

// The model is safe by now, and stays so whatever becomes of this.
void leave(const RunContext& run, const Prepared& prepared) {
  try {
    leave_behind(run, prepared);
  } catch (const Stopped&) {
    run.result.interrupted = true;
  } catch (const std::runtime_error& error) {
    run.notice(fmt::format("nothing is left for later runs: {}", error.what()));
  }
}

void summarise(RunResult& result) {
  double shares = 0;
  for (const StepRecord& record : result.ledger) {
    shares += record.penalty_share();
    result.max_penalty_share = std::max(result.max_penalty_share, record.penalty_share());
  }
  result.penalty_share = shares / static_cast<double>(std::max<std::int64_t>(result.steps, 1));
  result.peak_bytes = memory_use().peak;
}

}  // namespace

void save_run(const RunContext& run, const Prepared* prepared, const LineWriter& line) {
  const Timed timed(run.result.seconds.save);
  const std::string weights = hash_weights(run.model.arena());
  if (!std::isfinite(gradient_norm(run.model.arena().values()))) {
    throw std::runtime_error(fmt::format(
        "the weights after step {} are not finite; nothing was saved. Lower the learning rate",
        run.result.steps));
  }
  run.tell_always({.phase = "save", .detail = run.recipe.output, .done = 0, .total = 1});
  Fingerprints files;
  save_model(run, weights, line, files);
  if (prepared) {
    leave(run, *prepared);
  }
  summarise(run.result);
  const auto take_fingerprints = [&] {
    files = fingerprint_files(run.output(), files_of_run(run.output()), files);
  };
  take_fingerprints();  // of what is large: little is between metrics.json and the last line
  write_file(run.output() / "metrics.json", metrics_json(run.result).dump(2) + "\n");
  if (run.hooks.saved) {
    run.hooks.saved(run.result);
  }
  take_fingerprints();
  line("end", end_line(run.result, files));
}

}  // namespace holdfast
