// The diagonal of the Fisher information of a trained model: which parameters its task depends on.
// Tested by tests/train/fisher_test.cpp.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "nn/model.h"
#include "train/penalty.h"
#include "train/sample.h"

namespace holdfast {

enum class FisherKind { true_fisher, empirical };
std::string_view name_of(FisherKind kind);  // "true", "empirical"
/// Throws std::invalid_argument naming the known kinds.
FisherKind parse_fisher_kind(std::string_view name);

struct FisherOptions {
  FisherKind kind = FisherKind::true_fisher;
  std::int64_t batch_size = 32;  // texts a forward pass; changes speed and memory, not the result
  DropoutPlan dropout;  // must stay inactive: the estimators are defined in evaluation mode
};

struct FisherResult {
  Tensor values;  // (arena's numel), the model's type: mean over texts of squared gradients; gaps 0
  FisherKind kind = FisherKind::true_fisher;
  std::int64_t samples = 0;
  ImportanceScale scale;  // mean over the parameters with F > 0, and their share
};

/// Called after every batch with texts done and to do; may throw to stop.
using FisherProgress = std::function<void(std::int64_t done, std::int64_t total)>;

/// F_i = 1/N sum_n of squared per-sample gradients, in evaluation mode, of the plain cross entropy:
///   empirical  (d -log p(y_n|x_n) / d theta_i)^2 at the observed labels
///   true       sum_y p_y (d log p(y|x_n) / d theta_i)^2 = sum_k (B_k . d z / d theta_i)^2 with
///              diag(p) - p p^T = B B^T, B of K x (K-1): one forward and K-1 backward passes a
///              batch
/// Squares add up in f64 and are rounded to the model's type at the end. Memory does not grow with
/// the number of texts. Throws std::invalid_argument for no samples, a label outside the head, a
/// batch size below 1 or active dropout; std::runtime_error when F is zero everywhere or not finite
/// (the model is saturated or broken).
FisherResult fisher_diagonal(Model& model, const Head& head, std::span<const Sample> samples,
                             const FisherOptions& options = {},
                             const FisherProgress& progress = {});

/// The factor B of the true Fisher, row-major (K, K-1), from probabilities p (K) that sum to 1:
///   with tails s_j = sum over i >= j of p_i,  B_jj = sqrt(p_j s_{j+1} / s_j),  B_ij = -B_jj p_i /
///   s_{j+1} for i > j
/// the Cholesky factor in closed form [Tanabe & Sagae 1992]; columns sum to zero.
std::vector<double> fisher_factor(std::span<const double> probabilities);

/// Writes F under the names of model.safetensors ("bert. ...", "classifier.weight" for the head of
/// `task`); kind, samples, task and convention are in the metadata.
void save_fisher(const std::filesystem::path& path, const FisherResult& fisher,
                 const ParameterArena& arena, std::string_view task);
/// Reads F into the layout of `arena`; heads that the file does not have get 0.
/// Throws std::runtime_error for a shared tensor that is missing, one the arena does not know, a
/// wrong shape, a negative or non-finite value.
FisherResult load_fisher(const std::filesystem::path& path, const ParameterArena& arena);

}  // namespace holdfast
