// train --resume and verify, as they are typed.
#include <gtest/gtest.h>

#include "base/json.h"
#include "tests/cli/program.h"

namespace holdfast::test {
namespace {

class VerifyCommand : public testing::Test {
 protected:
  VerifyCommand() {
    make_small_project(folder_.path());
    trained_ = holdfast({"train", "recipe.toml", "--set", "checkpoint.every=2"});
  }
  Outcome holdfast(std::vector<std::string> arguments) const {
    arguments.push_back("--quiet");
    return run(folder_.path(), arguments);
  }
  // With the kernels of another CPU: OpenBLAS reads the variable before main.
  Outcome elsewhere(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), {"OPENBLAS_CORETYPE=Nehalem", HOLDFAST_BINARY});
    return run(folder_.path(), arguments, "", "/usr/bin/env");
  }
  std::filesystem::path out() const { return folder_.path() / "runs" / "new"; }

  const Folder folder_;
  Outcome trained_;
};

TEST_F(VerifyCommand, SaysThatAllIsEqualAndWhatIsNot) {
  ASSERT_EQ(trained_.status, 0) << trained_.err;
  const Outcome equal = holdfast({"verify", "runs/new"});
  EXPECT_EQ(equal.status, 0) << equal.out << equal.err;
  EXPECT_NE(equal.out.find("runs/new: all is equal: "), std::string::npos) << equal.out;
  const Outcome json = holdfast({"verify", "runs/new", "--to", "2", "--threads", "2", "--json"});
  EXPECT_EQ(json.status, 0) << json.err;
  const Json object = Json::parse(json.out, "stdout");
  EXPECT_TRUE(object.at("equal").as_bool());
  EXPECT_EQ(object.at("last_step").as_int64(), 2);

  const std::string ledger = read(out() / "ledger.jsonl");
  std::string changed = ledger;
  changed[changed.find("\"loss\"") + 9] ^= 1;
  write(out() / "ledger.jsonl", changed);
  const Outcome differs = holdfast({"verify", "runs/new"});
  EXPECT_EQ(differs.status, 1);
  EXPECT_NE(differs.out.find("ledger.jsonl:"), std::string::npos) << differs.out;
  EXPECT_NE(differs.out.find("the chain is broken"), std::string::npos) << differs.out;
  EXPECT_NE(differs.out.find(" (after the broken line "), std::string::npos) << differs.out;
  EXPECT_EQ(differs.out.find("did not end"), std::string::npos) << differs.out;
  write(out() / "ledger.jsonl", "{");
  const Outcome empty = holdfast({"verify", "runs/new"});
  EXPECT_EQ(empty.status, 1);
  EXPECT_EQ(empty.out.find("chain "), std::string::npos) << empty.out;
  write(out() / "ledger.jsonl", ledger);

  write(folder_.path() / "new_valid.csv", read(folder_.path() / "new_valid.csv") + "\n");
  const Outcome data = holdfast({"verify", "runs/new", "--json"});
  EXPECT_EQ(data.status, 1);
  const Json finding = Json::parse(data.out, "stdout").at("findings").array().at(0);
  EXPECT_EQ(finding.at("where").as_string(), "new_valid.csv");
  EXPECT_EQ(finding.at("member").as_string(), "bytes");

  const Outcome nothing = holdfast({"verify", "runs"});
  EXPECT_EQ(nothing.status, 2);
  EXPECT_EQ(lines_of(nothing.err).size(), 1U) << nothing.err;
}

TEST_F(VerifyCommand, TrainSaysTheChainThatStandsForAll) {
  const Outcome loud = run(folder_.path(), {"train", "recipe.toml", "--profile"});
  ASSERT_EQ(loud.status, 0) << loud.err;
  const std::string chain = lines_of(loud.out).back().substr(6);
  ASSERT_EQ(chain.size(), 64U) << loud.out;
  EXPECT_EQ(lines_of(loud.out).back(), "chain " + chain);
  EXPECT_EQ(holdfast({"verify", "runs/new", "--chain", chain}).status, 0);
  std::string report = read(out() / "report.html");
  const std::size_t at = report.find(chain);
  ASSERT_NE(at, std::string::npos);
  const Outcome other = holdfast({"verify", "runs/new", "--chain", std::string(64, 'a')});
  EXPECT_EQ(other.status, 1);
  EXPECT_NE(other.out.find("chain is \"" + chain + "\", was \"aaa"), std::string::npos)
      << other.out;
  EXPECT_EQ(holdfast({"verify", "runs/new", "--chain", "abc"}).status, 2);
  for (const auto& file : {out() / "metrics.json", out() / "profile.json", out() / "report.html"}) {
    const std::string before = read(file);
    write(file, before + "\n");
    const Outcome changed = holdfast({"verify", "runs/new", "--no-execute"});
    EXPECT_EQ(changed.status, 1) << file;
    EXPECT_NE(changed.out.find(file.filename().string() + ": bytes is "), std::string::npos);
    write(file, before);
  }
  const Outcome quiet = holdfast({"train", "recipe.toml"});
  EXPECT_EQ(quiet.out.find("chain "), std::string::npos) << quiet.out;
  const Outcome json = holdfast({"train", "recipe.toml", "--json"});
  EXPECT_EQ(Json::parse(json.out, "stdout").at("chain").as_string().size(), 64U) << json.err;
}

TEST_F(VerifyCommand, RefusesTheKernelsOfAnotherCpu) {
  ASSERT_EQ(trained_.status, 0) << trained_.err;
  const Outcome verify = elsewhere({"verify", "runs/new", "--quiet"});
  EXPECT_EQ(verify.status, 2) << verify.out;
  EXPECT_NE(verify.err.find("libraries.gemm is "), std::string::npos) << verify.err;
  EXPECT_EQ(lines_of(verify.err).size(), 1U) << verify.err;
  EXPECT_NE(verify.err.find("runs/new: chain and "), std::string::npos) << verify.err;
  EXPECT_NE(verify.err.find(" files hold; steps cannot be executed here: "), std::string::npos)
      << verify.err;
  const Outcome files = elsewhere({"verify", "runs/new", "--no-execute"});
  EXPECT_EQ(files.status, 0) << files.err;
  EXPECT_NE(files.out.find("nothing was executed again"), std::string::npos) << files.out;
  const Outcome json = elsewhere({"verify", "runs/new", "--json", "--quiet"});
  EXPECT_EQ(json.status, 2);
  EXPECT_TRUE(Json::parse(json.out, "stdout").at("equal").is_null()) << json.out;
  const std::string metrics = read(out() / "metrics.json");
  write(out() / "metrics.json", "{}");
  EXPECT_EQ(elsewhere({"verify", "runs/new", "--quiet"}).status, 1);
  write(out() / "metrics.json", metrics);
  const Outcome resume =
      elsewhere({"train", "recipe.toml", "--resume", "--quiet", "--set", "checkpoint.every=2"});
  EXPECT_EQ(resume.status, 2);
  EXPECT_NE(resume.err.find("holds another run: libraries.gemm is "), std::string::npos)
      << resume.err;
}

TEST_F(VerifyCommand, APortableRunIsVerifiedOnAnotherInstructionSet) {
  const Outcome portable =
      holdfast({"train", "recipe.toml", "--set", "numerics=portable", "--output", "runs/portable"});
  ASSERT_EQ(portable.status, 0) << portable.err;
  const Outcome verify =
      run(folder_.path(),
          {"HOLDFAST_ISA=portable", HOLDFAST_BINARY, "verify", "runs/portable", "--quiet"}, "",
          "/usr/bin/env");
  EXPECT_EQ(verify.status, 0) << verify.out << verify.err;
}

TEST_F(VerifyCommand, AStoppedRunIsResumed) {
  const std::vector<std::string> train = {"train", "recipe.toml", "--output", "runs/stopped"};
  const Outcome stopped = run_and_interrupt(folder_.path(), train, "step 0");
  EXPECT_EQ(stopped.status, 130) << stopped.err;
  std::vector<std::string> resume = train;
  resume.push_back("--resume");
  const Outcome resumed = holdfast(resume);
  EXPECT_EQ(resumed.status, 0) << resumed.err;
  EXPECT_EQ(read(folder_.path() / "runs/stopped/model/model.safetensors"),
            read(out() / "model/model.safetensors"));
  const Outcome again = holdfast(resume);
  EXPECT_EQ(again.status, 2);
  EXPECT_NE(again.err.find("holds the whole run"), std::string::npos) << again.err;
}

}  // namespace
}  // namespace holdfast::test
