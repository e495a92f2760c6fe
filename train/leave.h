// What a run leaves beside its model for later runs, when the texts may be gone: what [leave] says
// of its new task, and what it had of its old ones, whichever measures were on. train/inherit.h
// reads it. Tested by tests/train/inherit_test.cpp.
#pragma once

#include "train/prepare.h"

namespace holdfast {

/// Before the first step: writes importance that was measured to the output folder, where it
/// belongs to the model at the start until leave_behind(), and forgets it unless [merge] asks.
void set_importance_aside(const RunContext& run, Prepared& prepared);

/// After the model is saved:
///   replay.csv              the memories of [replay]
///   memory.csv              texts of other old tasks, as they were inherited; leave.memory of the
///                           new task's
///   importance.*            of the old tasks, measured or inherited, one task older, with the
///                           digest of the model as it is; leave.importance of the new task
/// Of a run that was interrupted only what concerns old tasks. Throws std::runtime_error; Stopped.
void leave_behind(const RunContext& run, const Prepared& prepared);

}  // namespace holdfast
