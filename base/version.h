// The program's version.
#pragma once

#include <string_view>

namespace holdfast {

/// Like "0.1.0": the project's, as CMakeLists.txt states it.
std::string_view version();

}  // namespace holdfast
