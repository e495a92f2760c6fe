#include "train/recipe.h"

#include <gtest/gtest.h>

#include "tests/reference/expect_error.h"
#include "tests/train/recipe_texts.h"

namespace holdfast {
namespace {

TEST(Recipe, HasDefaults) {
  const Recipe recipe = parse(kSmall);
  EXPECT_EQ(recipe.seed, 7);
  EXPECT_EQ(recipe.precision, DType::f32);
  EXPECT_EQ(recipe.threads, 0);
  EXPECT_EQ(recipe.fresh.max_length, 128);
  EXPECT_EQ(recipe.training.epochs, 3);
  EXPECT_EQ(recipe.training.batch_size, 32);
  EXPECT_EQ(recipe.learning_rate.rate, 1e-4);
  EXPECT_EQ(recipe.learning_rate.naive, (std::vector<double>{3e-5, 1e-4, 3e-4}));
  EXPECT_FALSE(recipe.learning_rate.layer_wise());
  EXPECT_FALSE(recipe.replay || recipe.ewc || recipe.evaluation.controller);
}

TEST(Recipe, AMeasureIsOnWhenItsTableIsThere) {
  const Recipe recipe =
      parse(kSmall + kOld +
            "max_length = 9\n[learning_rate]\nbottom = 1e-5\ntop = 5e-4\nnaive = 2e-4\n"
            "[replay]\n[ewc]\n[evaluation]\n");
  ASSERT_TRUE(recipe.replay && recipe.ewc);
  EXPECT_EQ(recipe.replay->keep, 0.10);
  EXPECT_EQ(recipe.replay->share, 0.20);
  EXPECT_EQ(recipe.ewc->lambda, 0.3);
  EXPECT_EQ(recipe.ewc->samples, 0);
  EXPECT_TRUE(recipe.evaluation.controller);
  EXPECT_TRUE(recipe.learning_rate.layer_wise());
  EXPECT_EQ(recipe.learning_rate.naive, std::vector<double>{2e-4});
  EXPECT_EQ(recipe.old.at(0).max_length, 9);
}

TEST(Recipe, AnOldTaskTakesTheNewOnesLength) {
  const Recipe recipe = parse(kSmall + "max_length = 40\n" + kOld);
  EXPECT_EQ(recipe.old.at(0).max_length, 40);
}

TEST(Recipe, ABoostOfOneIsNoController) {
  EXPECT_FALSE(parse(kSmall + "[evaluation]\nboost = 1.0\n").evaluation.controller);
}

TEST(Recipe, WritesWhatParsesBackToTheSame) {
  const std::string all =
      kSmall + "valid = \"v.csv\"\ntext_pair = \"p\"\n" + kOld +
      "[training]\nsteps = 40\nbetas = [0.8, 0.99]\nmemory_budget = \"3MiB\"\n"
      "[learning_rate]\nbottom = 1e-5\ntop = 5e-4\nspacing = \"linear\"\n"
      "[replay]\ncount = 12\nselect = \"random\"\n[ewc]\nsamples = 30\nnormalize = \"max\"\n"
      "[protect]\nunit = \"neuron\"\n[l2]\nweight = 0.1\n[recadam]\npull = 100\n[mixout]\n"
      "[distill]\nmethod = \"lwf\"\n[gradient]\nprojection = \"a-gem\"\n"
      "[unfreeze]\nschedule = \"gradual\"\nevery = 4\n[augment]\nswap = 0.1\n"
      "[merge]\nmethod = \"ties\"\nweight = 0.5\n[leave]\nmemory = 0\n"
      "[evaluation]\nevery = 9\ngate = \"paired\"\n";
  const std::string adapter = kSmall + "[adapter]\nkind = \"lora\"\nrank = 4\n";
  const std::string brief = "precision = \"bf16\"\n" + kSmall;
  const std::string tf32 = "precision = \"tf32\"\ndevice = \"cuda\"\n" + kSmall;
  for (const std::string& text : {kSmall, all, adapter, brief, tf32}) {
    const std::string once = to_toml(parse(text)).dump();
    EXPECT_EQ(to_toml(parse(once)).dump(), once);
  }
  EXPECT_EQ(parse(all).training.memory_budget, 3 << 20);
  EXPECT_EQ(parse(brief).precision, DType::bf16);
  EXPECT_EQ(parse(brief).storage(), DType::f32);
  EXPECT_NE(recipe_hash(parse(brief)), recipe_hash(parse(kSmall)));
}

TEST(Recipe, KnowsProductsOfAGpu) {
  const std::string there = "device = \"cuda\"\n" + kSmall;
  const Recipe tf32 = parse("precision = \"tf32\"\n" + there);
  EXPECT_TRUE(tf32.tf32);
  EXPECT_EQ(tf32.precision_name(), "tf32");
  EXPECT_EQ(tf32.precision, DType::f32);
  EXPECT_EQ(tf32.storage(), DType::f32);
  EXPECT_NE(recipe_hash(tf32), recipe_hash(parse(there)));
  EXPECT_FALSE(parse(there).tf32);
  EXPECT_EQ(parse("precision = \"bf16\"\n" + there).precision_name(), "bf16");
}

TEST(Recipe, HashTellsComputationsApart) {
  const Recipe recipe = parse(kSmall);
  Recipe elsewhere = recipe;
  elsewhere.output = "other";
  elsewhere.threads = 2;
  EXPECT_EQ(recipe_hash(recipe), recipe_hash(elsewhere));
  Recipe other = recipe;
  other.seed = 8;
  EXPECT_NE(recipe_hash(recipe), recipe_hash(other));
}

TEST(Recipe, SetChangesKeys) {
  Toml document = Toml::parse(kSmall + kOld + "[training]\nepochs = 2\n", "recipe.toml");
  for (const char* assignment : {"training.steps=5", "seed=9", "output=runs/x", "replay.keep=0.5",
                                 "old.0.train=\"w.csv\"", "learning_rate.naive=[1e-3]"}) {
    set_key(document, assignment);
  }
  const Recipe recipe = parse_recipe(document, "recipe.toml");
  EXPECT_EQ(recipe.training.steps, 5);
  EXPECT_EQ(recipe.seed, 9);
  EXPECT_EQ(recipe.output, "runs/x");
  EXPECT_EQ(recipe.replay.value().keep, 0.5);
  EXPECT_EQ(recipe.old.at(0).train, "w.csv");
  EXPECT_EQ(recipe.learning_rate.naive, std::vector<double>{1e-3});
  expect_error<std::runtime_error>("no value", "key=value", [&] { set_key(document, "seed"); });
  expect_error<std::runtime_error>(
      "no member", "there is no old.4: old is a list, whose entries are numbered from 0, and has 1",
      [&] { set_key(document, "old.4.train=x"); });
  expect_error<std::runtime_error>("no number", "there is no old.train: old is a list",
                                   [&] { set_key(document, "old.train=x"); });
  expect_error<std::runtime_error>("no table", "there is no seed.x: seed has no keys",
                                   [&] { set_key(document, "seed.x=1"); });
  set_key(document, "replay.kep=1");
  expect_error<std::runtime_error>("unknown", "unknown key replay.kep (did you mean replay.keep?)",
                                   [&] { parse_recipe(document, "recipe.toml"); });
}

TEST(Recipe, OneRateTakesTheSpacingOfLayerWiseOnesAway) {
  Toml document = Toml::parse(
      kSmall + "[learning_rate]\nbottom = 1e-5\ntop = 1e-3\nspacing = \"linear\"\n", "recipe.toml");
  set_key(document, "learning_rate.rate=2e-4");
  const Recipe recipe = parse_recipe(document, "recipe.toml");
  EXPECT_EQ(recipe.learning_rate.rate, 2e-4);
  EXPECT_FALSE(recipe.learning_rate.layer_wise());
}

TEST(Recipe, BytesAreReadInTheFormThatIsWritten) {
  for (const auto& [written, bytes] : {std::pair("0", 0), {"\"3MiB\"", 3 << 20}, {"1536", 1536}}) {
    const Recipe recipe = parse(kSmall + "[training]\nmemory_budget = " + written + "\n");
    EXPECT_EQ(recipe.training.memory_budget, bytes);
    EXPECT_NE(to_toml(recipe).dump().find(std::string("memory_budget = ") + written + "\n"),
              std::string::npos);
  }
  EXPECT_EQ(parse(kSmall + "[training]\nmemory_budget = \"0\"\n").training.memory_budget, 0);
}

TEST(Recipe, RefusesWhatIsWrongWithItsPlace) {
  struct Case {
    const char *name, *text, *message;
  };
  const std::string prefix = kSmall + kOld;
  for (const Case& c : std::initializer_list<Case>{
           {"unknown key", "[replay]\nkep = 0.1\n",
            "recipe.toml:10:1: unknown key replay.kep (did you mean replay.keep?)"},
           {"unknown table", "[trainig]\nepochs = 1\n",
            "unknown key trainig (did you mean training?)"},
           {"wrong type", "[training]\nbatch_size = \"many\"\n", "recipe.toml:10:1"},
           {"out of range", "[replay]\nshare = 1.0\n", "replay.share must be in [0, 1), found 1"},
           {"negative", "[ewc]\nlambda = -0.1\n", "ewc.lambda must be in [0, 1e+09], found -0.1"},
           {"beyond f32", "[ewc]\nlambda = 1e39\n", "ewc.lambda must be in [0, 1e+09]"},
           {"not a number", "[ewc]\nlambda = nan\n", "ewc.lambda must be in [0, 1e+09]"},
           {"infinite", "[training]\nclip_norm = inf\n", "training.clip_norm must be"},
           {"integer range", "[training]\nbatch_size = 0\n", "training.batch_size must be in [1,"},
           {"choice", "[replay]\nselect = \"best\"\n", "must be \"tfidf\" or \"random\" or"},
           {"epochs and steps", "[training]\nepochs = 1\nsteps = 2\n", "both epochs and steps"},
           {"keep and count", "[replay]\nkeep = 0.5\ncount = 2\n", "both keep and count"},
           {"rate and top", "[learning_rate]\nrate = 1e-4\ntop = 1e-3\nbottom = 1e-5\n",
            "give one"},
           {"top alone", "[learning_rate]\ntop = 1e-3\n", "top without bottom"},
           {"betas", "[training]\nbetas = [0.9]\n", "training.betas must be two numbers"},
           {"betas range", "[training]\nbetas = [0.9, 1.0]\n", "training.betas must be in [0, 1)"},
           {"naive twice", "[learning_rate]\nnaive = [1e-4, 1e-4]\n", "twice"},
           {"naive none", "[learning_rate]\nnaive = []\n", "1 to 100 numbers"},
           {"samples", "[ewc]\nsamples = 0\n", "ewc.samples must be \"auto\""},
           {"budget", "[training]\nmemory_budget = \"2GB\"\n",
            "training.memory_budget must be bytes, as in 4096, \"512MiB\" or \"2GiB\"; 0 = no "
            "limit, "
            "found \"2GB\""},
           {"budget of nothing", "[replay]\nbudget = 0\n", "replay.budget must be bytes"},
           {"spacing alone", "[learning_rate]\nspacing = \"linear\"\n",
            "learning_rate.spacing spreads layer-wise rates, and there is one rate: give bottom "
            "and top"},
           {"spacing of one rate", "[learning_rate]\nrate = 1e-3\nspacing = \"geometric\"\n",
            "learning_rate.spacing spreads"},
           {"same name", "[[old]]\nname = \"b\"\ntest = \"x\"\n", "two tasks of the name \"b\""},
           {"bad name", "[[old]]\nname = \"x.y\"\ntest = \"x\"\n",
            "without spaces, dots, slashes and +"},
           {"no file", "[[old]]\nname = \"c\"\n", "needs a file"},
           {"no checkpoint kept", "[checkpoint]\nkeep = 0\n", "checkpoint.keep must be"},
           {"no hash", "[ledger]\nhash_every = 0\n", "ledger.hash_every must be"},
           {"later key", "[training]\nmicro_batches = 4\n", "micro_batches is not available"},
           {"no method", "[distill]\nalpha = 1.0\n", "distill needs method = \"lwf\" or \"der++\""},
           {"weight", "[merge]\nmethod = \"linear\"\nweight = \"best\"\n",
            "merge.weight must be \"search\" or a number in [0, 1]"},
           {"no grid", "[search]\nretention = 0.9\n", "search needs a key to vary"},
           {"no list", "[search]\n\"ewc.lambda\" = 0.3\n", "must be a list of the values"}}) {
    expect_error<std::runtime_error>(c.name, c.message, [&] { parse(prefix + c.text); });
  }
}

TEST(Recipe, RefusesWhatIsMissing) {
  struct Case {
    const char *name, *text, *message;
  };
  for (const Case& c : std::initializer_list<Case>{
           {"model", "output = \"o\"\n", "recipe.toml: needs a key model"},
           {"output", "model = \"m\"\n", "needs a key output"},
           {"new", "model = \"m\"\noutput = \"o\"\n", "needs a table [new]"},
           {"train", "model = \"m\"\noutput = \"o\"\n[new]\nname = \"n\"\nvalid = \"v\"\n",
            "needs train"},
           {"name", "model = \"m\"\noutput = \"o\"\n[new]\ntrain = \"t\"\n", "needs a name"},
           {"device", "model = \"m\"\noutput = \"o\"\ndevice = \"gpu\"\n",
            "device must be \"cpu\", \"cuda\" or \"cuda:N\""},
           {"portable cuda",
            "model = \"m\"\noutput = \"o\"\nnumerics = \"portable\"\ndevice = \"cuda\"\n",
            "device cannot be a GPU with numerics"},
           {"tf32 cpu", "model = \"m\"\noutput = \"o\"\nprecision = \"tf32\"\n",
            "recipe.toml:3:1: precision cannot be \"tf32\" on the CPU: take \"f32\", or device"},
           {"portable bf16",
            "model = \"m\"\noutput = \"o\"\nprecision = \"bf16\"\nnumerics = \"portable\"\n",
            "numerics cannot be \"portable\" with precision = \"bf16\""},
           {"exact", "model = \"m\"\noutput = \"o\"\nnumerics = \"exact\"\n", "portable"},
           {"old as a table", "model = \"m\"\noutput = \"o\"\n[old]\nname = \"a\"\n", "[[old]]"}}) {
    expect_error<std::runtime_error>(c.name, c.message, [&] { parse(c.text); });
  }
  expect_error<std::runtime_error>("replay without old", "replay needs an [[old]] task",
                                   [&] { parse(kSmall + "[replay]\n"); });
}

TEST(Recipe, KnowsPortableNumerics) {
  EXPECT_FALSE(parse(kSmall).portable());
  const Recipe recipe = parse("numerics = \"portable\"\n" + kSmall);
  EXPECT_TRUE(recipe.portable());
  EXPECT_TRUE(parse_recipe(to_toml(recipe), "written").portable());
  EXPECT_NE(recipe_hash(recipe), recipe_hash(parse(kSmall)));
}

TEST(Recipe, KnowsDevices) {
  EXPECT_EQ(parse(kSmall).device, Device());
  const Recipe recipe = parse("device = \"cuda:1\"\n" + kSmall);
  EXPECT_EQ(recipe.device, Device{1});
  EXPECT_EQ(parse_recipe(to_toml(recipe), "written").device, Device{1});
  EXPECT_NE(recipe_hash(recipe), recipe_hash(parse(kSmall)));
  EXPECT_EQ(parse("device = \"cuda\"\n" + kSmall).device, Device{0});
}

TEST(Recipe, AcceptsLaterKeysAtTheirOffValues) {
  const Recipe recipe = parse("device = \"cpu\"\n" + kSmall +
                              "label_map = \"\"\nclass_weights = \"none\"\n[training]\n"
                              "micro_batches = 1\noptimizer = \"adamw\"\nrecompute = false\n"
                              "early_stop = 0\n[heads]\nscenario = \"task\"\n");
  EXPECT_EQ(recipe.fresh.name, "b");
}

}  // namespace
}  // namespace holdfast
