// What a kernel of the emulated prelude sees of the machine that runs it. The prelude declares the same struct; both must agree.
#pragma once

namespace lossc::emulator {

struct LosscLane {
  long long block;  // index of the block in the grid
  int thread;       // index of the thread in its block
  int threads;      // threads of the block
  void* shared;     // shared memory of the block; every byte is 0xff, and so every float a NaN, when the block starts
  void (*barrier)(const LosscLane*);                                      // all threads of the block
  unsigned (*shuffle)(const LosscLane*, unsigned value, int source);  // all lanes of the warp: the value of lane `source`
};

/// One lane's run through a kernel.
using Kernel = void(const void* arguments, const LosscLane* lane);

constexpr int warpSize = 32;
constexpr int maxThreads = 1024;
constexpr int sharedBytes = 64 * 1024;

}  // namespace lossc::emulator
