#include "train/without_effect.h"

#include <gtest/gtest.h>

#include "tests/train/recipe_texts.h"

namespace holdfast {
namespace {

using Lines = std::vector<std::string>;

Lines lines_of(const std::string& tables) {
  return settings_without_effect(parse(kSmall + kOld + tables));
}

TEST(WithoutEffect, NamesMeasuresOfWeightZero) {
  EXPECT_EQ(lines_of("[ewc]\nlambda = 0\n"), Lines{"ewc does nothing: lambda is 0"});
  EXPECT_EQ(lines_of("[l2]\n"), Lines{"l2 does nothing: each of weight and head is 0"});
  EXPECT_EQ(lines_of("[mixout]\nprobability = 0\n"),
            Lines{"mixout does nothing: probability is 0"});
  EXPECT_EQ(lines_of("[distill]\nmethod = \"lwf\"\nalpha = 0\n"),
            Lines{"distill does nothing: alpha is 0"});
}

TEST(WithoutEffect, NamesKeysThatTheChosenMethodDoesNotRead) {
  struct Case {
    std::string tables, key;
  };
  for (const Case& c : std::initializer_list<Case>{
           {"[replay]\n[distill]\nmethod = \"der++\"\ntemperature = 4\n", "distill.temperature"},
           {"[protect]\nmode = \"freeze\"\nmax_drift = 0.5\n", "protect.max_drift"},
           {"[replay]\nselect = \"random\"\ndiversity = 0.5\n", "replay.diversity"},
           {"[adapter]\nkind = \"houlsby\"\nrank = 4\n", "adapter.rank"},
           {"[adapter]\nkind = \"pfeiffer\"\nalpha = 4\n", "adapter.alpha"},
           {"[adapter]\nkind = \"lora\"\nsize = 4\n", "adapter.size"},
           {"[merge]\nmethod = \"linear\"\nweight = 0.5\ndensity = 0.5\n", "merge.density"},
           {"[merge]\nmethod = \"slerp\"\nweight = 0.5\nscale = 2\n", "merge.scale"},
           {"[augment]\nswap = 0.1\nreplace = 0.5\n", "augment.replace"}}) {
    const Lines lines = lines_of(c.tables);
    ASSERT_EQ(lines.size(), 1u) << c.tables;
    EXPECT_EQ(lines.front().find(c.key + " has no effect: "), 0u) << lines.front();
  }
}

TEST(WithoutEffect, IsSilentWhereEverythingIsRead) {
  EXPECT_EQ(lines_of("[replay]\ndiversity = 0.5\n[ewc]\n[l2]\nhead = 0.1\n[mixout]\n"
                     "[distill]\nmethod = \"lwf\"\ntemperature = 4\n[protect]\nmax_drift = 0.5\n"
                     "[merge]\nmethod = \"ties\"\nweight = 0.5\ndensity = 0.5\nscale = 2\n"),
            Lines{});
  EXPECT_EQ(lines_of("[adapter]\nkind = \"lora\"\nrank = 4\nalpha = 4\n"), Lines{});
  EXPECT_EQ(lines_of("[adapter]\nkind = \"houlsby\"\nsize = 4\n"), Lines{});
}

}  // namespace
}  // namespace holdfast
