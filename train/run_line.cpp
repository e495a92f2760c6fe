#include "train/run_line.h"

#include <gnu/libc-version.h>

#include "base/parallel.h"
#include "base/sha256.h"
#include "base/version.h"
#include "tensor/blas.h"
#include "tensor/cpu.h"
#include "tensor/cuda/runtime.h"
#include "train/metrics.h"
#include "train/state_hash.h"

namespace holdfast {
namespace {

Json to_json(const Toml& value) {
  switch (value.type()) {
    case Toml::Type::boolean:
      return value.as_bool();
    case Toml::Type::integer:
      return value.as_int64();
    case Toml::Type::real:
      return value.as_double();
    case Toml::Type::string:
      return value.as_string();
    case Toml::Type::array: {
      Json list = Json::list();
      for (const Toml& element : value.array()) {
        list.push_back(to_json(element));
      }
      return list;
    }
    case Toml::Type::table:
      break;
  }
  Json object = Json::object();
  for (const auto& [key, member] : value.items()) {
    object.add(key, to_json(member));
  }
  return object;
}

}  // namespace

std::int64_t ledger_hash_every(const Recipe& recipe, const Inputs& inputs, const Model& model) {
  if (recipe.ledger.hash_every > 0) {
    return recipe.ledger.hash_every;
  }
  const std::vector<Sample>& texts = inputs.fresh().train;
  double tokens = 0;
  for (const Sample& text : texts) {
    tokens += static_cast<double>(text.ids.size());
  }
  const double mean = tokens / static_cast<double>(texts.size());
  return hash_interval(model.arena(), mean * static_cast<double>(recipe.training.batch_size));
}

namespace {

// A GPU and its libraries, whose the bits are.
std::string device_text(Device device) {
  const cuda::DeviceFacts facts = cuda::runtime()->facts(device.cuda);
  return facts.name + " (compute capability " + std::to_string(facts.major) + '.' +
         std::to_string(facts.minor) + "), " + cuda::runtime()->description();
}

}  // namespace

Json run_line(const Recipe& recipe, const Inputs& inputs, std::int64_t hash_every) {
  const Json computed = to_json(computation(recipe));
  Json libraries = Json::object(
      {{"gemm", gemm_description()}, {"libc", gnu_get_libc_version()}, {"compiler", __VERSION__}});
  if (recipe.device.is_cuda()) {
    libraries.add("cuda", device_text(recipe.device));
  }
  const Json::Object bits = {{"isa", name_of(isa())}, {"libraries", std::move(libraries)}};
  Json::Object execution = {{"cpu", cpu_name()},
                            {"threads", thread_count()},
                            {"recipe_toml", sha256(recipe_text(recipe))}};
  Json line = Json::object({{"holdfast", version()}});
  if (recipe.portable()) {
    execution.insert(execution.end(), bits.begin(), bits.end());
  } else {
    for (const auto& [name, value] : bits) {
      line.add(name, value);
    }
  }
  for (const char* name : {"seed", "precision", "numerics"}) {
    line.add(name, computed.at(name));
  }
  line.add("steps", recipe.training.steps);
  line.add("recipe", computed);
  line.add("files", to_json(inputs.files));
  line.add("inputs", inputs.digest());
  if (!inputs.tested) {
    line.add("tested", false);
  }
  line.add("hash_every", hash_every);
  line.add("execution", Json::object(std::move(execution)));
  return line;
}

Json save_line(const RunResult& result, const std::string& weights, const Fingerprints& files) {
  return Json::object({{"step", result.steps},
                       {"interrupted", result.interrupted},
                       {"weights", weights},
                       {"files", to_json(files)}});
}

Json end_line(const RunResult& result, const Fingerprints& files) {
  Json test = Json::object();
  for (const TaskResult& task : result.tasks) {
    if (task.before && task.after) {
      test.add(task.name,
               Json::object({{"before", task.before->accuracy}, {"after", task.after->accuracy}}));
    }
  }
  return Json::object({{"step", result.steps},
                       {"interrupted", result.interrupted},
                       {"best_step", result.best_step},
                       {"merge_weight", result.merge ? Json(result.merge->best().weight) : Json()},
                       {"test", std::move(test)},
                       {"execution", Json::object({{"files", to_json(files)}})}});
}

Json::Object found_before(const std::filesystem::path& output) {
  const Fingerprints model = fingerprint_folder(output / "model", "model");
  return model.empty() ? Json::Object() : Json::Object{{"found", to_json(model)}};
}

Json evaluation_line(const CurvePoint& point, const std::vector<LayerDrift>& drift) {
  Json line = to_json(point);
  Json relative = Json::object();
  for (const LayerDrift& layer : drift) {
    relative.add(layer.layer, layer.relative);
  }
  line.add("drift", std::move(relative));
  return line;
}

std::string recipe_text(const Recipe& recipe) { return to_toml(recipe).dump(); }

}  // namespace holdfast
