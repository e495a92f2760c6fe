// The Fisher diagonal beside torch.func's per-sample gradients, in double, parameter by parameter.
#include <gtest/gtest.h>

#include "tests/nn/golden.h"
#include "train/fisher.h"

namespace holdfast {
namespace {

using testing::error;
using testing::Golden;
using testing::greatest;

const std::filesystem::path kGolden = HOLDFAST_GOLDEN;

std::vector<Sample> samples_of(const SafetensorsFile& file) {
  const auto ints = [&](const char* name) { return file.read(*file.find(name), DType::i32); };
  const Tensor ids = ints("ids"), types = ints("type_ids"), lengths = ints("lengths"),
               labels = ints("labels");
  std::vector<Sample> samples;
  std::size_t at = 0;
  for (std::size_t n = 0; n < labels.span<std::int32_t>().size(); ++n) {
    const auto length = static_cast<std::size_t>(lengths.span<std::int32_t>()[n]);
    const auto part = [&](const Tensor& of) {
      const auto tokens = of.span<std::int32_t>().subspan(at, length);
      return std::vector<std::int32_t>(tokens.begin(), tokens.end());
    };
    samples.push_back(
        {.ids = part(ids), .type_ids = part(types), .label = labels.span<std::int32_t>()[n]});
    at += length;
  }
  return samples;
}

// Of an embedding table the golden file has the rows that texts read; all others must be 0.
std::vector<double> rows_read(const Golden& golden, const std::string& name, const Tensor& fisher) {
  if (!golden.has("rows." + name)) return fisher.to_vector();
  std::vector<double> out;
  double left = 0;
  for (const double f : fisher.to_vector()) left += f;
  for (const std::int32_t row : golden.ints("rows." + name).span<std::int32_t>()) {
    for (const double f : fisher.slice(0, row, row + 1).to_vector()) {
      out.push_back(f);
      left -= f;
    }
  }
  EXPECT_NEAR(left, 0, 1e-14 * greatest(out)) << name;
  return out;
}

TEST(Fisher, EqualsPerSampleGradientsOfTorchFunc) {
  const Golden golden(kGolden / "fisher.safetensors");
  const std::vector<Sample> samples =
      samples_of(SafetensorsFile::open(kGolden / "fisher.safetensors"));
  Model model = Model::load(kGolden / "bert_erf", DType::f64);
  for (const ImportanceKind kind : {ImportanceKind::true_fisher, ImportanceKind::empirical}) {
    for (const std::int64_t batch_size : {1, 3, 32}) {
      ImportanceOptions options;
      options.kind = kind;
      options.batch_size = batch_size;
      const Importance fisher =
          measure_importance(model, model.heads().front(), samples, options);
      const std::string kinds = std::string(name_of(kind)) + ".";
      const std::string task = model.heads().front().task;
      for (const NamedSlice& slice : model.arena().slices()) {
        const std::string name = Model::file_name(slice, task);
        const Tensor ours =
            Tensor::view(fisher.values.storage(), slice.offset, slice.shape, DType::f64);
        // A key's bias moves nothing: its F is rounding, on the query's scale.
        std::string scale = name;
        if (const std::size_t key = scale.find("key.bias"); key != std::string::npos)
          scale.replace(key, 3, "query");
        EXPECT_LE(error(rows_read(golden, name, ours), golden.values(kinds + name),
                        greatest(golden.values(kinds + scale))),
                  1e-10)
            << kinds << name << ", batches of " << batch_size;
      }
    }
  }
}

}  // namespace
}  // namespace holdfast
