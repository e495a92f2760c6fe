#include "nn/trace.h"

namespace holdfast {
namespace {

// Modules that hand on, dropout being off, what the first one computed.
struct SameOutput {
  std::string_view end;  // of the recorded path
  std::vector<std::string_view> others;
};
const std::vector<SameOutput>& same_outputs() {
  static const std::vector<SameOutput> table = {
      {"bert.embeddings", {"bert.embeddings.LayerNorm", "bert.embeddings.dropout"}},
      {".attention.output.dense", {".attention.output.dropout"}},
      {".attention.output", {".attention", ".attention.output.LayerNorm"}},
      {".intermediate", {".intermediate.intermediate_act_fn"}},
      {".output.dense", {".output.dropout"}},
      {".output", {"", ".output.LayerNorm"}},
      {"bert.pooler", {"bert.pooler.activation", "dropout"}}};
  return table;
}

void add_same_outputs(ActivationTrace& activations) {
  const std::size_t recorded = activations.size();
  for (std::size_t i = 0; i < recorded; ++i) {
    const auto [path, value] = activations[i];
    for (const auto& [end, others] : same_outputs()) {
      if (!path.ends_with(end)) continue;
      const std::string begin = path.substr(0, path.size() - end.size());
      for (const std::string_view other : others)
        activations.emplace_back(begin + std::string(other), value);
      break;
    }
  }
}

}  // namespace

BatchTrace trace_batch(Model& model, const Head& head, const Batch& batch, const Tensor& labels) {
  ParameterArena& arena = model.arena();
  const std::int64_t B = batch.texts();
  BatchTrace out;
  arena.zero_grad();
  const Var logits = model.logits(model.pool(batch, {}, &out.activations), head);
  const Var loss = softmax_cross_entropy(
      logits, labels, Tensor::full({B}, model.dtype(), 1.0 / static_cast<double>(B)));
  backward(loss);
  arena.clear_unreached();
  out.logits = logits.value();
  out.loss = loss.value();
  out.activations.emplace_back("classifier", out.logits);
  add_same_outputs(out.activations);
  for (const NamedSlice& slice : arena.slices()) {
    const bool another_head = !slice.task.empty() && slice.task != head.task;
    if (another_head || !arena.trainable(slice)) continue;
    out.gradients.emplace_back(Model::file_name(slice, head.task), arena.grad(slice));
  }
  return out;
}

}  // namespace holdfast
