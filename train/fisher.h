// The importance of a trained model's parameters to a task, measured on texts: the diagonal of the
// Fisher information, and memory aware synapses. Tested by tests/train/fisher_test.cpp.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "nn/model.h"
#include "train/importance.h"
#include "train/sample.h"

namespace holdfast {

struct ImportanceOptions {
  ImportanceKind kind = ImportanceKind::true_fisher;
  std::int64_t batch_size = 32;  // texts a forward pass; changes speed and memory, not the result
  DropoutPlan dropout;     // must stay inactive: the estimators are defined in evaluation mode
  std::uint64_t seed = 0;  // of the draws of sampled and sketch
};

/// Called after every batch with texts done and to do; may throw to stop.
using ImportanceProgress = std::function<void(std::int64_t done, std::int64_t total)>;

/// F_i = 1/N sum_n of per-sample gradients, squared or absolute, in evaluation mode. With p =
/// softmax(z) of the head's logits z(x_n), K classes:
///   true       sum_y p_y (d log p(y|x_n) / d theta_i)^2 = sum_k (B_k . d z / d theta_i)^2 with
///              diag(p) - p p^T = B B^T, B of K x (K-1): one forward and K-1 backward passes a
///              batch
///   empirical  (d -log p(y_n|x_n) / d theta_i)^2 at the observed labels
///   sampled    the same at a label drawn from p: unbiased for true, one backward pass
///   sketch     (delta . d z / d theta_i)^2 with delta = sketched_gradient(p, random signs):
///              unbiased for true, one backward pass
///   mas        |d ||z(x_n)||^2 / d theta_i| [Aljundi et al. 2018]: no Fisher information
/// Labels are used by empirical alone. Draws depend on the seed and the text's place in `samples`.
/// Sums are in f64, rounded to the model's type at the end. Memory does not grow with the number of
/// texts. Throws std::invalid_argument for kind si, no samples, an observed label outside the head,
/// a batch size below 1 or active dropout; std::runtime_error when F is zero everywhere or not
/// finite (the model is saturated or broken).
Importance measure_importance(Model& model, const Head& head, std::span<const Sample> samples,
                              const ImportanceOptions& options = {},
                              const ImportanceProgress& progress = {});

/// The factor B of the true Fisher, row-major (K, K-1), from probabilities p (K) that sum to 1:
///   with tails s_j = sum over i >= j of p_i,  B_jj = sqrt(p_j s_{j+1} / s_j),  B_ij = -B_jj p_i /
///   s_{j+1} for i > j
/// the Cholesky factor in closed form [Tanabe & Sagae 1992]; columns sum to zero.
std::vector<double> fisher_factor(std::span<const double> probabilities);

/// The label y with p_0 + ... + p_{y-1} <= u < p_0 + ... + p_y; u in [0, 1). Never one with p_y =
/// 0.
std::int32_t label_at(std::span<const double> probabilities, double u);

/// sum over y of eps_y sqrt(p_y) (p - e_y), (K): its outer product has the mean diag(p) - p p^T
/// over random signs eps_y = +1 or -1.
std::vector<double> sketched_gradient(std::span<const double> probabilities,
                                      std::span<const int> signs);

/// Which texts of a task importance is measured on: `count` of `n` at random (all when n <= count),
/// ascending, from a random stream of its own, so that they are not those that replay keeps.
std::vector<std::int64_t> fisher_samples(std::int64_t n, std::int64_t count, std::uint64_t seed);

}  // namespace holdfast
