import { describe, expect, test } from "vitest";
import { addon, compileKernels, expectCode, launch } from "./support.js";

const kernels = compileKernels(`
struct LosscLane {
  long long block; int thread, threads, rank, cluster; void* shared;
  void (*barrier)(const LosscLane*);
  unsigned (*shuffle)(const LosscLane*, unsigned value, int source);
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
  bits = lane->shuffle(lane, bits, source);
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

// The ticket that each thread draws tells the order of turns.
extern "C" void tickets(const void* p, const LosscLane* lane) {
  auto* out = static_cast<const Sum*>(p)->out + lane->block * (lane->threads + 1);
  out[1 + lane->thread] = out[0]++;
}

extern "C" void poisoned(const void* p, const LosscLane* lane) {
  const auto* shared = static_cast<const unsigned char*>(lane->shared);
  int clean = 0;
  for (int i = lane->thread; i < 8192 + 1000; i += lane->threads) clean += shared[i] != 0xff;
  static_cast<const Sum*>(p)->out[lane->thread] = clean;
  lane->barrier(lane);
  static_cast<unsigned char*>(lane->shared)[lane->thread] = 0;
}

extern "C" void partial(const void* p, const LosscLane* lane) {
  const int last = lane->threads - lane->thread / 32 * 32 < 32 ? lane->threads % 32 - 1 : 31;
  static_cast<const Sum*>(p)->out[lane->thread] = shuffled(lane, static_cast<float>(lane->thread), last);
}

extern "C" void returns(const void*, const LosscLane* lane) { if (lane->thread != 37) lane->barrier(lane); }
extern "C" void torn(const void*, const LosscLane* lane) { if (lane->thread == 3) lane->barrier(lane); else lane->shuffle(lane, 0, 0); }
extern "C" void outside(const void*, const LosscLane* lane) { lane->shuffle(lane, 0, 32); }
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
    const run = launch(it.module, "poisoned", [{ int: 0 }, { pointer: out }], { elements: 1, block: 64, shared: 1000 });
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
    await expectCode("DEVICE_FAULT", () => run("outside"), /shuffles from lane 32, which its warp of 32 lanes does not have/);
    const out = new Float32Array(256);
    await it.device.run([launch(it.module, "deep", [{ int: 0 }, { pointer: out }], { elements: 1, block: 64 })]);
    expect(out[63]).toBe(126);
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
