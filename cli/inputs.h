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

/// Loads both; what was noticed goes to standard error unless quiet. Throws std::runtime_error when
/// the tokenizer has more tokens than the model.
LoadedModel load_model(const std::string& directory, const Common& common);

/// The head of `task`, or the only one when `task` is empty. Throws std::runtime_error that lists
/// the tasks there are.
const Head& head_of(const Model& model, const std::string& task);

/// What `max_length` of the command line means for this model: 0 is as long as it can.
/// Throws std::runtime_error when that is more than the model can.
std::int64_t length_for(const Model& model, std::int64_t max_length);

/// Adds --text-column, --label-column, --pair-column, --no-header, --invalid-utf8.
void add_column_options(CLI::App& sub, DataRecipe& data);

/// Throws std::runtime_error when `output` is one of the files or folders that are read, or lies in
/// such a folder.
void refuse_overwriting(const std::string& output, const std::vector<std::string>& inputs);

DataColumns columns_of(const DataRecipe& data, bool label_required);

}  // namespace holdfast::cli
