#include "train/test_splits.h"

#include <fmt/format.h>

#include "train/metrics.h"

namespace holdfast {

void test_before(const RunContext& run, const RunResult* earlier) {
  const Timed timed(run.result.seconds.test);
  for (std::size_t t = 0; t < run.inputs.tasks.size(); ++t) {
    const TaskData& task = run.inputs.tasks[t];
    TaskResult& result = run.result.tasks[t];
    if (earlier) {
      result.before = earlier->tasks[t].before;
    }
    if (task.test.empty() || earlier) {
      continue;
    }
    const Evaluation& before = result.before.emplace(
        measure(run.model, task.heads.start, task, task.test, "test", run.hooks));
    if (task.old) {
      run.notice(
          fmt::format("task {}: {:.1f}% of {} test texts are right before training; a drop "
                      "of {:.1f} points or more can be told from chance",
                      task.name, 100 * before.accuracy, before.n,
                      100 * smallest_detectable_drop(before.correct, before.n)));
    }
  }
}

void test_after(const RunContext& run) {
  const Timed timed(run.result.seconds.test);
  for (std::size_t t = 0; t < run.inputs.tasks.size(); ++t) {
    const TaskData& task = run.inputs.tasks[t];
    TaskResult& result = run.result.tasks[t];
    if (!task.test.empty()) {
      result.after = measure(run.model, task.heads.now, task, task.test, "test", run.hooks);
      result.paired = paired_result(*result.before, *result.after, task.test);
    }
  }
}

}  // namespace holdfast
