#include "train/unfreeze.h"

#include <algorithm>
#include <stdexcept>
#include <string>

namespace holdfast {

int lowest_trained_layer(std::int64_t step, std::int64_t layers, std::int64_t steps_per_stage) {
  if (steps_per_stage < 1) {
    throw std::invalid_argument("[unfreeze] a stage of " + std::to_string(steps_per_stage) +
                                " steps: it must have at least 1");
  }
  return static_cast<int>(std::max<std::int64_t>(0, layers + 1 - step / steps_per_stage));
}

}  // namespace holdfast
