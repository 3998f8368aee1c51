// What a kernel of the emulated prelude sees of the machine that runs it. The prelude declares the same struct; both must agree.
#pragma once

namespace lossc::emulator {

struct LosscLane {
  long long block;  // index of the block in the grid
  int thread;       // index of the thread in its block
  int threads;      // threads of the block
  int rank;         // index of the block in its cluster
  void* shared;     // shared memory of the block; every byte is 0xff, and so every float a NaN, when the block starts
  void (*barrier)(const LosscLane*);  // all threads of the block
  // All lanes of an aligned group of so many in the warp: the value of the warp's lane `source`, which is one of them.
  unsigned (*shuffle)(const LosscLane*, unsigned value, int source, int lanes);
  void (*arrive)(const LosscLane*);  // at the barrier of the cluster …
  void (*wait)(const LosscLane*);    // … until all of its threads have arrived as often as this one
  void* (*remote)(const LosscLane*, void* mine, int rank);  // the same place in the shared memory of another block of the cluster
  void (*copy)(const LosscLane*, void* shared, const void* global, int bytes);  // lands when it is waited for, not before
  void (*copied)(const LosscLane*);
};

/// One lane's run through a kernel.
using Kernel = void(const void* arguments, const LosscLane* lane);

constexpr int warpSize = 32;
constexpr int maxThreads = 1024;

/// How a kernel is spread over lanes.
struct Shape {
  int threads;
  int cluster;
  int shared;  // bytes, for each block
};

}  // namespace lossc::emulator
