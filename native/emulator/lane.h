// A lane as kernels of the emulated prelude see it, which declares it, and the limits of the emulator.
#pragma once

#include "preludes/common/constants.h"
#include "preludes/emulated/lane.h"

namespace lossc::emulator {

using lossc::LosscLane;

/// The entry point of a kernel, called once per lane.
using Kernel = void(const void* arguments, const LosscLane* lane);

constexpr int warpSize = kWarp;
constexpr int maxThreads = 1024;
/// Guard bytes behind the shared memory of a block.
constexpr int guardBytes = 1024;

}  // namespace lossc::emulator
