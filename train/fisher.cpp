#include "train/fisher.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <stdexcept>

#include "nn/safetensors.h"
#include "tensor/kernels/dispatch.h"
#include "train/names.h"
#include "train/per_sample.h"

namespace holdfast {
namespace {

constexpr std::array kKinds = {std::pair{FisherKind::true_fisher, "true"},
                               std::pair{FisherKind::empirical, "empirical"}};
constexpr std::string_view kConvention =
    "mean over texts of squared per-sample gradients of -log p; evaluation mode; not normalised";

// softmax of (B, K) logits in double.
std::vector<double> softmax_rows(const Tensor& logits) {
  std::vector<double> p = logits.to_vector();
  const auto K = static_cast<std::size_t>(logits.size(1));
  for (std::size_t row = 0; row < p.size(); row += K) {
    double* z = p.data() + row;
    const double largest = *std::max_element(z, z + K);
    double sum = 0;
    for (std::size_t k = 0; k < K; ++k) sum += z[k] = std::exp(z[k] - largest);
    for (std::size_t k = 0; k < K; ++k) z[k] /= sum;
  }
  return p;
}

// The gradients (B, K) of the logits that are walked back, one pass each.
std::vector<std::vector<double>> logit_gradients(FisherKind kind, const std::vector<double>& p,
                                                 std::size_t K, std::span<const Sample> samples) {
  if (kind == FisherKind::empirical) {
    std::vector<double> gradient = p;  // p - e_y
    for (std::size_t n = 0; n < samples.size(); ++n) {
      gradient[n * K + static_cast<std::size_t>(samples[n].label)] -= 1;
    }
    return {gradient};
  }
  std::vector<std::vector<double>> gradients(K - 1, std::vector<double>(p.size()));
  for (std::size_t n = 0; n < samples.size(); ++n) {
    const std::vector<double> factor = fisher_factor(std::span(p).subspan(n * K, K));
    for (std::size_t k = 0; k + 1 < K; ++k) {
      for (std::size_t i = 0; i < K; ++i) gradients[k][n * K + i] = factor[i * (K - 1) + k];
    }
  }
  return gradients;
}

void check(const Head& head, std::span<const Sample> samples, const FisherOptions& options) {
  if (options.dropout.active) {
    throw std::invalid_argument(
        "[fisher] dropout is on: Fisher information is that of the model without it");
  }
  if (samples.empty()) throw std::invalid_argument("[fisher] there are no samples");
  if (options.batch_size < 1) throw std::invalid_argument("[fisher] batch_size must be at least 1");
  if (head.labels.size() < 2) {
    throw std::invalid_argument(
        fmt::format("[fisher] head \"{}\" has fewer than two labels", head.task));
  }
  for (const Sample& sample : samples) {
    if (sample.label < 0 || static_cast<std::size_t>(sample.label) >= head.labels.size()) {
      throw std::invalid_argument(
          fmt::format("[fisher] sample {} has label {}, head \"{}\" has {} labels", sample.id,
                      sample.label, head.task, head.labels.size()));
    }
  }
}

// One forward pass, then a backward pass for every gradient of the logits.
void add_batch(Model& model, const Head& head, std::span<const Sample> samples, FisherKind kind,
               PerSampleSquares& squares) {
  std::vector<TokenSpan> texts;
  for (const Sample& sample : samples) {
    texts.push_back({sample.ids, sample.type_ids, static_cast<std::int32_t>(texts.size())});
  }
  const Batch batch = pack(texts);
  const Var logits = model.logits(model.pool(model.encode(batch), batch), head);
  const std::vector<double> p = softmax_rows(logits.value());
  for (const auto& gradient : logit_gradients(kind, p, head.labels.size(), samples)) {
    squares.begin(batch.packing);
    backward(logits, Tensor::from(gradient, logits.shape()).to(logits.dtype()), squares);
  }
}

}  // namespace

std::string_view name_of(FisherKind kind) { return name_in(kKinds, kind); }
FisherKind parse_fisher_kind(std::string_view name) {
  return parse_in(kKinds, "fisher kind", name);
}

std::vector<double> fisher_factor(std::span<const double> probabilities) {
  const std::size_t K = probabilities.size();
  std::vector<double> tails(K + 1, 0);
  for (std::size_t i = K; i-- > 0;) tails[i] = tails[i + 1] + probabilities[i];
  std::vector<double> factor(K * (K - 1), 0);
  for (std::size_t j = 0; j + 1 < K; ++j) {
    if (tails[j + 1] == 0) break;  // all probability lies before: the rest of B is zero
    const double diagonal = std::sqrt(probabilities[j] * (tails[j + 1] / tails[j]));
    factor[j * (K - 1) + j] = diagonal;
    for (std::size_t i = j + 1; i < K; ++i) {
      factor[i * (K - 1) + j] = -diagonal * (probabilities[i] / tails[j + 1]);
    }
  }
  return factor;
}

FisherResult fisher_diagonal(Model& model, const Head& head, std::span<const Sample> samples,
                             const FisherOptions& options, const FisherProgress& progress) {
  check(head, samples, options);
  PerSampleSquares squares(model.arena());
  const std::int64_t total = static_cast<std::int64_t>(samples.size());
  for (std::int64_t begin = 0; begin < total; begin += options.batch_size) {
    const std::int64_t count = std::min(options.batch_size, total - begin);
    add_batch(model, head,
              samples.subspan(static_cast<std::size_t>(begin), static_cast<std::size_t>(count)),
              options.kind, squares);
    if (progress) progress(begin + count, total);
  }
  FisherResult result{.values = Tensor::empty({model.arena().numel()}, model.dtype()),
                      .kind = options.kind,
                      .samples = total,
                      .scale = {}};
  dispatch(model.dtype(), "fisher", [&]<class T>() {
    const auto sums = squares.sums().span<double>();
    std::transform(sums.begin(), sums.end(), result.values.data<T>(), [&](double sum) {
      if (!std::isfinite(sum)) {
        throw std::runtime_error(
            "[fisher] a squared gradient is not finite: the model's weights are broken");
      }
      return static_cast<T>(sum / static_cast<double>(total));
    });
  });
  result.scale = measure_importance(result.values, model.arena().parameter_count());
  if (result.scale.maximum == 0) {
    throw std::runtime_error(fmt::format(
        "[fisher] F is zero everywhere on {} texts of task \"{}\": the model is certain of "
        "every answer, so no weight seems to matter; use other texts",
        total, head.task));
  }
  return result;
}

void save_fisher(const std::filesystem::path& path, const FisherResult& fisher,
                 const ParameterArena& arena, std::string_view task) {
  std::vector<std::pair<std::string, Tensor>> tensors;
  for (const NamedSlice& slice : arena.slices()) {
    if (!slice.task.empty() && slice.task != task) continue;
    tensors.emplace_back(
        Model::file_name(slice, task),
        fisher.values.slice(0, slice.offset, slice.offset + slice.size).reshape(slice.shape));
  }
  write_safetensors(path, tensors,
                    {{"format", "holdfast-fisher"},
                     {"task", std::string(task)},
                     {"kind", std::string(name_of(fisher.kind))},
                     {"samples", std::to_string(fisher.samples)},
                     {"convention", std::string(kConvention)}});
}

namespace {

// What the file says about itself and its values; problems are std::invalid_argument or out of
// range.
FisherResult read_fisher(const SafetensorsFile& file, const ParameterArena& arena) {
  const auto metadata = [&](const char* key) {
    const auto found = file.metadata().find(key);
    if (found != file.metadata().end()) return found->second;
    throw std::invalid_argument(
        fmt::format("its metadata has no \"{}\": it is no importance file", key));
  };
  FisherResult result{.values = Tensor::zeros({arena.numel()}, arena.dtype()),
                      .kind = parse_fisher_kind(metadata("kind")),
                      .samples = std::stoll(metadata("samples")),
                      .scale = {}};
  const std::string task = metadata("task");
  std::map<std::string, const NamedSlice*> slices;
  for (const NamedSlice& slice : arena.slices()) slices[Model::file_name(slice, task)] = &slice;
  for (const SafetensorsEntry& entry : file.entries()) {
    const auto found = slices.find(entry.name);
    if (found == slices.end()) {
      throw std::invalid_argument(
          fmt::format("it holds {}, which the model does not have", entry.name));
    }
    const NamedSlice* slice = found->second;
    if (Shape(entry.shape) != slice->shape) {
      throw std::invalid_argument(fmt::format("{} has shape {}, the model's {}", entry.name,
                                              Shape(entry.shape).text(), slice->shape.text()));
    }
    result.values.slice(0, slice->offset, slice->offset + slice->size)
        .reshape(slice->shape)
        .copy_from(file.read(entry, arena.dtype()));
  }
  for (const auto& [name, slice] : slices) {
    if (slice->task.empty() && file.find(name) == nullptr) {
      throw std::invalid_argument(fmt::format("it lacks {}", name));
    }
  }
  result.scale = measure_importance(result.values, arena.parameter_count());
  return result;
}

}  // namespace

FisherResult load_fisher(const std::filesystem::path& path, const ParameterArena& arena) {
  const SafetensorsFile file = SafetensorsFile::open(path);
  try {
    return read_fisher(file, arena);
  } catch (const std::logic_error& error) {  // invalid_argument, out_of_range
    throw std::runtime_error(fmt::format("{}: {}", path.string(), error.what()));
  }
}

}  // namespace holdfast
