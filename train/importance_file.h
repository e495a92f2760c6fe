// Files of importance: safetensors with the tensor names of the model. Tested by
// tests/train/importance_file_test.cpp.
#pragma once

#include <filesystem>
#include <string_view>

#include "nn/parameters.h"
#include "train/importance.h"

namespace holdfast {

/// Writes F under the names of model.safetensors ("bert. ...", "classifier.weight" for the head of
/// its task; other heads are left out). The card and the convention are in the metadata.
/// Throws std::runtime_error when the file cannot be written.
void save_importance(const std::filesystem::path& path, const Importance& importance,
                     const ParameterArena& arena);

/// Reads F into the layout of `arena`. The head in the file goes to `head`, the name of the
/// head that answers for the task now ("": the one that the file names). Other heads, and adapters
/// that the file does not have, get 0: what is new is held to nothing. Throws std::runtime_error,
/// with the file's name, for a file that is none of importance, a shared tensor that is missing,
/// one the arena does not know, a wrong shape, a negative or non-finite value.
Importance load_importance(const std::filesystem::path& path, const ParameterArena& arena,
                           std::string_view head = {});

/// The metadata alone, without reading tensors. Throws as load_importance() does.
ImportanceCard read_importance_card(const std::filesystem::path& path);

}  // namespace holdfast
