// What `train --profile` has measured, for people and for programs.
#pragma once

#include <string>

#include "base/profile.h"

namespace holdfast::cli {

/// A step's time by phase and operation, means over the steps that were summed.
std::string profile_text(const Profile::Summary& summary);

/// The same as the member "profile" of --json; seconds and calls are of one step.
Json profile_json(const Profile::Summary& summary);

}  // namespace holdfast::cli
