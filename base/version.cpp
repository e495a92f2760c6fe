#include "base/version.h"

namespace holdfast {

std::string_view version() { return HOLDFAST_VERSION; }

}  // namespace holdfast
