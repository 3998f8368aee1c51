// What a kernel of the emulated prelude sees of the machine that runs it. The prelude declares the same struct; both must agree.
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
  // All lanes of an aligned group of so many in the warp: the value of the warp's lane `source`, which is one of them.
  unsigned (*shuffle)(const LosscLane*, unsigned value, int source, int lanes);
  void (*cluster_arrive)(const LosscLane*);
  void (*cluster_wait)(const LosscLane*);                          // all threads of all blocks of the cluster have arrived
  void* (*remote)(const LosscLane*, void* mine, int rank);         // the place that `mine` is in, in the shared memory of block `rank`
  void (*copy)(const LosscLane*, void* shared, const void* global, int bytes);  // happens at any time up to `copies_done`
  void (*copies_done)(const LosscLane*);
  void (*touch)(const void* address, int bytes, int how);  // tells of an access, by whichever lane runs; null where nobody watches
};

/// One lane's run through a kernel.
using Kernel = void(const void* arguments, const LosscLane* lane);

constexpr int warpSize = 32;
constexpr int maxThreads = 1024;
/// Bytes behind the shared memory of a block, where nobody may write.
constexpr int guardBytes = 1024;

}  // namespace lossc::emulator
