// precision = "f64": the gradient of all that a step minimises, and a run that is double
// throughout.
#include <gtest/gtest.h>

#include <algorithm>

#include "audit/reference/random_tensor.h"
#include "autograd/grad_check.h"
#include "autograd/ops/op.h"
#include "tests/train/run_fixture.h"
#include "train/objective.h"
#include "train/optimizer.h"
#include "train/prepare.h"
#include "train/step.h"
#include "train/trainer.h"

namespace holdfast {
namespace {

// A step's loss (BERT with dropout, label smoothing, texts of two tasks, distillation) and its
// penalties (EWC, L2-SP) as one function of all weights, with the gradient that a step takes.
class WholeLoss {
 public:
  explicit WholeLoss(const RunFixture& files)
      : recipe_(recipe(files)), inputs_(load_inputs(recipe_)) {
    Model& model = inputs_.model;
    model.set_dropout(0.1);
    distillation_ = {DistillRecipe{"lwf", 0.7, 2},
                     {{0, "news", {model, *model.head("news"), inputs_.tasks[1].train}}}};
    ewc_.emplace(0.3, model.arena());
    ewc_->add(reference::random_tensor({model.arena().numel()}, 5, 0, 1, DType::f64),
              Normalization::mean);
    objective_.emplace(model, recipe_, pools(), &*distillation_);
  }

  // The anchor, and random steps away from it.
  Tensor somewhere() const {
    const Tensor theta = inputs_.model.arena().values().clone();
    const Tensor away = reference::random_tensor(theta.shape(), 6, -0.1, 0.1, DType::f64);
    for (std::size_t i = 0; i < theta.span<double>().size(); ++i) {
      theta.span<double>()[i] += away.span<double>()[i];
    }
    return theta;
  }

  Var operator()(const Var& theta) {
    ParameterArena& arena = inputs_.model.arena();
    std::ranges::copy(theta.value().span<double>(), arena.values().span<double>().begin());
    arena.zero_grad();
    const Var loss = objective_->batch(0).loss;
    if (recording()) backward(loss);
    arena.clear_unreached();
    // With beta1 = 0 the first moment is the gradient that the optimizer has seen.
    AdamW optimizer(arena.numel(), DType::f64, update_ranges(arena, std::array{1e-3}, 0.0, {}),
                    {.beta1 = 0});
    const UpdateSums sums = optimizer.step(theta.value().clone(), arena.grads(), 1, 1,
                                           {.ewc = &*ewc_, .l2 = {.weight = 0.2}});
    const double value = loss.value().item() + sums.ewc + sums.l2 + sums.l2_head;
    return ops::record("whole loss", Tensor::full({}, DType::f64, value), {theta},
                       [gradient = optimizer.first_moment()](const Tensor& dout, Gradients& out) {
                         const Tensor scaled = gradient.clone();
                         for (double& g : scaled.span<double>()) g *= dout.item();
                         out.add(0, scaled);
                       });
  }

 private:
  static Recipe recipe(const RunFixture& files) {
    Recipe recipe = files.full();
    recipe.precision = DType::f64;
    recipe.training.label_smoothing = 0.1;
    recipe.fresh.max_length = recipe.old[0].max_length = 12;
    const Tokenizer tokenizer = Tokenizer::load(files.path("model"));
    Model model = Model::create(small_bert(tokenizer.size(), 6, 2, 0.3), DType::f32, 3);
    model.add_head("news", files.kNewsLabels, 12);
    model.save(files.path("model"), "news");
    return recipe;
  }
  std::vector<SamplePool> pools() const {
    return {{.task = "medical", .samples = inputs_.tasks[1].train, .class_weights = {0.8, 1.3}},
            {.task = "news", .samples = inputs_.tasks[0].train}};
  }

  Recipe recipe_;
  Inputs inputs_;
  std::optional<Distillation> distillation_;
  std::optional<EwcPenalty> ewc_;
  std::optional<Objective> objective_;
};

TEST(Float64, TheGradientOfTheWholeLossIsRight) {
  const RunFixture files;
  WholeLoss loss(files);
  const Tensor theta = loss.somewhere();
  const GradCheckResult result =
      check_gradients([&](const std::vector<Var>& x) { return loss(x[0]); }, {theta},
                      {.tolerance = 1e-8, .max_elements = theta.numel()});
  EXPECT_TRUE(result.passed()) << result.max_error << ' ' << result.where;
}

// Whether the numbers have digits that no f32 has.
testing::AssertionResult is_double(const Tensor& x) {
  if (x.dtype() != DType::f64) return testing::AssertionFailure() << name_of(x.dtype());
  for (const double value : x.span<double>()) {
    if (static_cast<double>(static_cast<float>(value)) != value) return testing::AssertionSuccess();
  }
  return testing::AssertionFailure() << "all values are those of f32";
}

TEST(Float64, ImportanceAnchorAndMomentsAreDouble) {
  const RunFixture files;
  Recipe recipe = files.full();
  recipe.precision = DType::f64;
  const Inputs inputs = open_inputs(recipe, {});
  const Recipe resolved = resolve(recipe, inputs);
  Model model = inputs.model.clone();
  RunResult result;
  const Hooks hooks;
  const RunContext run{model, inputs, resolved, hooks, result};
  const Prepared prepared = prepare(run);
  TrainingStep training(model, resolved, make_pools(run, prepared), prepared.measures(run));
  for (std::int64_t step = 0; step < 2; ++step) training.run(step);
  EXPECT_TRUE(is_double(prepared.importances.at(0).values));
  EXPECT_TRUE(is_double(prepared.ewc->importance()));
  EXPECT_EQ(prepared.ewc->anchor().dtype(), DType::f64);
  EXPECT_TRUE(is_double(training.optimizer().first_moment()));
  EXPECT_TRUE(is_double(training.optimizer().second_moment()));
  EXPECT_TRUE(is_double(model.arena().values()));
}

TEST(Float64, ARunInFloatAgreesToItsAccuracy) {
  const RunFixture files;
  const RunResult in_float = run_recipe(files.full("f32"));
  Recipe recipe = files.full("f64");
  recipe.precision = DType::f64;
  const RunResult in_double = run_recipe(recipe);
  EXPECT_NEAR(in_float.mean_fisher, in_double.mean_fisher, 1e-5 * in_double.mean_fisher);
  ASSERT_EQ(in_float.ledger.size(), in_double.ledger.size());
  for (std::size_t i = 0; i < in_double.ledger.size(); ++i) {
    EXPECT_NEAR(in_float.ledger[i].loss, in_double.ledger[i].loss, 1e-4) << i;
  }
  EXPECT_NE(in_float.ledger.back().loss, in_double.ledger.back().loss);
}

}  // namespace
}  // namespace holdfast
