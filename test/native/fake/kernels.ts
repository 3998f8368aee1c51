/** A small unit of kernels for the fake GPU, laid out as lossc lays out its own. */

/** The emulated prelude of these kernels. */
export const prelude = `
struct LosscLane {
  long long block; int thread, threads, rank, cluster; void* shared;
  void (*barrier)(const LosscLane*);
  unsigned (*shuffle)(const LosscLane*, unsigned value, int source, int lanes);
  void (*cluster_arrive)(const LosscLane*);
  void (*cluster_wait)(const LosscLane*);
  void* (*remote)(const LosscLane*, void* mine, int rank);
  void (*copy)(const LosscLane*, void* shared, const void* global, int bytes);
  void (*copies_done)(const LosscLane*);
  void (*touch)(const void* address, int bytes, int how);
};
#include <time.h>
static void pause_ms(int ms) { timespec t{0, ms * 1000000L}; nanosleep(&t, nullptr); }
#define KERNEL(name) extern "C" void name(const void* arguments, const LosscLane* lane)
#define ARGUMENTS (*static_cast<const Args*>(arguments))
#define BLOCK lane->block
#define THREAD lane->thread
#define THREADS lane->threads
#define SHARED(type) static_cast<type*>(lane->shared)
#define BARRIER lane->barrier(lane)
`;

/** Text that the compiler for a real GPU accepts; with the emulated prelude above it runs here. */
export const text = `
// ---- prelude ----
#define KERNEL(name) extern "C" __global__ void name(const __grid_constant__ Args a)
#error "the prelude of the cuda target stands here"
// ---- kernels ----
struct Args { float* x; long long n; double factor; };
KERNEL(scale) {
  const Args& a = ARGUMENTS;
  const long long i = BLOCK * THREADS + THREAD;
  if (i < a.n) a.x[i] = static_cast<float>(a.x[i] * a.factor);
}
KERNEL(reversed) {
  const Args& a = ARGUMENTS;
  SHARED(float)[THREAD] = a.x[THREAD];
  BARRIER;
  a.x[THREAD] = SHARED(float)[THREADS - 1 - THREAD];
}
KERNEL(stuck) { if (THREAD != 5) BARRIER; }
KERNEL(slow) { if (THREAD == 0) pause_ms(2); }
`;
export const options = ["--gpu-architecture=sm_90", "-std=c++17"];
