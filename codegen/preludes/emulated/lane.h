// A lane's view of the emulator that runs it. The addon includes this header, too (native/emulator).
#pragma once

namespace lossc {

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
  void (*cluster_wait)(const LosscLane*);  // all threads of all blocks of the cluster have arrived
  void* (*remote)(const LosscLane*, void* mine, int rank);  // the place that `mine` is in, in the shared memory of block `rank`
  void (*copy)(const LosscLane*, void* shared, const void* global, int bytes);  // happens at any time up to `copies_done`
  void (*copies_done)(const LosscLane*);
  void (*touch)(const void* address, int bytes, int how);  // reports an access, by whichever lane runs; null where nobody watches
};

// Ways to touch memory.
enum { LOSSC_READ, LOSSC_WRITE, LOSSC_ATOMIC, LOSSC_FENCE };

}  // namespace lossc
