// What a step minimises: the texts of its batch, and their loss. Tested by
// tests/train/objective_test.cpp and tests/train/step_test.cpp.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "nn/model.h"
#include "tensor/pending_item.h"
#include "train/distill.h"
#include "train/mixing.h"
#include "train/recipe.h"
#include "train/sample.h"

namespace holdfast {

/// What a task's texts of one batch cost.
struct TaskLoss {
  std::string task;
  std::int64_t texts = 0;
  double loss = 0;  // mean over these texts
};

/// Which texts a step was given.
struct DrawnTexts {
  std::string task;
  std::vector<std::int64_t> ids;  // Sample::id: rows of the task's file
};

/// Where a task's training texts are: the new task's first, then the memory of each old one.
struct SamplePool {
  std::string task;
  std::span<const Sample> samples;
  std::string head = task;              // whose logits they get
  std::vector<double> class_weights{};  // of the head's classes; empty: 1 each
  /// A text as it is in an epoch, with augmentation; empty: always the same.
  std::function<Sample(std::int64_t index, std::int64_t epoch)> variant{};
};

/// The old model's answers to a pool's texts, and the head that shall keep them. A head that has
/// grown answers with its first columns.
struct DistillSource {
  std::size_t pool = 0;
  std::string head;
  Teacher teacher;
};

/// "lwf": the teacher's answers of the old heads to the new texts of the batch. "der++": those of
/// each memory's head to a second draw from the memory, as many texts as the batch has old ones.
struct Distillation {
  DistillRecipe recipe;
  std::vector<DistillSource> sources;
};

/// L = 1/B sum_n w_n CE(head of n's task) + alpha D, with D the distillation loss (distill.h) and
/// w_n the class weight. The texts of a step are a pure function of (seed, step, shares so far).
class Objective {
 public:
  /// The cross entropy of one pool's texts, times their share of the batch; read when asked, as a
  /// device computes it meanwhile.
  struct TaskTerm {
    std::string task;
    std::int64_t texts, of_batch;
    PendingItem value;

    TaskLoss loss() const;
  };
  struct Terms {
    Var loss;
    PendingItem task;     // the first term
    PendingItem distill;  // the second; undefined: none
    std::vector<TaskTerm> tasks;
    std::vector<DrawnTexts> drawn, matched;  // of the batch; of der++'s second draw
    std::int64_t tokens = 0;
  };

  /// Model, samples and `distillation` (null: none) must outlive this. Throws
  /// std::invalid_argument for a pool without head, no new samples, or replay without old samples.
  Objective(Model& model, const Recipe& recipe, std::vector<SamplePool> pools,
            const Distillation* distillation);

  /// The loss of step `step` = 0, 1, ...
  Terms batch(std::int64_t step);
  /// The mean cross entropy of `texts` texts of the memory: A-GEM's reference, from a draw of its
  /// own.
  Var reference(std::int64_t step, std::int64_t texts);

  /// The share of old texts from step `step` on.
  void set_share(std::int64_t step, double share) { mixer_.set_share(step, share); }
  std::int64_t steps_per_epoch() const { return mixer_.steps_for_epochs(1); }
  const std::vector<SamplePool>& pools() const { return pools_; }
  /// Whether the latest loss reached this head.
  bool reached(const Head& head) const;
  /// Texts of der++'s second draw in the latest batch.
  std::int64_t matched() const;
  /// The texts of the latest loss, less der++'s second draw; and as a message.
  std::vector<DrawnTexts> drawn() const { return ids_of(mixed_); }
  std::string texts() const;

 private:
  struct Rows {                         // of one pool in a batch
    std::vector<std::int32_t> rows;     // places in the batch
    std::vector<std::int64_t> indices;  // places in the pool
  };
  std::vector<DrawnTexts> ids_of(const std::vector<Rows>& rows) const;
  void clear();
  void take(const MixItem& item, std::vector<Rows>& rows);
  void take_memory(BufferCycle& cycle, std::int64_t begin, std::int64_t end,
                   std::vector<Rows>& rows);
  Var forward(std::int64_t step, std::int64_t& tokens);
  Var logits(const Var& pooled, const std::string& head, const std::vector<std::int32_t>& rows);
  Var cross_entropies(const Var& pooled, const std::vector<Rows>& rows,
                      std::vector<TaskTerm>& terms);
  Var distilled(const Var& pooled);

  Model& model_;
  std::uint64_t seed_;
  double smoothing_;
  std::vector<SamplePool> pools_;
  const Distillation* distillation_;
  Mixer mixer_;
  BufferCycle matching_, referring_;  // draws from all memories together

  // The latest batch.
  std::vector<const Sample*> samples_;
  std::deque<Sample> variants_;
  std::vector<Rows> mixed_, matched_;  // of each pool
  std::vector<std::string> heads_;     // that were reached
};

}  // namespace holdfast
