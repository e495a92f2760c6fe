// A whole RunResult to JSON and back. Each struct lists its fields once, for both directions.
#include <optional>
#include <type_traits>

#include "train/metrics.h"

namespace holdfast {
namespace {

template <class Archive>
void fields(Archive& archive, Interval& x) {
  archive("low", x.low);
  archive("high", x.high);
}

template <class Archive>
void fields(Archive& archive, ClassRates& x) {
  archive("support", x.support);
  archive("precision", x.precision);
  archive("recall", x.recall);
  archive("f1", x.f1);
}

template <class Archive>
void fields(Archive& archive, Evaluation& x) {
  archive("task", x.task);
  archive("n", x.n);
  archive("correct", x.correct);
  archive("accuracy", x.accuracy);
  archive("ci95", x.ci95);
  archive("macro_f1", x.macro_f1);
  archive("loss", x.loss);
  archive("labels", x.labels);
  archive("per_class", x.per_class);
  archive("confusion", x.confusion);
  archive("predictions", x.predictions);
}

template <class Archive>
void fields(Archive& archive, PairedResult& x) {
  archive("drop", x.drop);
  archive("drop_ci95", x.drop_ci95);
  archive("mcnemar_p", x.mcnemar_p);
  archive("negative_flips", x.negative_flips);
}

template <class Archive>
void fields(Archive& archive, TaskResult& x) {
  archive("name", x.name);
  archive("old", x.old);
  archive("before", x.before);
  archive("after", x.after);
  archive("paired", x.paired);
  archive("valid", x.valid);
}

template <class Archive>
void fields(Archive& archive, Seconds& x) {
  archive("read", x.read);
  archive("select", x.select);
  archive("fisher", x.fisher);
  archive("train", x.train);
  archive("evaluate", x.evaluate);
  archive("evaluate_old", x.evaluate_old);
  archive("test", x.test);
  archive("leave", x.leave);
  archive("save", x.save);
  archive("ledger", x.ledger);
}

template <class Archive>
void fields(Archive& archive, CurvePoint::Task& x) {
  archive("name", x.name);
  archive("accuracy", x.accuracy);
  archive("loss", x.loss);
}

template <class Archive>
void fields(Archive& archive, CurvePoint& x) {
  archive("step", x.step);
  archive("share", x.share);
  archive("tasks", x.tasks);
}

template <class Archive>
void fields(Archive& archive, TaskLoss& x) {
  archive("task", x.task);
  archive("texts", x.texts);
  archive("loss", x.loss);
}

template <class Archive>
void fields(Archive& archive, StepRecord& x) {
  archive("step", x.step);
  archive("loss", x.loss);
  archive("task_loss", x.task_loss);
  archive("distill", x.distill);
  archive("grad_norm", x.grad_norm);
  archive("clip", x.clip);
  archive("penalty", x.penalty);
  archive("l2", x.l2);
  archive("projected", x.projected);
  archive("at_bound", x.at_bound);
  archive("lowest_layer", x.lowest_layer);
  archive("rate_low", x.rate_low);
  archive("rate_high", x.rate_high);
  archive("share", x.share);
  archive("tokens", x.tokens);
  archive("seconds", x.seconds);
}

template <class Archive>
void fields(Archive& archive, Action& x) {
  archive("step", x.step);
  archive("share", x.share);
  archive("why", x.why);
}

template <class Archive>
void fields(Archive& archive, LayerDrift& x) {
  archive("layer", x.layer);
  archive("relative", x.relative);
}

template <class Archive>
void fields(Archive& archive, MergePoint& x) {
  archive("weight", x.weight);
  archive("accuracy", x.accuracy);
  archive("gained", x.gained);
  archive("retention", x.retention);
  archive("allowed", x.allowed);
}

template <class Archive>
void fields(Archive& archive, MergeSearch& x) {
  archive("curve", x.curve);
  archive("chosen", x.chosen);
  archive("satisfied", x.satisfied);
  archive("why", x.why);
}

template <class Archive>
void fields(Archive& archive, RunResult& x) {
  archive("recipe", x.recipe);
  archive("interrupted", x.interrupted);
  archive("steps", x.steps);
  archive("tokens", x.tokens);
  archive("seconds", x.seconds);
  archive("tasks", x.tasks);
  archive("curve", x.curve);
  archive("ledger", x.ledger);
  archive("actions", x.actions);
  archive("replayed", x.replayed);
  archive("mean_fisher", x.mean_fisher);
  archive("penalty_share", x.penalty_share);
  archive("max_penalty_share", x.max_penalty_share);
  archive("drift", x.drift);
  archive("best_step", x.best_step);
  archive("stopped_early", x.stopped_early);
  archive("merge", x.merge);
  archive("protected_weights", x.protected_weights);
  archive("peak_bytes", x.peak_bytes);
  archive("notices", x.notices);
}

template <class T>
inline constexpr bool is_vector = false;
template <class T>
inline constexpr bool is_vector<std::vector<T>> = true;
template <class T>
inline constexpr bool is_optional = false;
template <class T>
inline constexpr bool is_optional<std::optional<T>> = true;

class Writer {
 public:
  template <class T>
  void operator()(const char* name, T& value) {
    object_.add(name, encode(value));
  }

  template <class T>
  static Json encode(T& value) {
    if constexpr (std::is_arithmetic_v<T> || std::is_same_v<T, std::string>) {
      return value;
    } else if constexpr (std::is_same_v<T, Recipe>) {
      return to_toml(value).dump();
    } else if constexpr (is_optional<T>) {
      return value ? encode(*value) : Json();
    } else if constexpr (is_vector<T>) {
      Json list = Json::list();
      for (auto& element : value) {
        list.push_back(encode(element));
      }
      return list;
    } else {
      Writer writer;
      fields(writer, value);
      return std::move(writer.object_);
    }
  }

 private:
  Json object_ = Json::object();
};

class Reader {
 public:
  explicit Reader(const Json& object) : object_(&object) {}

  template <class T>
  void operator()(const char* name, T& value) {
    decode(object_->at(name), value);
  }

  template <class T>
  static void decode(const Json& json, T& value) {
    if constexpr (std::is_same_v<T, bool>) {
      value = json.as_bool();
    } else if constexpr (std::is_floating_point_v<T>) {
      value = json.as_double();
    } else if constexpr (std::is_integral_v<T>) {
      value = static_cast<T>(json.as_int64());
    } else if constexpr (std::is_same_v<T, std::string>) {
      value = json.as_string();
    } else if constexpr (std::is_same_v<T, Recipe>) {
      value = parse_recipe(Toml::parse(json.as_string(), "recipe"), "recipe");
    } else if constexpr (is_optional<T>) {
      if (!json.is_null()) {
        decode(json, value.emplace());
      }
    } else if constexpr (is_vector<T>) {
      for (const Json& element : json.array()) {
        decode(element, value.emplace_back());
      }
    } else {
      Reader reader(json);
      fields(reader, value);
    }
  }

 private:
  const Json* object_;
};

}  // namespace

Json result_to_json(const RunResult& result) {
  RunResult copy = result;
  return Writer::encode(copy);
}

RunResult result_from_json(const Json& json) {
  RunResult result;
  Reader::decode(json, result);
  return result;
}

}  // namespace holdfast
