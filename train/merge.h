// Merging of models: arithmetic on the parameters of models of one layout. Tested by
// tests/train/merge_test.cpp.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "nn/parameters.h"
#include "tensor/tensor.h"

namespace holdfast {

enum class MergeMethod { linear, slerp, fisher, task_arithmetic, ties, dare_linear, dare_ties };
std::string_view name_of(MergeMethod method);  // "linear", ..., "dare-ties"
/// Throws std::invalid_argument naming the known methods.
MergeMethod parse_merge_method(std::string_view name);
/// Whether the method adds task vectors tau_k = theta_k - theta_base to a base.
bool needs_base(MergeMethod method);
/// Whether the method keeps a share `density` of each task vector.
bool uses_density(MergeMethod method);

struct MergeOptions {
  MergeMethod method = MergeMethod::linear;
  double scale = 1.0;    // s of the methods with a base
  double density = 0.2;  // share of each task vector that TIES keeps (the largest) or DARE (random)
  double floor = 1e-6;   // smallest importance, in means of the positive ones
  std::uint64_t seed = 7;  // of DARE's masks
};

/// Throws std::invalid_argument for a density outside (0, 1], a scale that is not finite and a
/// floor that is not positive.
void check_merge_options(const MergeOptions& options);

/// A model that goes into a merge.
struct MergeInput {
  Tensor theta;         // (n), an arena's values
  double weight = 1;    // w_k >= 0
  Tensor importance{};  // (n), raw F_k >= 0 of the model's task; "fisher" alone needs it
};

struct MergeReport {
  std::int64_t tensors = 0, parameters = 0;  // that were merged
  std::int64_t on_arc = 0;                   // tensors that SLERP did not take for parallel
};

/// Writes the merge of `inputs` to `target`, on the elements of `slices` alone: gaps and the heads
/// that are not among the slices stay as they are. With theta_b = base, tau_k = theta_k - theta_b:
///   linear           sum_k w_k theta_k / sum_k w_k [two models: WiSE-FT, Wortsman et al. 2022]
///   slerp            two models, a = w_1/(w_0+w_1), for each tensor of angle omega:
///                    (sin((1-a) omega) theta_0 + sin(a omega) theta_1) / sin omega
///                    [Shoemake 1985]; linear where |cos omega| > 0.9995 or a norm is 0
///   fisher           sum_k w_k Fh_k theta_k / sum_k w_k Fh_k [Matena & Raffel 2022],
///                    Fh = max(F / mean of F > 0, floor)
///   task-arithmetic  theta_b + s sum_k w_k tau_k [Ilharco et al. 2023]
///   ties             tau_k trimmed to its `density` largest magnitudes over all slices; for each
///                    element the sign of the larger weighted mass is elected;
///                    theta_b + s (weighted mean of the tau_k of that sign) [Yadav et al. 2023]
///   dare-linear      theta_b + s sum_k w_k tau_k / sum_k w_k, each element of tau_k kept with
///                    probability p = density and divided by p, else 0 [Yu et al. 2024]
///   dare-ties        as ties, with DARE's tau_k in place of the trimmed ones
/// `base` is undefined for the first three. `target` may be one of the inputs.
/// Differences from peers: mergekit and peft trim each tensor by itself, TIES means all parameters
/// at once; equal masses of both signs change nothing, peers take plus; magnitudes equal to the
/// smallest that is kept are all kept, as in TIES' own code; peft divides TIES' weighted sum by a
/// count, here and in mergekit it is divided by the weights that agree; dare_linear is a sum in
/// peft and mergekit, here and in DARE's own code a mean. Matena & Raffel divide F by its norm and
/// floor that of the first model alone. The threshold of slerp is mergekit's.
/// Throws std::invalid_argument for inputs of several sizes or types, weights that are negative,
/// not finite or all zero, importance that is missing, negative or not finite, a count that does
/// not fit, and as check_merge_options() does.
/// Accuracy: in double, rounded once. What is one input alone (all other weights 0; one task vector
/// with factor 1, kept whole) is that input bit for bit; models that equal each other, and the base
/// where there is one, come back bit for bit. The same bits for any number of threads.
MergeReport merge(std::span<const NamedSlice> slices, const Tensor& base,
                  std::span<const MergeInput> inputs, const MergeOptions& options,
                  const Tensor& target);

/// What a recipe's [merge] does after training, between the start model (weight 0) and the trained
/// one (weight 1): linear, slerp and fisher with weights (1 - weight, weight), the methods with a
/// base with base = start, one task vector and scale * weight. `importance`s: for fisher.
/// Throws as merge() does, and for a weight outside [0, 1].
MergeReport merge_with_start(std::span<const NamedSlice> slices, const MergeInput& start,
                             const MergeInput& trained, double weight, MergeOptions options,
                             const Tensor& target);

/// The slices of `arena` but for the heads of `kept` tasks, which a merge leaves alone.
std::vector<NamedSlice> slices_to_merge(const ParameterArena& arena,
                                        std::span<const std::string> kept);

}  // namespace holdfast
