#include "cli/inputs.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <future>

#include "base/file.h"
#include "base/utf8.h"
#include "cli/progress.h"
#include "cli/usage.h"
#include "train/heads.h"

namespace holdfast::cli {

namespace fs = std::filesystem;

void check_model_folder(const std::string& directory) {
  const fs::path folder = directory;
  if (fs::exists(folder / "config.json")) return;
  for (const char* inner : {"model", "recipe/model", "best/model"}) {
    if (fs::exists(folder / inner / "config.json"))
      throw std::runtime_error(fmt::format("{}: is the folder of a run, not of a model; give {}",
                                           utf8::printable(directory),
                                           utf8::printable((folder / inner).string())));
  }
}

namespace {

LoadedModel load_model_by(Model (*load)(const fs::path&, DType, Notices*),
                          const std::string& directory, const Common& common, DType dtype) {
  check_model_folder(directory);
  Notices notices, of_tokenizer;
  auto tokenizer =
      std::async(std::launch::async, [&] { return Tokenizer::load(directory, &of_tokenizer); });
  Model model = load(directory, dtype, &notices);
  LoadedModel out{std::move(model), tokenizer.get()};
  notices.insert(notices.end(), of_tokenizer.begin(), of_tokenizer.end());
  Progress progress(common.quiet);
  for (const std::string& notice : notices) progress.notice(notice);
  if (out.tokenizer.size() > out.model.config().vocab_size)
    throw std::runtime_error(
        fmt::format("{}: the tokenizer has {} tokens, the model {}; they do not belong together",
                    directory, out.tokenizer.size(), out.model.config().vocab_size));
  return out;
}

std::runtime_error refuse(const std::string& output, const std::string& fact,
                          std::string_view option = "-o") {
  return std::runtime_error(fmt::format("{} {}: {}", option, utf8::printable(output), fact));
}

}  // namespace

LoadedModel load_model(const std::string& directory, const Common& common, DType dtype) {
  return load_model_by(Model::load, directory, common, dtype);
}

LoadedModel map_model(const std::string& directory, const Common& common) {
  return load_model_by(Model::map, directory, common, DType::f32);
}

void check_output_file(const std::string& output, const std::vector<std::string>& inputs,
                       std::string_view option) {
  if (!fs::path(output).has_filename()) throw refuse(output, "names no file", option);
  const fs::file_status status = fs::symlink_status(output);
  if (fs::exists(status) && !fs::is_regular_file(status))
    throw refuse(output, "is there and is not a file; choose another name", option);
  const fs::path target = fs::weakly_canonical(output);
  for (const std::string& input : inputs) {
    if (input.empty()) continue;
    const fs::path source = fs::weakly_canonical(input);
    if (std::ranges::mismatch(source, target).in1 == source.end())
      throw refuse(output,
                   fmt::format("would overwrite {}, which is read; choose another file",
                               utf8::printable(input)),
                   option);
  }
  probe_folder(fs::path(output).parent_path());
}

void check_output_folder(const std::string& output) {
  if (output.empty()) throw refuse(output, "names no folder");
  const fs::file_status status = fs::symlink_status(output);
  if (fs::exists(status) && (!fs::is_directory(status) || !fs::is_empty(output)))
    throw refuse(output, "is there already; choose another folder");
  probe_folder(output);
}

void make_parent(const std::string& output) {
  const fs::path parent = fs::path(output).parent_path();
  if (!parent.empty()) fs::create_directories(parent);
}

const Head& head_of(const Model& model, const std::string& task) {
  if (model.heads().empty())
    throw std::runtime_error(
        "the model has no classification head; train one with `holdfast train`");
  if (task.empty() && model.heads().size() == 1) return model.heads().front();
  if (const Head* head = head_of_task(model, task)) return *head;
  std::string known;
  for (const Head& head : model.heads()) known += (known.empty() ? "" : ", ") + head.task;
  throw std::runtime_error(
      task.empty() ? "the model has several heads; choose with --task: " + known
                   : fmt::format("--task {}: the model has no such head, but: {}", task, known));
}

std::int64_t length_for(const Model& model, std::int64_t max_length) {
  const std::int64_t most = model.config().max_positions;
  if (max_length > most)
    throw std::runtime_error(
        fmt::format("--max-length {}: the model takes {} tokens at most", max_length, most));
  return max_length == 0 ? most : max_length;
}

void add_device_option(CLI::App& sub, std::string& device) {
  sub.add_option("--device", device, "Where it computes: cpu, cuda (the first GPU) or cuda:N")
      ->check(device_name())
      ->capture_default_str();
}

void add_column_options(CLI::App& sub, DataRecipe& data) {
  sub.add_option("--text-column", data.text, "Column or key of the text")->capture_default_str();
  sub.add_option("--label-column", data.label, "Column or key of the label")->capture_default_str();
  sub.add_option("--pair-column", data.text_pair, "Column or key of a second text");
  sub.add_flag("!--no-header", data.header, "CSV and TSV: no header; columns are numbers from 1");
  sub.add_option("--invalid-utf8", data.invalid_utf8, "error, or replace")
      ->check(CLI::IsMember({"error", "replace"}))
      ->capture_default_str();
}

bool is_table(const std::string& file) {
  fs::path path = file;
  if (path.extension() == ".gz" || path.extension() == ".zst") path = path.stem();
  const std::string ending = path.extension().string();
  return ending == ".csv" || ending == ".tsv" || ending == ".jsonl" || ending == ".json";
}

DataColumns columns_of(const DataRecipe& data, bool label_required) {
  return {data.text,     data.label, data.text_pair, data.header, data.invalid_utf8 == "replace",
          label_required};
}

}  // namespace holdfast::cli
