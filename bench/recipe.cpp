// A step of the full recipe (replay, EWC, a learning rate for each layer) beside a naive step on as
// many tokens, in turn.
//   bench_recipe (--model DIR | --config FILE.json|PRESET) --full BxT [--steps ROUNDS] [--threads
//   N]
#include "base/parallel.h"
#include "bench/workload.h"
#include "train/fisher.h"
#include "train/step.h"

using namespace holdfast;
using namespace holdfast::bench;

namespace {

Recipe naive_recipe(std::int64_t batch_size, std::int64_t steps) {
  Recipe recipe;
  recipe.training.batch_size = batch_size;
  recipe.training.steps = steps;
  return recipe;
}

Recipe full_recipe(std::int64_t batch_size, std::int64_t steps) {
  Recipe recipe = naive_recipe(batch_size, steps);
  recipe.learning_rate.bottom = 1e-5;
  recipe.learning_rate.top = 5e-4;
  recipe.replay = ReplayRecipe{};
  recipe.ewc = EwcRecipe{};
  return recipe;
}

}  // namespace

int main(int argc, char** argv) {
  return run_main("bench_recipe", [&] {
    const Options options = parse(argc, argv, kWorkload);
    set_thread_count(std::stoi(options.at("threads")));
    const std::int64_t steps = std::stol(options.at("steps")) + 1;
    const auto batches = make_batches(options, 8);
    std::vector<Sample> texts;
    for (const auto& batch : batches) texts.insert(texts.end(), batch.begin(), batch.end());
    const auto B = static_cast<std::int64_t>(batches.front().size());

    Model naive_model = make_model(options);
    naive_model.add_head("old", {"a", "b", "c", "d"}, 8);
    Model full_model = naive_model.clone();
    for (Sample& sample : texts) sample.label %= 4;
    EwcPenalty ewc(0.3, full_model.arena());
    ewc.add(measure_importance(full_model, *full_model.head("old"), batches.front(),
                               {ImportanceKind::sketch, 32, {}, 0})
                .values,
            Normalization::mean);

    const SamplePool fresh{.task = "bench", .samples = texts},
        memory{.task = "old", .samples = texts};
    TrainingStep naive(naive_model, naive_recipe(B, steps), {fresh});
    TrainingStep full(full_model, full_recipe(B, steps), {fresh, memory}, Measures{.ewc = &ewc});
    std::vector<double> naive_seconds, full_seconds, ratios;
    for (std::int64_t step = 0; step < steps; ++step) {
      const double a = full.run(step).seconds, b = naive.run(step).seconds;
      if (step == 0) continue;  // warms up
      full_seconds.push_back(a);
      naive_seconds.push_back(b);
      ratios.push_back(a / b);
    }
    return Json::object({{"full_step_seconds", median(full_seconds)},
                         {"naive_step_seconds", median(naive_seconds)},
                         {"ratio", median(ratios)}});
  });
}
