#include "train/verify.h"

#include <gtest/gtest.h>

#include <set>

#include "base/parallel.h"
#include "tensor/cpu.h"
#include "tests/reference/expect_error.h"
#include "tests/train/verify_fixture.h"
#include "train/checkpoint.h"
#include "train/trainer.h"

namespace holdfast {
namespace {

TEST_F(Verify, FindsARunEqualAndLeavesItAlone) {
  run_recipe(recipe_);
  const auto before = contents(files_.folder().path());
  const Verification whole = verify_run(out(), {0, 0, 2});  // another number of threads
  EXPECT_TRUE(whole.equal()) << whole.findings.front().text();
  EXPECT_EQ(whole.first, 1);
  EXPECT_EQ(whole.last, 10);
  EXPECT_TRUE(whole.end);
  EXPECT_TRUE(whole.finished);
  EXPECT_EQ(whole.lines, 16U);
  EXPECT_EQ(whole.chain.size(), 64U);
  struct Case {
    std::int64_t from, to, first, last;
  };
  for (const Case& c :
       {Case{8, 0, 7, 10}, {6, 6, 4, 6}, {7, 8, 7, 8}, {3, 0, 1, 10}, {0, 2, 1, 2}}) {
    const Verification part = verify(c.from, c.to);
    EXPECT_TRUE(part.equal()) << c.from << ": " << part.findings.front().text();
    EXPECT_EQ(part.first, c.first) << c.from;
    EXPECT_EQ(part.last, c.last) << c.from;
    EXPECT_EQ(part.end, c.to == 0) << c.from;
  }
  EXPECT_EQ(contents(files_.folder().path()), before);
  set_thread_count(1);
}

TEST_F(Verify, FindsAByteChangedAnywhere) {
  run_recipe(recipe_);
  const auto before = contents(files_.folder().path());
  int found = 0;
  for (const auto& [name, text] : before) {
    const fs::path path = name;
    const std::string file = path.filename();
    const bool kept = name.find("/out/") == std::string::npos ||
                      name.find("/out/model/") != std::string::npos ||
                      name.find("/checkpoints/") != std::string::npos || file == "ledger.jsonl" ||
                      file == "recipe.toml";
    if (text.empty() || !kept) continue;
    std::string changed = text;
    char& byte = changed[changed.size() / 2];
    byte = static_cast<char>(byte ^ 1);
    std::ofstream(path, std::ios::binary) << changed;
    const Verification result = verify();
    ASSERT_FALSE(result.equal()) << name;
    EXPECT_EQ(result.last, 0) << name;  // nothing was executed
    const std::string where = file == "ledger.jsonl" ? "ledger.jsonl:"
                              : name.find("/checkpoints/") != std::string::npos
                                  ? path.parent_path().string()
                                  : name;
    EXPECT_TRUE(result.findings.front().where.starts_with(where)) << result.findings.front().text();
    std::ofstream(path, std::ios::binary) << text;
    ++found;
  }
  EXPECT_GT(found, 25);  // data, the model at the start and at the end, checkpoints, recipe, ledger
  EXPECT_TRUE(verify(0, 1).equal());
}

TEST_F(Verify, NamesTheStepThatDoesNotComeOut) {
  run_recipe(recipe_);
  forge([](Json& line) {
    const Json* step = line.find("step");
    if (line.at("kind").as_string() == "step" && step->as_int64() == 5) {
      line.set("loss", line.at("loss").as_double() * (1 + 1e-15));
    }
    return true;
  });
  fs::remove_all(out() / "checkpoints");  // they belong to the ledger that was
  const Verification loss = verify();
  ASSERT_EQ(loss.findings.size(), 1U);
  EXPECT_EQ(loss.findings[0].step, 5);
  EXPECT_EQ(loss.findings[0].difference.member, "loss");
  EXPECT_EQ(loss.last, 4);
  EXPECT_NE(loss.findings[0].text().find("step 5: loss is "), std::string::npos)
      << loss.findings[0].text();
  run_recipe(recipe_);
  forge([](Json& line) {
    if (line.at("kind").as_string() == "step" && line.at("step").as_int64() == 8) {
      line.set("weights", "00");
    }
    return true;
  });
  fs::remove_all(out() / "checkpoints");
  const Verification weights = verify();
  ASSERT_EQ(weights.findings.size(), 1U);
  EXPECT_NE(weights.findings[0].text().find("was \"00\"; the last equal hash is that of step 6"),
            std::string::npos)
      << weights.findings[0].text();
  run_recipe(recipe_);
  forge([](Json& line) {
    if (line.at("kind").as_string() == "end") {
      line.set("test", Json::object({{"news", "all right"}}));
    }
    return true;
  });
  fs::remove_all(out() / "checkpoints");
  EXPECT_NE(verify().findings.at(0).text().find("test.news is"), std::string::npos);
}

TEST_F(Verify, FindsWhatIsMissing) {
  run_recipe(recipe_);
  const std::string text = file_text(out() / "ledger.jsonl");
  const std::size_t last = text.rfind('\n', text.size() - 2) + 1;
  for (const std::size_t size : {last, last + 20, text.size() - 1}) {
    write_file(out() / "ledger.jsonl", text.substr(0, size));
    EXPECT_NE(verify(0, 1).findings.at(0).text().find("last line is missing"), std::string::npos);
  }
  write_file(out() / "ledger.jsonl", text);
  write_file(out() / "model" / "more.txt", "x");
  EXPECT_NE(verify(0, 1).findings.at(0).text().find("is not of this run"), std::string::npos);
  fs::remove(out() / "model" / "more.txt");
  fs::remove(out() / "model" / "vocab.txt");
  EXPECT_NE(verify(0, 1).findings.at(0).text().find("vocab.txt: sha256 is absent"),
            std::string::npos);
}

TEST_F(Verify, HoldsACheckpointToItsFoldersName) {
  run_recipe(recipe_);
  fs::remove_all(checkpoint_folder(out(), 6));
  fs::copy(checkpoint_folder(out(), 3), checkpoint_folder(out(), 6));
  const Verification result = verify(8);
  ASSERT_FALSE(result.equal());
  EXPECT_NE(result.findings.back().text().find("is of step 3, not of its folder's"),
            std::string::npos)
      << result.findings.back().text();
  expect_error<std::runtime_error>("load", "is of step 3", [&] { load_checkpoint(out(), 6); });
}

TEST_F(Verify, ExecutesWhatWasStoppedOrKilled) {
  std::atomic<bool> stop = false;
  Hooks hooks;
  hooks.stop = &stop;
  hooks.progress = [&](const Progress& progress) {
    stop = stop || (progress.phase == "train" && progress.done == 7);
  };
  EXPECT_TRUE(run_recipe(recipe_, hooks).interrupted);
  const Verification stopped = verify();
  EXPECT_TRUE(stopped.equal()) << stopped.findings.front().text();
  EXPECT_EQ(stopped.last, 7);
  EXPECT_TRUE(stopped.end);
  EXPECT_EQ(resume_recipe(recipe_).steps, 10);
  EXPECT_TRUE(verify().equal());  // nothing tells that it was stopped
  struct Killed {};
  Hooks killing;
  killing.progress = [](const Progress& progress) {
    if (progress.phase == "train" && progress.done == 5) throw Killed();
  };
  EXPECT_THROW(run_recipe(recipe_, killing), Killed);
  const Verification killed = verify();
  EXPECT_TRUE(killed.equal()) << killed.findings.front().text();
  EXPECT_FALSE(killed.finished);
  EXPECT_EQ(killed.last, 5);
}

TEST_F(Verify, ExecutesEveryKindOfEnd) {
  recipe_.ewc.reset();
  recipe_.evaluation.keep_best = true;
  recipe_.evaluation.every = 2;
  recipe_.merge.emplace().method = "linear";
  run_recipe(recipe_);
  EXPECT_TRUE(verify().equal());
  recipe_.merge.reset();
  recipe_.adapter = AdapterRecipe{.kind = "lora"};
  run_recipe(recipe_);
  EXPECT_TRUE(fs::exists(out() / "adapter"));
  EXPECT_TRUE(verify().equal());
}

TEST_F(Verify, TakesAPortableRunToAnotherInstructionSet) {
  recipe_.numerics = "portable";
  run_recipe(recipe_);
  const Isa best = isa();
  for (const Isa other : {Isa::baseline, Isa::avx2, Isa::avx512, Isa::portable}) {
    if (!supported(other)) continue;
    set_isa(other);
    const Verification result = verify(8);
    EXPECT_TRUE(result.equal()) << result.findings.front().text();
    EXPECT_EQ(result.last, 10) << name_of(other);
  }
  set_isa(best);
}

TEST_F(Verify, RefusesWhatItCannotTell) {
  expect_error<Refused>("nothing", "holds no run", [&] { verify(); });
  const auto refused = [&](const char* name, const std::string& why, std::int64_t from = 0) {
    const Verification result = verify(from);
    EXPECT_TRUE(result.equal()) << name;
    EXPECT_GT(result.files, 20U) << name;
    EXPECT_EQ(result.last, 0) << name;
    EXPECT_NE(result.refusal.find(why), std::string::npos) << name << ": " << result.refusal;
  };
  run_recipe(recipe_);
  refused("steps", "the run has 10 steps", 11);
  expect_error<Refused>("order", "from step 5 to step 3", [&] { verify(5, 3); });
  if (isa() != Isa::baseline) {
    const Isa best = isa();
    set_isa(Isa::baseline);
    refused("isa", "isa is \"baseline\", was");
    set_isa(best);
  }
  fs::remove(files_.path("news_test.csv"));
  refused("gone", "news_test.csv: the run has read this file, and it is not there");
}

}  // namespace
}  // namespace holdfast
