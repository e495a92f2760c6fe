#include "train/distill.h"

#include <gtest/gtest.h>

#include <cmath>

#include "autograd/grad_check.h"
#include "autograd/ops.h"
#include "tests/train/run_fixture.h"
#include "train/dataset.h"

namespace holdfast {
namespace {

const std::vector<double> kLogits = {0.3, -1.2, 2.0, 0.1, 0.7, -0.4};
const std::vector<double> kTeacher = {1.5, 0.2, -0.3, -0.8, 0.9, 0.0};

std::vector<double> softmax_of(const double* z, double T) {
  double sum = 0;
  std::vector<double> p;
  for (int k = 0; k < 3; ++k) p.push_back(std::exp(z[k] / T));
  for (const double value : p) sum += value;
  for (double& value : p) value /= sum;
  return p;
}

TEST(Distill, LwfIsTheScaledDivergenceOfItsDefinition) {
  const double T = 2;
  double expected = 0;
  for (int n = 0; n < 2; ++n) {
    const auto p = softmax_of(&kTeacher[static_cast<std::size_t>(3 * n)], T);
    const auto q = softmax_of(&kLogits[static_cast<std::size_t>(3 * n)], T);
    for (std::size_t k = 0; k < 3; ++k) expected += T * T * p[k] * std::log(p[k] / q[k]) / 2;
  }
  const Var loss =
      distillation_loss(Var(Tensor::from(kLogits, {2, 3})), Tensor::from(kTeacher, {2, 3}), T);
  EXPECT_NEAR(loss.value().item(), expected, 1e-14);
  const Var none =
      distillation_loss(Var(Tensor::from(kTeacher, {2, 3})), Tensor::from(kTeacher, {2, 3}), T);
  EXPECT_NEAR(none.value().item(), 0, 1e-15);
}

TEST(Distill, DerMatchesLogits) {
  double expected = 0;
  for (std::size_t i = 0; i < 6; ++i) expected += std::pow(kLogits[i] - kTeacher[i], 2) / 6;
  EXPECT_NEAR(
      logit_matching_loss(Var(Tensor::from(kLogits, {2, 3})), Tensor::from(kTeacher, {2, 3}))
          .value()
          .item(),
      expected, 1e-15);
}

TEST(Distill, GradientsAgreeWithDifferences) {
  const Tensor teacher = Tensor::from(kTeacher, {2, 3});
  for (const bool lwf : {true, false}) {
    const auto report = check_gradients(
        [&](const std::vector<Var>& in) {
          return lwf ? distillation_loss(in[0], teacher, 1.7) : logit_matching_loss(in[0], teacher);
        },
        {Tensor::from(kLogits, {2, 3})});
    EXPECT_LT(report.max_error, 1e-8) << lwf;
  }
}

TEST(Distill, TheTeacherAnswersWithoutDropoutAndForEachText) {
  const RunFixture files;
  Inputs inputs = load_inputs(files.plain());
  inputs.model.set_dropout(0.5);
  const TaskData& news = inputs.tasks[0];
  const Teacher teacher(inputs.model, *inputs.model.head("news"), news.train);
  EXPECT_EQ(teacher.classes(), 3);
  const std::vector<double> alone =
      logits_of(inputs.model, *inputs.model.head("news"), std::span(news.train).subspan(7, 1));
  const std::vector<std::int64_t> texts{7, 3};
  const std::vector<double> rows = teacher.of(texts, DType::f64).to_vector();
  ASSERT_EQ(rows.size(), 6U);
  for (std::size_t k = 0; k < 3; ++k) EXPECT_NEAR(rows[k], alone[k], 1e-5);
}

}  // namespace
}  // namespace holdfast
