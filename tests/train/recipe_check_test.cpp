#include "train/recipe_check.h"

#include <gtest/gtest.h>

#include "tests/reference/expect_error.h"
#include "tests/train/recipe_texts.h"

namespace holdfast {
namespace {

TEST(RecipeCheck, RefusesMeasuresWithoutAnOldTask) {
  for (const char* table : {"[replay]\n", "[ewc]\n", "[distill]\nmethod = \"lwf\"\n",
                            "[gradient]\nprojection = \"a-gem\"\n"}) {
    expect_error<std::runtime_error>(table, "needs an [[old]] task: there is none",
                                     [&] { parse(kSmall + table); });
  }
}

TEST(RecipeCheck, RefusesWhatMakesNoSenseTogether) {
  const std::string lora = "[adapter]\nkind = \"lora\"\n";
  const std::string frozen = "[training]\nencoder = \"frozen\"\n";
  struct Case {
    std::string text, message;
  };
  for (const Case& c : std::initializer_list<Case>{
           {"[gradient]\nprojection = \"a-gem\"\n", "gradient needs [replay]"},
           {"[distill]\nmethod = \"der++\"\n", "distill needs [replay]"},
           {"[replay]\nshare = 0.0\n", "replay has share = 0"},
           {frozen + "[protect]\n", "protect has nothing to hold"},
           {frozen + "[l2]\nweight = 0.1\n", "l2 has nothing to hold"},
           {frozen + "[recadam]\n", "recadam has nothing to hold"},
           {frozen + "[mixout]\n", "mixout has nothing to hold"},
           {lora + "[unfreeze]\nschedule = \"gradual\"\n", "unfreeze has nothing to thaw"},
           {lora + "[leave]\npath = true\n", "leave has path = true"},
           {"[leave]\npath = true\n[replay]\n",
            "leave has path = true: synaptic intelligence follows"},
           {"[leave]\npath = true\n[evaluation]\nkeep_best = true\n",
            "leave has path = true: synaptic intelligence divides"},
           {"[leave]\npath = true\n[merge]\nmethod = \"linear\"\nweight = 0.5\n",
            "leave has path = true: synaptic intelligence divides"},
           {"[leave]\npath = true\n[training]\nearly_stop = 2\n",
            "leave has path = true: synaptic intelligence divides"},
           {frozen + "[ewc]\n", "ewc has nothing to hold: training.encoder"},
           {frozen + "[replay]\n[gradient]\nprojection = \"a-gem\"\n",
            "gradient has nothing to project"},
           {"[replay]\nshare = 0.0\n[distill]\nmethod = \"der++\"\n", "replay has share = 0"},
           {frozen + lora, "adapter is in the encoder"},
           {frozen + "[merge]\nmethod = \"linear\"\nweight = 0.5\n", "merge has nothing to merge"},
           {"[merge]\nmethod = \"linear\"\n", "merge searches its weight"},
           {lora + "[merge]\nmethod = \"fisher\"\nweight = 0.5\n",
            "merge weighs by the importance"},
           {"[evaluation]\nkeep_best = true\n", "chooses the best model"},
           {"[training]\nearly_stop = 3\n", "chooses the best model"},
           {"[protect]\nbound = \"tensor\"\nmode = \"freeze\"\n",
            "protect has bound = \"tensor\" and"},
           {"[augment]\n", "augment changes nothing"}}) {
    expect_error<std::runtime_error>(c.text, c.message, [&] { parse(kSmall + kOld + c.text); });
  }
}

TEST(RecipeCheck, RefusesAPullThatThrowsWeightsAway) {
  const std::string recipe = kSmall + kOld + "[recadam]\npull = 5000\n[learning_rate]\n";
  parse(recipe + "rate = 3e-4\n");
  expect_error<std::runtime_error>("rate", "learning rates must stay below 0.0004, and they go up",
                                   [&] { parse(recipe + "rate = 4e-4\n"); });
  expect_error<std::runtime_error>("top", "up to 0.0005",
                                   [&] { parse(recipe + "bottom = 1e-5\ntop = 5e-4\n"); });
}

}  // namespace
}  // namespace holdfast
