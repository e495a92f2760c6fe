// Tables of bad input: a call must throw `Error`, with one line that contains a given part.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <string_view>

namespace holdfast {

template <class Error, class Call>
void expect_error(std::string_view name, std::string_view part, const Call& call) {
  try {
    call();
  } catch (const Error& error) {
    const std::string_view message = error.what();
    EXPECT_NE(message.find(part), std::string_view::npos)
        << name << ": \"" << message << "\" lacks \"" << part << '"';
    EXPECT_EQ(message.find('\n'), std::string_view::npos)
        << name << ": more than one line: " << message;
    return;
  }
  ADD_FAILURE() << name << ": accepted";
}

}  // namespace holdfast
