// The machine as a kernel of the emulated prelude sees it. The prelude declares the same struct; both must agree.
#pragma once

namespace lossc::emulator {

struct LosscLane {
  long long block;  // index of the block in the grid
  int thread;       // index of the thread in its block
  int threads;      // threads of the block
  int rank;         // index of the block in its cluster
  int cluster;      // blocks of the cluster
  void* shared;     // shared memory of the block; every byte is 0xff, and so every float a NaN, when the block starts
  void (*barrier)(const LosscLane*);  // all threads of the block
  // Called by all lanes of an aligned group of the warp. Returns the value of the warp's lane `source`, which is in the group.
  unsigned (*shuffle)(const LosscLane*, unsigned value, int source, int lanes);
  void (*cluster_arrive)(const LosscLane*);
  void (*cluster_wait)(const LosscLane*);                          // all threads of all blocks of the cluster have arrived
  void* (*remote)(const LosscLane*, void* mine, int rank);         // the place that `mine` is in, in the shared memory of block `rank`
  void (*copy)(const LosscLane*, void* shared, const void* global, int bytes);  // happens at any time up to `copies_done`
  void (*copies_done)(const LosscLane*);
  void (*touch)(const void* address, int bytes, int how);  // reports an access of the running lane; null where races are not checked
};

/// The entry point of a kernel, called once per lane.
using Kernel = void(const void* arguments, const LosscLane* lane);

constexpr int warpSize = 32;
constexpr int maxThreads = 1024;
/// Guard bytes behind the shared memory of a block.
constexpr int guardBytes = 1024;

}  // namespace lossc::emulator
