/** Races are named in every order of lanes, whether they did harm or not. */
import { describe, expect, test } from "vitest";
import { addon, compileKernels, expectCode, launchSharing as launch } from "./support.js";

const kernels = compileKernels(`
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
struct Args { float* in; float* out; unsigned* counter; };
static float read(const LosscLane* l, const float* p) { if (l->touch) l->touch(p, 4, 0); return *p; }
static void write(const LosscLane* l, float* p, float v) { if (l->touch) l->touch(p, 4, 1); *p = v; }
static unsigned add(const LosscLane* l, unsigned* p) { if (l->touch) l->touch(p, 4, 2); return (*p)++; }
static void fence(const LosscLane* l) { if (l->touch) l->touch(nullptr, 0, 3); }
static void meet(const LosscLane* l) { l->cluster_arrive(l); l->cluster_wait(l); }

template <int WARP, int BLOCK, int CLUSTER, int WAIT, int FENCE>
static void all(const void* p, const LosscLane* l) {
  const auto& a = *static_cast<const Args*>(p);
  auto* s = static_cast<float*>(l->shared);
  const int mine = l->thread, first = l->thread / 32 * 32;
  // Neighbours of the warp.
  write(l, s + mine, 1);
  if (WARP) l->shuffle(l, 0, 0, 32);
  float sum = read(l, s + first + (mine + 1) % 32);
  // Another warp's.
  write(l, s + 64 + mine, 1);
  if (BLOCK) l->barrier(l);
  sum += read(l, s + 64 + (mine + 32) % l->threads);
  // Another block's.
  write(l, static_cast<float*>(l->remote(l, s + 128 + mine, (l->rank + 1) % l->cluster)), 1);
  if (CLUSTER) meet(l);
  sum += read(l, s + 128 + mine);
  // Copied by itself, read by itself.
  l->copy(l, s + 192 + 4 * mine, a.in + 4 * mine, 16);
  if (WAIT) l->copies_done(l);
  sum += read(l, s + 192 + 4 * mine);
  // Of another cluster: who comes last sees what all have written.
  l->barrier(l);
  if (mine == 0) {
    write(l, a.out + l->block, sum);
    if (FENCE) fence(l);
    const bool last = add(l, a.counter) == 3;
    fence(l);
    if (last) for (int i = 0; i < 4; i++) sum += read(l, a.out + i);
  }
  meet(l);
}
#define KERNEL(name, ...) extern "C" void name(const void* p, const LosscLane* l) { all<__VA_ARGS__>(p, l); }
KERNEL(clean, 1, 1, 1, 1, 1)
KERNEL(warp, 0, 1, 1, 1, 1)
KERNEL(block, 1, 0, 1, 1, 1)
KERNEL(cluster, 1, 1, 0, 1, 1)
KERNEL(waitless, 1, 1, 1, 0, 1)
KERNEL(fenceless, 1, 1, 1, 1, 0)
`);

describe.each(["forward", "reverse", 1, 2, 3] as const)("races, lanes in the order %s", (order) => {
  const run = async (kernel: string, races: boolean) => {
    const device = addon.openEmulated({ order, races });
    const fields = [{ pointer: new Float32Array(256) }, { pointer: new Float32Array(4) }, { pointer: new Uint32Array(1) }];
    try {
      await device.run([launch(await device.load(kernels), kernel, fields, { elements: 2, block: 64, cluster: 2 })]);
      return [device.bytesRead, device.bytesWritten];
    } finally {
      await device.dispose();
    }
  };

  test("there is none where everything is in order, and bytes are counted once", async () => {
    expect(await run("clean", true)).toEqual([1024 + 16, 16 + 4]);
    expect(await run("clean", false)).toEqual([0, 0]);
  });

  test.each([
    [
      "warp",
      /byte \d+ of the shared memory of block \d: thread \d+ of block \d (reads|writes) what thread \d+ of block \d (reads|writes)/,
    ],
    ["block", /the shared memory of block/],
    ["cluster", /the shared memory of block/],
    ["waitless", /by a copy that it has not waited for/],
    ["fenceless", /byte \d+ of global memory from argument 1 on/],
  ] as const)("a missing order of kind %s is reported", async (kernel, message) => {
    await expectCode("DEVICE_FAULT", () => run(kernel, true), message);
    await run(kernel, false);
  });
});

test("races that are no boolean", () =>
  expectCode("USAGE", () => addon.openEmulated({ order: 1, races: 1 as unknown as boolean }), /races/));
