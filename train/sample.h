// One labelled text, ready for the model.
#pragma once

#include <cstdint>
#include <vector>

namespace holdfast {

struct Sample {
  std::vector<std::int32_t> ids, type_ids;  // [CLS] ... [SEP]; empty type_ids: all 0
  std::int32_t label = 0;                   // in the label set of its task
  std::int32_t task = 0;
  std::int64_t id = 0;  // row number in its file
};

}  // namespace holdfast
