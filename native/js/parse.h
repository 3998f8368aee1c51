// From the commands that JavaScript gives to a Program.
#pragma once

#include <napi.h>

#include "core/program.h"
#include "js/handle.h"

namespace lossc {

struct Parsed {
  Program program;
  /// The typed arrays that the program names, for a reference that keeps them alive; null where there are none.
  Napi::Array views;
};

/// Checks everything that can be checked without running: kinds, ranges, what was disposed of. `hostMemory`: whether typed arrays stand for device memory.
Parsed parse(const Napi::Value& commands, const Belongings& owner, bool hostMemory);

}  // namespace lossc
