// holdfast fisher: every kind, the conversions in numbers, and what is refused.
#include <gtest/gtest.h>

#include "base/json.h"
#include "tests/cli/program.h"

namespace holdfast::test {
namespace {

class Fisher : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = std::make_unique<Folder>();
    make_small_project(folder_->path());
  }
  static void TearDownTestSuite() { folder_.reset(); }

  static Outcome fisher(std::vector<std::string> options, const std::string& data = "old.csv") {
    std::vector<std::string> arguments{"fisher", "--model", "runs/old/model", "--data",
                                       data,     "-o",      "f.safetensors"};
    arguments.insert(arguments.end(), options.begin(), options.end());
    return run(folder_->path(), arguments);
  }
  static Json json(const std::string& text) { return Json::parse(text, "output"); }

  static inline std::unique_ptr<Folder> folder_;
};

TEST_F(Fisher, MeasuresEveryKind) {
  for (const char* kind : {"true", "empirical", "sampled", "sketch", "mas"}) {
    const Outcome outcome = fisher({"--kind", kind, "--samples", "9", "--json", "--quiet"});
    ASSERT_EQ(outcome.status, 0) << outcome.err;
    const Json result = json(outcome.out);
    EXPECT_EQ(result.at("kind"), Json(kind));
    EXPECT_EQ(result.at("task"), Json("old"));
    EXPECT_EQ(result.at("samples").as_int64(), 9);
    EXPECT_GT(result.at("mean_positive").as_double(), 0);
    EXPECT_EQ(outcome.err, "");
  }
}

TEST_F(Fisher, ExplainsInNumbersOfThisModel) {
  const Outcome outcome = fisher({"--explain", "--json", "--quiet", "--batch", "16"});
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  const Json result = json(outcome.out);
  const double mean = result.at("mean_positive").as_double();
  const Json& explanation = result.at("explanation");
  EXPECT_EQ(explanation.at("batch").as_int64(), 16);
  const Json::Array& rows = explanation.at("conversions").array();
  ASSERT_EQ(rows.size(), 5u);
  EXPECT_EQ(rows[0].at("whose"), Json("Kirkpatrick, van de Ven"));
  EXPECT_DOUBLE_EQ(rows[0].at("factor_raw").as_double(), 0.5);
  EXPECT_DOUBLE_EQ(rows[0].at("factor_mean").as_double(), 0.5 * mean);
  EXPECT_DOUBLE_EQ(rows[1].at("factor_raw").as_double(), 1.0 / 16);
  EXPECT_DOUBLE_EQ(rows[2].at("factor_mean").as_double(), mean / 32);
  EXPECT_TRUE(rows[4].at("factor_raw").is_null());
  const std::string text = fisher({"--explain", "--quiet"}).out;
  EXPECT_NE(text.find("times, with normalize"), std::string::npos);
  EXPECT_NE(fisher({"--explain", "--quiet", "--kind", "mas"}).out.find("do not convert"),
            std::string::npos);
}

TEST_F(Fisher, ExplainsWithoutAModel) {
  const Outcome outcome = run(folder_->path(), {"fisher", "--explain", "--json"});
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  const Json explained = json(outcome.out);
  const Json::Array& rows = explained.at("conversions").array();
  EXPECT_DOUBLE_EQ(rows[1].at("factor_raw").as_double(), 1.0 / 32);
  EXPECT_TRUE(rows[1].at("factor_mean").is_null());
}

TEST_F(Fisher, ProgressEndsAtAllTexts) {
  const Outcome outcome = fisher({"--samples", "40"});
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_TRUE(lines_of(outcome.err).back().starts_with("fisher old 100% 40/40")) << outcome.err;
}

TEST_F(Fisher, LabelsAreNeededByTheEmpiricalKindAlone) {
  write(folder_->path() / "bare.csv", "text\na goal\nthe bank\n");
  EXPECT_EQ(fisher({"--quiet"}, "bare.csv").status, 0);
  EXPECT_EQ(fisher({"--quiet", "--kind", "mas"}, "bare.csv").status, 0);
  const Outcome outcome = fisher({"--quiet", "--kind", "empirical"}, "bare.csv");
  EXPECT_EQ(outcome.status, 2);
  EXPECT_NE(outcome.err.find("label"), std::string::npos) << outcome.err;
}

TEST_F(Fisher, WrongLabelIsNamedWithItsTask) {
  write(folder_->path() / "wrong.csv", "text,label\na goal,sport\nthe bank,weather\n");
  const Outcome outcome = fisher({"--quiet"}, "wrong.csv");
  EXPECT_EQ(outcome.status, 2);
  EXPECT_NE(outcome.err.find("wrong.csv:3: the label \"weather\" is none of task old's: money"),
            std::string::npos)
      << outcome.err;
}

// Before the model is read, which is not there.
TEST_F(Fisher, WrongKindIsRefusedFirst) {
  for (const char* kind : {"exact", "si"}) {
    const Outcome outcome = run(folder_->path(), {"fisher", "--model", "nowhere", "--data",
                                                  "none.csv", "-o", "f", "--kind", kind});
    EXPECT_EQ(outcome.status, 2);
    EXPECT_NE(outcome.err.find(kind), std::string::npos) << outcome.err;
    EXPECT_EQ(outcome.err.find("nowhere"), std::string::npos) << outcome.err;
  }
}

}  // namespace
}  // namespace holdfast::test
