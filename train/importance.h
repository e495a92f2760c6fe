// How much each parameter matters to a task, and what makes such numbers of different tasks and
// kinds comparable. Measured on texts by train/fisher.h, along a training by
// train/path_importance.h. Tested by tests/train/importance_test.cpp.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "nn/parameters.h"
#include "tensor/tensor.h"

namespace holdfast {

/// Where importance comes from. The first four are the Fisher information (exact, at the observed
/// labels, and two random estimates of the exact one); MAS and SI are not Fisher information.
enum class ImportanceKind { true_fisher, empirical, sampled, sketch, mas, si };
std::string_view name_of(ImportanceKind kind);  // "true", "empirical", "sampled", "sketch", ...
/// Throws std::invalid_argument naming the known kinds.
ImportanceKind parse_importance_kind(std::string_view name);

struct ImportanceScale {
  double mean_positive = 0, maximum = 0;  // of raw F
  double positive_share = 0;              // parameters with F > 0 / all parameters
  double divisor = 1;  // Fh = F / divisor; 0: each tensor has its own (Normalization::tensor)
};

/// What a file of importance says about itself.
struct ImportanceCard {
  std::string task;
  std::string head;  // that answers for the task; "": the one of its name
  ImportanceKind kind = ImportanceKind::true_fisher;
  std::int64_t samples = 0;  // texts; of "si" the steps
  std::int64_t age = 0;      // tasks learnt since it was measured
  std::string weights;       // weights_digest() of the model it belongs to; "": not known

  const std::string& head_name() const { return head.empty() ? task : head; }
  void belongs_to(const std::string& task_name, const std::string& head_of_it) {
    task = task_name;
    head = head_of_it == task_name ? "" : head_of_it;
  }
};

struct Importance : ImportanceCard {
  Tensor values;  // F (arena's numel) >= 0, the arena's type; gaps and other tasks' heads are 0
  ImportanceScale scale;  // of the raw values
};

/// How raw importance F becomes Fh: as it is; divided by the mean over the parameters with F > 0
/// (so that lambda does not depend on vocabulary or loss scale); by the largest; or every tensor
/// of the model file by its own mean over F > 0 (so that no layer is held more than another).
enum class Normalization { none, mean, max, tensor };
std::string_view name_of(Normalization normalization);
/// Throws std::invalid_argument naming the known ones.
Normalization parse_normalization(std::string_view name);

/// The scale of raw importance, divisor 1. Throws std::invalid_argument for a negative or
/// non-finite value.
ImportanceScale importance_scale(const Tensor& fisher, std::int64_t parameter_count);

/// sum += factor Fh, with the returned scale. A tensor without any F > 0 gives nothing. The same
/// bits for any number of threads. Throws std::invalid_argument when F is zero everywhere or holds
/// a negative or non-finite value.
/// fisher, sum (n) of one type, laid out as `slices` say.
ImportanceScale add_normalised(const Tensor& fisher, const std::vector<NamedSlice>& slices,
                               Normalization normalization, double factor, const Tensor& sum);

/// XXH3-128 (hexadecimal) of the values that all tasks share, rounded to f32 so that a model gives
/// the same in any precision: equal for the model that importance belongs to and for the one it is
/// to hold, unless that was trained further in between. Take it before adding an adapter to
/// either.
std::string weights_digest(const ParameterArena& arena);

}  // namespace holdfast
