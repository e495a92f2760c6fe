// holdfast info: this build and this machine, or a model's card.
#include <fmt/format.h>
#include <sys/sysinfo.h>

#include <algorithm>
#include <memory>

#include "base/json.h"
#include "base/parallel.h"
#include "base/text.h"
#include "base/utf8.h"
#include "base/version.h"
#include "cli/inputs.h"
#include "cli/table.h"
#include "nn/model.h"
#include "tensor/blas.h"
#include "tensor/cpu.h"
#include "tensor/cuda/runtime.h"

namespace holdfast::cli {
namespace {

std::int64_t installed_memory() {
  struct sysinfo facts {};
  if (sysinfo(&facts) != 0) return 0;
  return static_cast<std::int64_t>(facts.totalram) * static_cast<std::int64_t>(facts.mem_unit);
}

std::string compiler() {
#if defined(__clang__)
  return "clang " __clang_version__;
#else
  return "g++ " __VERSION__;
#endif
}

// "cpu", and the GPUs, or why a build with CUDA finds none.
std::string devices() {
  std::string text = "cpu";
  const cuda::Runtime* runtime = cuda::runtime();
  if (runtime == nullptr) return text;
  const int count = runtime->device_count();
  if (count == 0) return text + " (" + runtime->missing(0) + ')';
  for (int device = 0; device < count; ++device) {
    const cuda::DeviceFacts facts = runtime->facts(device);
    const std::string missing = runtime->missing(device);
    text +=
        fmt::format(", {} ({}, {}{}{})", name_of(Device{device}), facts.name,
                    human_bytes(facts.memory_bytes), missing.empty() ? "" : "; no use: ", missing);
  }
  return text + "; " + runtime->description();
}

Json build_facts() {
  return Json::object({{"version", version()},
                       {"compiler", compiler()},
                       {"cpu", cpu_name()},
                       {"instruction_set", name_of(isa())},
                       {"numerics", is_portable(isa()) ? "portable" : "fast"},
                       {"gemm", gemm_description()},
                       {"devices", devices()},
                       {"cpus", available_cpus()},
                       {"memory_bytes", installed_memory()}});
}

Json model_card(const std::string& directory) {
  check_model_folder(directory);
  Notices notices;
  const Model model = Model::load(directory, DType::f32, &notices);
  const BertConfig& config = model.config();
  Json heads = Json::list();
  for (const Head& head : model.heads()) {
    Json labels = Json::list();
    for (const std::string& label : head.labels) labels.push_back(label);
    heads.push_back(Json::object({{"task", head.task}, {"labels", std::move(labels)}}));
  }
  Json said = Json::list();
  for (const std::string& notice : notices) said.push_back(notice);
  Json card = Json::object(
      {{"model", directory},
       {"layers", config.layers},
       {"hidden_size", config.hidden_size},
       {"heads_of_attention", config.heads},
       {"intermediate_size", config.intermediate_size},
       {"max_positions", config.max_positions},
       {"vocab_size", config.vocab_size},
       {"activation", config.activation == Activation::gelu_erf ? "gelu" : "gelu_tanh"},
       {"parameters", model.arena().parameter_count()},
       {"heads", std::move(heads)}});
  if (model.adapter().kind != AdapterKind::none) {
    card.add("adapter", std::string(name_of(model.adapter().kind)) +
                            " (transformers alone shows the model without it)");
  }
  card.add("notices", std::move(said));
  return card;
}

std::string shown(const Json& value) {
  if (value.is_string()) return value.as_string();
  if (value.is_integer()) return grouped(value.as_int64());
  return value.dump();
}

void print_facts(const Json& facts) {
  std::string out;
  for (const auto& [key, value] : facts.items()) {
    if (key == "heads") {
      for (const Json& head : value.array()) {
        std::string labels;
        for (const Json& label : head.at("labels").array())
          labels += (labels.empty() ? "" : ", ") + label.as_string();
        out += fmt::format("{:<20}{}: {}\n", "head", utf8::printable(head.at("task").as_string()),
                           utf8::printable(labels));
      }
    } else if (key == "notices") {
      for (const Json& notice : value.array())
        out += fmt::format("{:<20}{}\n", "notice", utf8::printable(notice.as_string()));
    } else if (key == "memory_bytes") {
      out += fmt::format("{:<20}{}\n", "memory", human_bytes(value.as_int64()));
    } else {
      std::string name = key;
      std::ranges::replace(name, '_', ' ');
      out += fmt::format("{:<20}{}\n", name, utf8::printable(shown(value)));
    }
  }
  print(out);
}

}  // namespace

Command add_info(CLI::App& app, Common& common) {
  auto model = std::make_shared<std::string>();
  CLI::App* sub =
      add_subcommand(app, common, "info", "Shows this build and machine, or a model's card",
                     "  holdfast info\n  holdfast info --model models/minilm");
  sub->add_option("--model", *model, "Model folder");
  return {sub, [model, &common] {
            const Json facts = model->empty() ? build_facts() : model_card(*model);
            common.json ? print(facts.dump() + '\n') : print_facts(facts);
            return kDone;
          }};
}

}  // namespace holdfast::cli
