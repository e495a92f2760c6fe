#include "base/json.h"

#include <gtest/gtest.h>

namespace holdfast {
TEST(Json, Smoke) {
  const Json json =
      Json::parse(R"({"a": {"b": [1, 2.5, "x"]}, "hidden_size": "768"})", "config.json");
  EXPECT_EQ(json.dump(), R"({"a":{"b":[1,2.5,"x"]},"hidden_size":"768"})");
  try {
    json.at("hidden_size").as_int64();
    FAIL();
  } catch (const std::runtime_error& e) {
    EXPECT_STREQ(e.what(), "config.json: hidden_size must be an integer, found \"768\"");
  }
}
}  // namespace holdfast
