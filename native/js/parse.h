// The parser from JavaScript's commands to a Program.
#pragma once

#include <napi.h>

#include "core/program.h"
#include "js/handle.h"

namespace lossc {

struct Parsed {
  Program program;
  /// The typed arrays of the program, to be kept alive while it runs; empty where there are none.
  Napi::Array views;
};

/// Checks everything that can be checked before the run: kinds, ranges, disposal. `hostMemory`: whether typed arrays may stand for device memory.
Parsed parse(const Napi::Value& commands, const Belongings& owner, bool hostMemory);

}  // namespace lossc
