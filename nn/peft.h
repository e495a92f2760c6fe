// LoRA in the file layout of PEFT, which transformers reads and writes: adapter_config.json and
// adapter_model.safetensors.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "nn/model.h"

namespace holdfast {

/// Writes the model's lora and the head of `task` (PEFT's modules_to_save "classifier") for
/// transformers to put onto the frozen base that `base` names: the folder or hub name of the model
/// from which training began. Values are written in the model's type. Throws std::invalid_argument
/// if there is no lora or no such head.
void write_peft(const Model& model, std::string_view task, const std::string& base,
                const std::filesystem::path& directory);

/// Puts the adapter of a directory onto a model without one, the classifier into the head of
/// `task`, which must be there. Strict: every setting of adapter_config.json that would change what
/// is computed, and every missing, unexpected or wrongly shaped tensor, is named in a
/// std::runtime_error. Throws std::invalid_argument if there is an adapter or no such head.
void read_peft(Model& model, std::string_view task, const std::filesystem::path& directory);

}  // namespace holdfast
