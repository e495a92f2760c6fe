#include "train/past.h"

#include <algorithm>

namespace holdfast {

std::vector<ArenaSpan> without_past(const Model& trained, const Inputs& inputs) {
  const bool new_adapter = inputs.model.adapter().kind == AdapterKind::none;
  const TaskHeads& heads = inputs.tasks.front().heads;  // old tasks of a head that grows share it
  const std::int64_t old_rows =
      heads.start == heads.now ? 0 : std::ssize(inputs.model.head(heads.start)->labels);
  std::vector<ArenaSpan> spans;
  for (const NamedSlice& slice : trained.arena().slices()) {
    const std::int64_t end = slice.offset + slice.size;
    if (slice.adapter && new_adapter) {
      append_span(spans, {slice.offset, end});
    } else if (!slice.task.empty() && slice.task == inputs.new_head) {
      append_span(spans, {slice.offset + old_rows * (slice.size / slice.shape[0]), end});
    }
  }
  return spans;
}

std::string shared_head(const Inputs& inputs) {
  const std::string& now = inputs.fresh().heads.now;
  const bool shared = std::any_of(inputs.tasks.begin(), inputs.tasks.end(),
                                  [&](const TaskData& t) { return t.old && t.heads.now == now; });
  return shared ? now : "";
}

std::vector<NamedSlice> slices_less(const ParameterArena& arena,
                                    const std::vector<ArenaSpan>& left_out) {
  std::vector<NamedSlice> rest;
  for (NamedSlice slice : arena.slices()) {
    const ArenaSpan whole{slice.offset, slice.offset + slice.size};
    const std::vector<ArenaSpan> out = intersection({&whole, 1}, left_out);
    const std::int64_t size = (out.empty() ? whole.end : out.front().begin) - whole.begin;
    if (size > 0) {
      slice.shape = slice.shape.with(0, size / (slice.size / slice.shape[0]));
      slice.size = size;
      rest.push_back(std::move(slice));
    }
  }
  return rest;
}

}  // namespace holdfast
