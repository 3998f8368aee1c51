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
struct Sum { const float* in; float* out; long long n; };

static float shuffled(const LosscLane* lane, float value, int source) {
  unsigned bits;
  __builtin_memcpy(&bits, &value, 4);
  bits = lane->shuffle(lane, bits, source, 32);
  __builtin_memcpy(&value, &bits, 4);
  return value;
}

// One row a block: warps by butterfly, the block through shared memory.
extern "C" void sum(const void* p, const LosscLane* lane) {
  const auto& a = *static_cast<const Sum*>(p);
  auto* shared = static_cast<float*>(lane->shared);
  float value = 0;
  for (long long i = lane->thread; i < a.n; i += lane->threads) value += a.in[lane->block * a.n + i];
  for (int distance = 16; distance > 0; distance /= 2) value += shuffled(lane, value, (lane->thread % 32) ^ distance);
  if (lane->thread % 32 == 0) shared[lane->thread / 32] = value;
  lane->barrier(lane);
  float total = 0;
  for (int warp = 0; warp < lane->threads / 32; warp++) total += shared[warp];
  if (lane->thread == 0) a.out[lane->block] = total;
}

// The same exchange without the barrier between writing and reading; what the first and the last thread see.
extern "C" void raced(const void* p, const LosscLane* lane) {
  const auto& a = *static_cast<const Sum*>(p);
  auto* shared = static_cast<float*>(lane->shared);
  shared[lane->thread] = 1;
  float total = 0;
  for (int i = 0; i < lane->threads; i++) total += shared[i];
  if (lane->thread == 0) a.out[lane->block * 2] = total;
  if (lane->thread == lane->threads - 1) a.out[lane->block * 2 + 1] = total;
}

// The ticket that each thread draws records the order of turns.
extern "C" void tickets(const void* p, const LosscLane* lane) {
  auto* out = static_cast<const Sum*>(p)->out + lane->block * (lane->threads + 1);
  out[1 + lane->thread] = out[0]++;
}

extern "C" void poisoned(const void* p, const LosscLane* lane) {
  const auto* shared = static_cast<const unsigned char*>(lane->shared);
  int clean = 0;
  for (int i = lane->thread; i < 9192; i += lane->threads) clean += shared[i] != 0xff;
  static_cast<const Sum*>(p)->out[lane->thread] = clean;
  lane->barrier(lane);
  static_cast<unsigned char*>(lane->shared)[lane->thread] = 0;
}

extern "C" void partial(const void* p, const LosscLane* lane) {
  const int last = lane->threads - lane->thread / 32 * 32 < 32 ? lane->threads % 32 - 1 : 31;
  static_cast<const Sum*>(p)->out[lane->thread] = shuffled(lane, static_cast<float>(lane->thread), last);
}

extern "C" void returns(const void*, const LosscLane* lane) { if (lane->thread != 37) lane->barrier(lane); }
extern "C" void torn(const void*, const LosscLane* lane) { if (lane->thread == 3) lane->barrier(lane); else lane->shuffle(lane, 0, 0, 32); }
extern "C" void outside(const void*, const LosscLane* lane) { lane->shuffle(lane, 0, 32, 32); }

// One row a cluster: every thread copies its own part into shared memory, and every block sends its sum to every other one.
extern "C" void spread(const void* p, const LosscLane* lane) {
  const auto& a = *static_cast<const Sum*>(p);
  float* const sums = static_cast<float*>(lane->shared);
  float* const part = sums + 64;
  const int all = lane->cluster * lane->threads, mine = lane->rank * lane->threads + lane->thread;
  int count = 0;
  for (long long i = 4 * mine; i < a.n; i += 4 * all, ++count)
    lane->copy(lane, part + 4 * (count * lane->threads + lane->thread), a.in + lane->block / lane->cluster * a.n + i, 16);
  lane->copies_done(lane);
  float value = 0;
  for (int k = 0; k < count; ++k)
    for (int i = 0; i < 4; ++i) value += part[4 * (k * lane->threads + lane->thread) + i];
  for (int distance = 16; distance > 0; distance /= 2) value += shuffled(lane, value, (lane->thread % 32) ^ distance);
  const int warps = lane->threads / 32, warp = lane->thread / 32;
  if (lane->thread % 32 < lane->cluster) *static_cast<float*>(lane->remote(lane, sums + lane->rank * warps + warp, lane->thread % 32)) = value;
  lane->cluster_arrive(lane);
  lane->cluster_wait(lane);
  float total = 0;
  for (int k = 0; k < lane->cluster * warps; ++k) total += sums[k];
  if (lane->thread == 0) a.out[lane->block] = total;
}

// Values that a thread reads in the place that the next block writes, and in the place that it copied for itself.
extern "C" void hasty(const void* p, const LosscLane* lane) {
  const auto& a = *static_cast<const Sum*>(p);
  auto* shared = static_cast<float*>(lane->shared);
  *static_cast<float*>(lane->remote(lane, shared + lane->thread, (lane->rank + 1) % lane->cluster)) = 1;
  lane->copy(lane, shared + 64 + 4 * lane->thread, a.in, 16);
  lane->cluster_arrive(lane);
  a.out[lane->block * 2] = shared[lane->thread];
  a.out[lane->block * 2 + 1] = shared[64 + 4 * lane->thread];
  lane->cluster_wait(lane);
  lane->copies_done(lane);
}

extern "C" void leaves(const void*, const LosscLane* lane) {
  if (lane->rank == 1 && lane->thread == 37) return;
  if (lane->rank == 1 && lane->thread / 32 == 1) lane->barrier(lane);
  lane->cluster_arrive(lane);
  lane->cluster_wait(lane);
}
extern "C" void absent(const void*, const LosscLane* lane) {
  if (lane->rank == 1 && lane->thread / 32 == 1) return;
  lane->cluster_arrive(lane);
  lane->cluster_wait(lane);
}
extern "C" void unarrived(const void*, const LosscLane* lane) { lane->cluster_wait(lane); }
extern "C" void twice(const void*, const LosscLane* lane) { lane->cluster_arrive(lane); lane->cluster_arrive(lane); }
extern "C" void beyond(const void*, const LosscLane* lane) { lane->remote(lane, lane->shared, lane->cluster); }
extern "C" void gone(const void*, const LosscLane* lane) { if (lane->rank > 0) lane->shuffle(lane, 0, 0, 32), lane->remote(lane, lane->shared, 0); }
extern "C" void crooked(const void* p, const LosscLane* lane) { lane->copy(lane, lane->shared, static_cast<const Sum*>(p)->in + 1, 16); }
extern "C" void behind(const void*, const LosscLane* lane) { if (lane->rank == 1) static_cast<unsigned char*>(lane->shared)[8192] = 0; }
extern "C" void deep(const void* p, const LosscLane* lane) {
  volatile char frame[100000];
  frame[0] = frame[99999] = static_cast<char>(lane->thread);
  lane->barrier(lane);
  static_cast<const Sum*>(p)->out[lane->thread] = frame[0] + frame[99999];
}
`);

const orders = ["forward", "reverse", 0, 1, 123456789] as const;

describe.each(orders)("the emulated device, lanes in the order %s", (order) => {
  const open = async () => {
    const device = addon.openEmulated({ order });
    return { device, module: await device.load(kernels), [Symbol.asyncDispose]: () => device.dispose() };
  };

  test("says what it is", async () => {
    await using it = await open();
    expect(it.device.kind).toBe("emulated");
    expect(it.device.hostMemory).toBe(true);
  });

  test.each([32, 64, 512, 1024])("barriers and shuffles of %i threads", async (block) => {
    await using it = await open();
    const rows = 37;
    const n = 1111;
    const values = Float32Array.from({ length: rows * n }, (_, i) => i % 7);
    const out = new Float32Array(rows);
    await it.device.run([
      launch(it.module, "sum", [{ pointer: values }, { pointer: out }, { int: n }], { elements: rows, block }),
    ]);
    const expected = Array.from(out, (_, row) => values.subarray(row * n, (row + 1) * n).reduce((a, b) => a + b, 0));
    expect([...out]).toEqual(expected);
    expect(it.device.launches).toBe(1);
  });

  test("several elements a block", async () => {
    await using it = await open();
    const out = new Float32Array(3 * 33);
    await it.device.run([launch(it.module, "tickets", [{ int: 0 }, { pointer: out }], { elements: 17, block: 32, perBlock: 8 })]);
    expect([out[0], out[33], out[66]]).toEqual([32, 32, 32]);
  });

  test("a missing barrier is seen by somebody", async () => {
    await using it = await open();
    const out = new Float32Array(2);
    await it.device.run([launch(it.module, "raced", [{ int: 0 }, { pointer: out }], { elements: 1, block: 64 })]);
    // Who runs first reads what nobody has written yet: that is poison.
    expect([...out].some(Number.isNaN)).toBe(true);
  });

  test("shared memory of a new block is poison", async () => {
    await using it = await open();
    const out = new Float32Array(64).fill(1);
    const run = launch(it.module, "poisoned", [{ int: 0 }, { pointer: out }], { elements: 1, block: 64, shared: 9192 });
    await it.device.run([run, run]);
    expect(out.every((count) => count === 0)).toBe(true);
  });

  test("a last warp that is not whole", async () => {
    await using it = await open();
    const out = new Float32Array(40);
    await it.device.run([launch(it.module, "partial", [{ int: 0 }, { pointer: out }], { elements: 1, block: 40 })]);
    expect([...out]).toEqual([...new Array(32).fill(31), ...new Array(8).fill(39)]);
  });

  test("a barrier that a lane never reaches is a fault, not a hang, and the device goes on", async () => {
    await using it = await open();
    const run = (kernel: string) => it.device.run([launch(it.module, kernel, [], { elements: 3, block: 64 })]);
    await expectCode(
      "DEVICE_FAULT",
      () => run("returns"),
      /kernel returns: thread \d+ of block \d waits at a barrier .* thread 37 never reaches: it has returned/,
    );
    await expectCode(
      "DEVICE_FAULT",
      () => run("torn"),
      /waits at a shuffle of its warp that thread 3 never reaches: it waits at a barrier/,
    );
    await expectCode("DEVICE_FAULT", () => run("outside"), /shuffles from lane 32, which is none of the 32 lanes from 0 on/);
    const out = new Float32Array(256);
    await it.device.run([launch(it.module, "deep", [{ int: 0 }, { pointer: out }], { elements: 1, block: 64 })]);
    expect(out[63]).toBe(126);
  });

  test.each([2, 4, 8, 16])("clusters of %i blocks exchange through each other's shared memory", async (cluster) => {
    await using it = await open();
    const rows = 5;
    const n = 4444;
    const values = Float32Array.from({ length: rows * n }, (_, i) => i % 7);
    const out = new Float32Array(rows * cluster);
    const shape = { elements: rows, block: 128, cluster, shared: 4 * n + 1024 };
    await it.device.run([launch(it.module, "spread", [{ pointer: values }, { pointer: out }, { int: n }], shape)]);
    const sums = Array.from({ length: rows }, (_, row) => values.subarray(row * n, (row + 1) * n).reduce((a, b) => a + b, 0));
    expect([...out]).toEqual(sums.flatMap((sum) => new Array(cluster).fill(sum)));
  });

  test("what is read before its barrier or its wait is poison", async () => {
    await using it = await open();
    const out = new Float32Array(8);
    const fields = [{ pointer: new Float32Array(4) }, { pointer: out }];
    await it.device.run([launch(it.module, "hasty", fields, { elements: 1, block: 32, cluster: 4 })]);
    expect([0, 2, 4, 6].some((i) => Number.isNaN(out[i]))).toBe(true);
    // Drawn by lot, some copies come at once.
    if (typeof order === "string") expect([1, 3, 5, 7].every((i) => Number.isNaN(out[i]))).toBe(true);
  });

  test("barriers of clusters that lanes miss and places that are not there are faults that say so", async () => {
    await using it = await open();
    const fails = (kernel: string, message: RegExp, fields: Parameters<typeof launch>[2] = []) =>
      expectCode(
        "DEVICE_FAULT",
        () => it.device.run([launch(it.module, kernel, fields, { elements: 1, block: 64, cluster: 2 })]),
        message,
      );
    const missed = "waits at a barrier of the cluster that thread \\d+ (of block 1 )?never reaches: it has returned";
    await fails("absent", new RegExp(`thread \\d+ of block \\d ${missed}`));
    await fails("leaves", /waits at a barrier of the block that thread \d+ never reaches/);
    await fails("unarrived", /thread \d+ of block \d waits for a barrier of the cluster at which it has not arrived/);
    await fails("twice", /thread \d+ of block \d arrives twice at a barrier of the cluster without waiting for it/);
    await fails("behind", /block 1 has 8192 bytes of shared memory, and something wrote behind them/);
    await fails("beyond", /writes to block 2 of a cluster of 2/);
    await fails("crooked", /copies 16 bytes from or to a place that is not aligned to them/, [{ pointer: new Float32Array(8) }]);
    if (order === "forward") await fails("gone", /writes into the shared memory of block 0, which has returned/);
  });

  test("an abort is heard between blocks", async () => {
    await using it = await open();
    const values = new Float32Array(1 << 16);
    const out = new Float32Array(1 << 16);
    const abort = new Int32Array(new SharedArrayBuffer(4));
    const program = new Array(1000).fill(
      launch(it.module, "sum", [{ pointer: values }, { pointer: out }, { int: 1 }], { elements: 1 << 16, block: 64 }),
    );
    setTimeout(() => Atomics.store(abort, 0, 1), 20);
    await expectCode("ABORTED", () => it.device.run(program, abort));
  });
});

test("the orders are what they say", async () => {
  const turns = async (order: "forward" | "reverse" | number) => {
    const device = addon.openEmulated({ order });
    const out = new Float32Array(65);
    await device.run([launch(await device.load(kernels), "tickets", [{ int: 0 }, { pointer: out }], { elements: 1, block: 64 })]);
    await device.dispose();
    return [...out.subarray(1)];
  };
  const rising = Array.from({ length: 64 }, (_, i) => i);
  expect(await turns("forward")).toEqual(rising);
  expect(await turns("reverse")).toEqual(rising.toReversed());
  const seeded = await turns(5);
  expect(seeded).not.toEqual(rising);
  expect(seeded.toSorted((a, b) => a - b)).toEqual(rising);
  expect(await turns(5)).toEqual(seeded);
  expect(await turns(6)).not.toEqual(seeded);
});

test("a missing barrier hides from one end in one order, and from the other in the other", async () => {
  const seen = async (order: "forward" | "reverse") => {
    const device = addon.openEmulated({ order });
    const out = new Float32Array(2);
    await device.run([launch(await device.load(kernels), "raced", [{ int: 0 }, { pointer: out }], { elements: 1, block: 64 })]);
    await device.dispose();
    return [...out];
  };
  expect(await seen("forward")).toEqual([Number.NaN, 64]);
  expect(await seen("reverse")).toEqual([64, Number.NaN]);
});

test("an order that there is not", async () => {
  for (const order of ["sideways", -1, 0.5, undefined, {}])
    await expectCode("USAGE", () => addon.openEmulated({ order: order as number }), /order/);
});
