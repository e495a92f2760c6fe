// Models and labelled files as options of commands.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "cli/command.h"
#include "nn/model.h"
#include "tokenizer/tokenizer.h"
#include "train/data.h"
#include "train/recipe.h"

namespace holdfast::cli {

/// A model folder with its tokenizer.
struct LoadedModel {
  Model model;
  Tokenizer tokenizer;
};

/// Throws std::runtime_error that names the model when `directory` is what a run has left around
/// it.
void check_model_folder(const std::string& directory);

/// Loads both, the model onto the current device; what was noticed goes to standard error unless
/// quiet. Throws std::runtime_error when the tokenizer has more tokens than the model.
LoadedModel load_model(const std::string& directory, const Common& common,
                       DType dtype = DType::f32);
/// The same with Model::map, in the CPU's memory.
LoadedModel map_model(const std::string& directory, const Common& common);

/// The head of `task`, or the only one when `task` is empty. Throws std::runtime_error that lists
/// the tasks there are.
const Head& head_of(const Model& model, const std::string& task);

/// What `max_length` of the command line means for this model: 0 is as long as it can.
/// Throws std::runtime_error when that is more than the model can.
std::int64_t length_for(const Model& model, std::int64_t max_length);

/// Adds --device: where the command computes (`device`, "cpu" unless given), as in a recipe.
void add_device_option(CLI::App& sub, std::string& device);

/// Adds --text-column, --label-column, --pair-column, --no-header, --invalid-utf8.
void add_column_options(CLI::App& sub, DataRecipe& data);

/// Throws std::runtime_error unless the file `output` can be written later: it has a name, is no
/// folder, link or device, its folder is there or can be made, and it is none of the files or
/// folders that are read and lies in none of them. Leaves nothing behind. Messages name `option`.
void check_output_file(const std::string& output, const std::vector<std::string>& inputs,
                       std::string_view option = "-o");

/// The same for a folder to make, which must be absent or empty.
void check_output_folder(const std::string& output);

/// Makes the folders that `output` is to lie in.
void make_parent(const std::string& output);

/// Whether a file's name ends as a table's that read_examples() reads; other files are plain text,
/// a text a line.
bool is_table(const std::string& file);

DataColumns columns_of(const DataRecipe& data, bool label_required);

}  // namespace holdfast::cli
