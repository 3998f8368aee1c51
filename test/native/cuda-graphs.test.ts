/** Programs that come again are replayed as graphs. */
import { afterAll, afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Command, Matrix, NativeBuffer, NativeDevice, NativeModule } from "../../runtime/addon/native.js";
import { options, prelude, text } from "./fake/kernels.js";
import { FakeMachine } from "./fake/machine.js";
import { addon, expectCode, launch } from "./support.js";

const machine = new FakeMachine();
machine.prelude = prelude;
const { binary } = await addon.compileCuda(text, options);

afterAll(() => machine.remove());
beforeEach(() => void machine.take());
afterEach(() => {
  machine.failNoMore();
  // Errors that a real driver would not report.
  expect(machine.take().entries.filter(({ call }) => call === "staleHandle")).toEqual([]);
});

interface Opened {
  readonly device: NativeDevice;
  readonly module: NativeModule;
  readonly buffer: NativeBuffer;
  [Symbol.asyncDispose](): Promise<void>;
}

async function open(): Promise<Opened> {
  const device = addon.openCuda({ ordinal: 0 });
  const module = await device.load(binary);
  const buffer = device.allocate(64);
  machine.take();
  return { device, module, buffer, [Symbol.asyncDispose]: () => device.dispose() };
}

const shape = { elements: 16, block: 32, perBlock: 32 };

/** Multiplies sixteen floats by the factor twice, the second half of which are 0. */
function program({ module, buffer }: Opened, factor: number, from: Float32Array, to: Float32Array): Command[] {
  const scale = launch(module, "scale", [{ pointer: buffer }, { int: 16 }, { float: factor }], shape);
  return [
    { kind: "write", to: buffer, offset: 0, from },
    { kind: "fill", to: buffer, offset: 32, bytes: 32, value: 0 },
    scale,
    scale,
    { kind: "read", from: buffer, offset: 0, to },
  ];
}

/** The memory after the program. */
async function result(it: Opened, factor: number, first = 1): Promise<number[]> {
  const from = Float32Array.from({ length: 16 }, (_, i) => first + i);
  const to = new Float32Array(16);
  await it.device.run(program(it, factor, from, to));
  return [...to];
}

const expected = (factor: number, first = 1) => Array.from({ length: 16 }, (_, i) => (i < 8 ? (first + i) * factor * factor : 0));

function calls(): string[] {
  return machine.take().entries.map(({ call }) => call);
}

const DIRECT = [
  "cuMemcpyHtoDAsync_v2",
  "cuMemsetD8Async",
  "cuLaunchKernel",
  "cuLaunchKernel",
  "cuMemcpyDtoHAsync_v2",
  "cuStreamSynchronize",
];
const REPLAYED = ["cuMemcpyHtoDAsync_v2", "cuGraphLaunch", "cuMemcpyDtoHAsync_v2", "cuStreamSynchronize"];

describe("graphs", () => {
  test("fills and launches that come again are recorded, and from then on one call; copies stay outside", async () => {
    await using it = await open();
    expect(await result(it, 2)).toEqual(expected(2));
    expect(calls()).toEqual(DIRECT);
    expect(it.device.launches).toBe(2);
    expect(await result(it, 2)).toEqual(expected(2));
    const { entries, launches } = machine.take();
    expect(entries.filter(({ recorded }) => recorded).map(({ call }) => call)).toEqual(DIRECT.slice(1, 4));
    expect(launches).toEqual([]);
    expect(entries.find(({ call }) => call === "cuGraphLaunch")?.kernels).toEqual(["scale", "scale"]);
    // Other data, at other addresses of the host.
    expect(await result(it, 2, 5)).toEqual(expected(2, 5));
    expect(calls()).toEqual(REPLAYED);
    expect(it.device.launches).toBe(6);
  });

  test("what differs in an argument, a fill, a shape or a module is another graph", async () => {
    await using it = await open();
    for (let i = 0; i < 3; i++) await result(it, 2);
    machine.take();
    expect(await result(it, 3)).toEqual(expected(3));
    expect(calls()).toEqual(DIRECT);
    const module = await it.device.load(binary);
    machine.take();
    expect(await result({ ...it, module }, 2)).toEqual(expected(2));
    expect(calls()).toEqual(DIRECT);
    const to = new Float32Array(16);
    const changed = (change: (command: Command) => Command) =>
      it.device.run(program(it, 2, new Float32Array(16).fill(1), to).map(change));
    await changed((command) => (command.kind === "launch" ? { ...command, elements: 40 } : command));
    await changed((command) => (command.kind === "launch" ? { ...command, block: 16 } : command));
    await changed((command) => (command.kind === "fill" ? { ...command, bytes: 16 } : command));
    expect([...to.slice(7, 9), ...to.slice(12)]).toEqual([4, 0, 4, 4, 4, 4]);
    expect(calls()).not.toContain("cuGraphLaunch");
    expect(await result(it, 2)).toEqual(expected(2));
    expect(calls()).toEqual(REPLAYED);
  });

  test("a module that is disposed of takes its graphs with it, and no others", async () => {
    await using it = await open();
    const other = { ...it, module: await it.device.load(binary) };
    for (const which of [it, other, it, other]) await result(which, 2);
    machine.take();
    it.module.dispose();
    await it.device.run([]);
    expect(calls().filter((call) => /Destroy|Unload/.test(call))).toEqual(["cuGraphExecDestroy", "cuModuleUnload"]);
    expect(await result(other, 2)).toEqual(expected(2));
    expect(calls()).toEqual(REPLAYED);
  });

  test("sixteen are kept; the one that was not used for longest goes", async () => {
    await using it = await open();
    const replay = async (factor: number) => {
      expect(await result(it, factor)).toEqual(expected(factor));
      return calls().includes("cuGraphLaunch");
    };
    for (let factor = 1; factor <= 16; factor++) for (const again of [false, true]) expect(await replay(factor)).toBe(again);
    expect(await replay(1)).toBe(true);
    for (let i = 0; i < 2; i++) await result(it, 17);
    expect(calls().filter((call) => call === "cuGraphExecDestroy").length).toBe(1);
    expect([await replay(1), await replay(3), await replay(17), await replay(2)]).toEqual([true, true, true, false]);
  });

  test("more programs in turns than are kept are never recorded", async () => {
    await using it = await open();
    for (let round = 0; round < 3; round++) for (let factor = 1; factor <= 17; factor++) await result(it, factor);
    expect(calls().filter((call) => /Capture|Graph/.test(call))).toEqual([]);
  });

  test("programs that are long, that have one command, or matrix products, are not recorded", async () => {
    await using it = await open();
    const scale = launch(it.module, "scale", [{ pointer: it.buffer }, { int: 16 }, { float: 1 }], shape);
    const fill: Command = { kind: "fill", to: it.buffer, offset: 0, bytes: 64, value: 0 };
    const matrix = (memory: NativeBuffer): Matrix => ({ memory, offset: 0, dtype: "f32" });
    const [a, b, c] = [matrix(it.buffer), matrix(it.buffer), matrix(it.device.allocate(4))];
    const product: Command = {
      kind: "matmul",
      a,
      b,
      c,
      m: 1,
      n: 1,
      k: 1,
      transposeA: false,
      transposeB: false,
      alpha: 1,
      beta: 0,
    };
    for (const commands of [[scale], [fill, fill], new Array<Command>(17).fill(scale), [fill, scale, product]])
      for (let i = 0; i < 3; i++) await it.device.run(commands);
    expect(calls().filter((call) => /Capture|Graph/.test(call))).toEqual([]);
  });

  test("an abort is heard before a graph and after it", async () => {
    await using it = await open();
    const abort = new Int32Array(new SharedArrayBuffer(4));
    const slow = launch(it.module, "slow", [], { elements: 1, block: 32 });
    const read: Command = { kind: "read", from: it.buffer, offset: 0, to: new Uint8Array(1) };
    const commands = new Array<Command[]>(200).fill([slow, slow, read]).flat();
    const running = it.device.run(commands, abort);
    const watch = setInterval(() => Atomics.store(abort, 0, it.device.launches > 0 ? 1 : 0), 5);
    await expectCode("ABORTED", () => running);
    clearInterval(watch);
    const { entries } = machine.take();
    const replayed = entries.filter(({ call }) => call === "cuGraphLaunch").length;
    expect(replayed).toBeGreaterThan(0);
    expect(replayed).toBeLessThan(199);
    expect(entries.at(-1)?.call).toBe("cuStreamSynchronize");
  });
});

describe("failures", () => {
  const refusals = [
    "cuStreamCreate:2:2",
    "cuStreamBeginCapture_v2:900:1",
    "cuStreamEndCapture:901:1",
    "cuGraphInstantiateWithFlags:2:1",
  ];
  test.each(refusals)("%s: the program runs without a graph, and so do those after it", async (failing) => {
    machine.failWith(failing);
    await using it = await open();
    for (let i = 0; i < 4; i++) expect(await result(it, 2)).toEqual(expected(2));
    expect(calls()).not.toContain("cuGraphLaunch");
    expect(it.device.launches).toBe(8);
  });

  test("a driver that could make none is asked again after a hundred programs, then after twice as many", async () => {
    await using it = await open();
    const replayed = async (programs: number) => {
      machine.take();
      for (let i = 0; i < programs; i++) await it.device.run(program(it, 2, new Float32Array(16), new Float32Array(16)));
      return calls().filter((call) => call === "cuGraphLaunch").length;
    };
    machine.failWith("cuStreamBeginCapture_v2:900:1,cuStreamBeginCapture_v2:900:2");
    // Each time the program has to be seen once before it is recorded.
    expect(await replayed(2)).toBe(0);
    expect(await replayed(100 + 2)).toBe(0);
    machine.failNoMore();
    expect(await replayed(200 + 1)).toBe(0);
    expect(await replayed(2)).toBe(2);
    expect(await result(it, 2)).toEqual(expected(2));
  });

  test.each(["cuGraphInstantiateWithFlags:719:1", "cuGraphInstantiateWithFlags:2:1"])(
    "%s leaves no recording behind",
    async (failing) => {
      await using it = await open();
      await result(it, 2);
      machine.failWith(failing);
      await result(it, 2).catch(() => {});
      expect(calls()).toContain("cuGraphDestroy");
    },
  );

  test("a recording that is not destroyed is no failure of the program", async () => {
    await using it = await open();
    await result(it, 2);
    machine.failWith("cuGraphDestroy:1:1");
    for (let i = 0; i < 2; i++) expect(await result(it, 2)).toEqual(expected(2));
    expect(calls().filter((call) => /Graph/.test(call))).toEqual([
      "cuGraphInstantiateWithFlags",
      "cuGraphDestroy",
      "cuGraphLaunch",
      "cuGraphLaunch",
    ]);
  });

  test("a launch that is refused during recording is reported by the direct launch", async () => {
    await using it = await open();
    await result(it, 2);
    machine.failWith("cuLaunchKernel:1:1");
    expect(await result(it, 2)).toEqual(expected(2));
    await result(it, 3);
    machine.failWith("cuLaunchKernel:1:1,cuLaunchKernel:1:2");
    await expectCode("DEVICE_FAULT", () => result(it, 3), /launching kernel scale failed/);
    machine.failNoMore();
    for (let i = 0; i < 3; i++) expect(await result(it, 2)).toEqual(expected(2));
    expect(calls()).toContain("cuGraphLaunch");
  });

  test("a graph that is not launched is a fault, and the next program runs", async () => {
    await using it = await open();
    for (let i = 0; i < 2; i++) await result(it, 2);
    for (const [failing, code] of [
      ["cuGraphLaunch:1:1", "DEVICE_FAULT"],
      ["cuGraphLaunch:2:1", "DEVICE_OUT_OF_MEMORY"],
    ] as const) {
      machine.failWith(failing);
      await expectCode(code, () => result(it, 2), /launching kernels as a graph failed/);
      machine.failNoMore();
      expect(await result(it, 2)).toEqual(expected(2));
    }
  });

  test.each(["cuStreamBeginCapture_v2:700:1", "cuGraphInstantiateWithFlags:719:1", "cuGraphLaunch:700:1"])(
    "%s loses the context, with its graphs",
    async (failing) => {
      const broken = await open();
      await result(broken, 3);
      await result(broken, 3);
      await result(broken, 2);
      machine.failWith(failing);
      await expectCode("DEVICE_FAULT", () => result(broken, 2), /context is lost/);
      machine.failNoMore();
      await expectCode("DEVICE_FAULT", () => result(broken, 3), /context was lost/);
      await broken.device.dispose();
      await using it = await open();
      for (let i = 0; i < 3; i++) expect(await result(it, 2)).toEqual(expected(2));
    },
  );
});

test("a device that is disposed of leaves no graph behind", async () => {
  const it = await open();
  for (let i = 0; i < 2; i++) await result(it, 2);
  await it.device.dispose();
  expect(machine.take().entries.at(-1)).toEqual({ call: "contextEnds", allocations: 0, streams: 0, graphs: 0 });
});
