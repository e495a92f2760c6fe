// Key weights stay near where they were. Tested by tests/train/protect_test.cpp.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "nn/parameters.h"
#include "tensor/cuda/operations.h"
#include "tensor/tensor.h"
#include "train/spans.h"

namespace holdfast {

/// clamp: a key weight drifts by max_drift of its old value at most; freeze: not at all.
enum class ProtectMode { clamp, freeze };
/// What is key or not as a whole: a weight, or an output neuron (row r of X.weight with element r
/// of X.bias; of a layer norm that is gamma and beta of a channel, of an embedding table a row).
enum class ProtectUnit { weight, neuron };
/// What drift is measured on: a weight, |d_i| <= max_drift |theta_old,i| of key weights; or a named
/// tensor, ||d|| <= max_drift ||theta_old||, of all of them.
enum class ProtectBound { weight, tensor };
std::string_view name_of(ProtectMode mode);
std::string_view name_of(ProtectUnit unit);
std::string_view name_of(ProtectBound bound);
/// Throw std::invalid_argument naming the known ones.
ProtectMode parse_protect_mode(std::string_view name);
ProtectUnit parse_protect_unit(std::string_view name);
ProtectBound parse_protect_bound(std::string_view name);

struct ProtectOptions {
  double key_fraction = 0.2;  // of the shared units, in (0, 1]; at most those with importance > 0
  double max_drift = 0.2;     // >= 0
  ProtectMode mode = ProtectMode::clamp;
  ProtectUnit unit = ProtectUnit::weight;
  ProtectBound bound = ProtectBound::weight;
  bool adapter = false;  // it was there at the start, and is held, too
};

/// Holds parameters that all tasks share and that are trained; heads and a new adapter are free.
/// With d = theta - theta_old:
///   bound weight  key units are those of highest importance (a neuron's: the mean over its
///                 weights), ties by place in the arena; theta_i is cut to theta_old,i -+ max_drift
///                 |theta_old,i|. A weight that was 0 stays 0.
///   bound tensor  d of a tensor that has drifted further is scaled back: theta = theta_old + d
///                 max_drift ||theta_old|| / ||d||. A tensor that was 0 stays 0.
/// Accuracy: the width of a weight's interval is rounded down, its ends to nearest: |d_i| exceeds
/// its bound by half an ulp of theta_i at most, and a frozen weight keeps its value; ||d|| by the
/// rounding of theta, a relative 2^-24 (f32) of ||theta||.
class Protection {
 public:
  /// Keeps a reference to the memory of theta_old (n); `importance` (n) is needed by bound weight
  /// alone, else null. Throws std::invalid_argument for options out of range, bound tensor with
  /// mode freeze, tensors that are not of the arena's size and type, and importance that is zero
  /// (or missing) everywhere.
  Protection(const ParameterArena& arena, Tensor theta_old, const Tensor* importance,
             const ProtectOptions& options);

  /// Puts theta back within the bounds, after an update. One pass over what is protected. The same
  /// bits for any number of threads.
  void apply(const Tensor& theta);

  /// Weights that are held: key ones, or those of all shared tensors.
  std::int64_t protected_weights() const { return protected_; }
  /// Of these, how many weights (or tensors) the last apply() found at their bound or beyond.
  std::int64_t at_bound() const { return at_bound_; }
  /// 1 where a weight is key, 0 elsewhere (n); empty with bound tensor.
  std::span<const std::uint8_t> key() const;

 private:
  void choose_keys(const ParameterArena& arena, const Tensor& importance);
  void list_tensors(const ParameterArena& arena);
  void clamp(const Tensor& theta);
  void scale(const Tensor& theta);

  ProtectOptions options_;
  Tensor old_;
  std::shared_ptr<Storage> key_;           // bytes (n), where theta_old is; null: bound tensor
  std::vector<cuda::UpdatePiece> pieces_;  // range: number of the tensor
  std::vector<double> norms_;              // ||theta_old|| of each tensor
  std::int64_t protected_ = 0, at_bound_ = 0;
};

}  // namespace holdfast
