import { afterAll, afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Command, NativeDevice, NativeModule } from "../../runtime/addon/native.js";
import { options, prelude, text } from "./fake/kernels.js";
import { FakeMachine } from "./fake/machine.js";
import { addon, expectCode, launch } from "./support.js";

const machine = new FakeMachine();
machine.prelude = prelude;
const { binary } = await addon.compileCuda(text, options);

afterAll(() => machine.remove());
beforeEach(() => void machine.take());
afterEach(() => machine.failNoMore());

/** A device, and the kernels on it. */
async function open(): Promise<{ device: NativeDevice; module: NativeModule; [Symbol.asyncDispose]: () => Promise<void> }> {
  const device = addon.openCuda({ ordinal: 0 });
  return { device, module: await device.load(binary), [Symbol.asyncDispose]: () => device.dispose() };
}

describe("errors", () => {
  test("host memory and device memory are not mistaken for one another", async () => {
    await using it = await open();
    const values = new Float32Array(8);
    await expectCode(
      "USAGE",
      () => it.device.run([{ kind: "fill", to: values, offset: 0, bytes: 8, value: 0 }]),
      /cannot reach a typed array/,
    );
    await expectCode(
      "USAGE",
      () => it.device.run([launch(it.module, "scale", [{ pointer: values }], { elements: 1 })]),
      /typed array/,
    );
  });

  test("loading what is no cubin", async () => {
    await using it = await open();
    await expectCode("USAGE", () => it.device.load("/a/path" as unknown as Uint8Array), /binary/);
    await expectCode("USAGE", () => it.device.load(new Uint8Array(0)), /empty/);
    await expectCode("DEVICE_FAULT", () => it.device.load(new Uint8Array(100)), /loading kernels failed: .*200/);
    await expectCode("USAGE", () => it.device.run([launch(it.module, "k9", [], { elements: 1 })]), /no kernel "k9" in the cubin/);
    expect(it.device.launches).toBe(0);
  });

  test("no memory is DEVICE_OUT_OF_MEMORY, and what was disposed of is there again", async () => {
    await using it = await open();
    const half = it.device.allocate(2 ** 29);
    const rest = it.device.allocate(2 ** 29 - 2 ** 20);
    await expectCode(
      "DEVICE_OUT_OF_MEMORY",
      () => it.device.allocate(2 ** 28),
      /allocating 268435456 bytes on Fake GPU 0 failed: .*OUT_OF_MEMORY/,
    );
    half.dispose();
    it.device.allocate(2 ** 28).dispose();
    rest.dispose();
  });

  const faults: readonly (readonly [string, string, RegExp])[] = [
    ["cuMemcpyHtoDAsync_v2:1:1", "DEVICE_FAULT", /copying to the GPU failed: CUDA_ERROR_INVALID_VALUE/],
    ["cuMemcpyDtoHAsync_v2:1:1", "DEVICE_FAULT", /copying from the GPU failed/],
    ["cuMemcpyDtoDAsync_v2:1:1", "DEVICE_FAULT", /copying on the GPU failed/],
    ["cuMemsetD8Async:1:1", "DEVICE_FAULT", /filling memory of the GPU failed/],
    ["cuLaunchKernel:1:2", "DEVICE_FAULT", /launching kernel scale failed: CUDA_ERROR_INVALID_VALUE/],
    ["cuLaunchKernel:2:1", "DEVICE_OUT_OF_MEMORY", /launching kernel scale failed: CUDA_ERROR_OUT_OF_MEMORY/],
    ["cuStreamSynchronize:2:1", "DEVICE_OUT_OF_MEMORY", /waiting for the GPU failed/],
    ["cuModuleGetFunction:1:1", "DEVICE_FAULT", /looking for kernel scale failed/],
    ["cuCtxPushCurrent_v2:201:1", "DEVICE_FAULT", /CUDA_ERROR_INVALID_CONTEXT/],
  ];
  test.each(faults)("%s is %s, and the next program runs", async (failing, code, message) => {
    await using it = await open();
    const buffer = it.device.allocate(64);
    const copy = it.device.allocate(64);
    const out = new Float32Array(16);
    const scale = launch(it.module, "scale", [{ pointer: buffer }, { int: 16 }, { float: 3 }], {
      elements: 16,
      block: 32,
      perBlock: 32,
      cluster: 1,
      shared: 1024,
    });
    const program: Command[] = [
      { kind: "fill", to: buffer, offset: 0, bytes: 64, value: 1 },
      { kind: "write", to: buffer, offset: 0, from: new Float32Array(16).fill(1) },
      scale,
      scale,
      { kind: "copy", from: buffer, fromOffset: 0, to: copy, toOffset: 0, bytes: 64 },
      { kind: "read", from: copy, offset: 0, to: out },
    ];
    machine.failWith(failing);
    await expectCode(code, () => it.device.run(program), message);
    machine.failNoMore();
    await it.device.run(program);
    expect([...out]).toEqual(new Array(16).fill(9));
  });

  test("a fault that loses the context is reported until the device is opened again", async () => {
    const broken = await open();
    const neighbour = await open();
    const buffer = broken.device.allocate(64);
    const field = new Float64Array(1);
    // An address of the fake GPU that belongs to no allocation, by its bits.
    new BigInt64Array(field.buffer)[0] = 0x0dee000000000040n;
    const astray = launch(broken.module, "scale", [{ float: field[0] ?? 0 }, { int: 1 }, { float: 1 }], {
      elements: 1,
      block: 32,
    });
    await expectCode(
      "DEVICE_FAULT",
      () => broken.device.run([astray]),
      /CUDA_ERROR_ILLEGAL_ADDRESS.*context is lost.*open the device again/,
    );
    await expectCode("DEVICE_FAULT", () => broken.device.run([]), /context was lost \(.*ILLEGAL_ADDRESS.*open the device again/);
    await expectCode("DEVICE_FAULT", () => broken.device.allocate(8), /open the device again/);
    await expectCode("DEVICE_FAULT", () => broken.device.load(binary), /open the device again/);
    // Another device on the same GPU starts the context anew, whether or not the first is still there.
    await using second = await open();
    await second.device.run([launch(second.module, "slow", [], { elements: 1, block: 32 })]);
    await expectCode("DEVICE_FAULT", () => neighbour.device.run([]), /another device on it failed.*open the device again/);
    buffer.dispose();
    await broken.device.dispose();
    await neighbour.device.dispose();
    await second.device.run([]);
    expect(machine.take().entries.filter((entry) => entry.call === "staleHandle")).toEqual([]);
  });

  const surfacing = [
    "cuDevicePrimaryCtxRetain:700",
    "cuCtxPushCurrent_v2:719",
    "cuStreamCreate:226",
    "cuStreamCreate:721",
    "cuStreamCreate:810",
  ];
  test.each(surfacing)("a context whose loss comes out as %s is started anew by opening", async (failing) => {
    await using neighbour = await open();
    machine.failWith(`${failing}:1`);
    await using it = await open();
    machine.failNoMore();
    expect(machine.take().entries.map(({ call }) => call)).toContain("cuDevicePrimaryCtxReset_v2");
    await it.device.run([launch(it.module, "slow", [], { elements: 1, block: 32 })]);
    await expectCode("DEVICE_FAULT", () => neighbour.device.run([]), /another device on it failed.*open the device again/);
  });

  test.each(surfacing)("a context that cannot be started anew, %s coming again, wants the process restarted", async (failing) => {
    machine.failWith(`${failing}:1,${failing}:2`);
    await expectCode("DEVICE_FAULT", () => addon.openCuda({ ordinal: 0 }), /opening GPU 0 failed: .*restart the process/);
    machine.failNoMore();
    machine.take();
    await addon.openCuda({ ordinal: 0 }).dispose();
    // Nothing is held by the attempts that failed.
    expect(machine.take().entries.map(({ call, retained }) => [call, retained])).toEqual([
      ["cuDevicePrimaryCtxRetain", 1],
      ["cuStreamSynchronize", undefined],
      ["contextEnds", undefined],
    ]);
  });

  test("a kernel that hangs together wrongly is a fault", async () => {
    const it = await open();
    await expectCode(
      "DEVICE_FAULT",
      () => it.device.run([launch(it.module, "stuck", [], { elements: 1, block: 64 })]),
      /CUDA_ERROR_LAUNCH_FAILED/,
    );
    expect(machine.take().entries.find((entry) => entry.call === "laneFault")?.message).toMatch(/never reaches/);
    await it.device.dispose();
  });

  const closed: readonly (readonly [string, string, RegExp])[] = [
    ["cuInit:100:1", "DEVICE_NOT_FOUND", /does not start: cuInit failed: CUDA_ERROR_NO_DEVICE/],
    ["cuInit:999:1", "DEVICE_NOT_FOUND", /does not start/],
    ["cuDevicePrimaryCtxRetain:2:1", "DEVICE_OUT_OF_MEMORY", /opening GPU 0 failed/],
    ["cuStreamCreate:2:1", "DEVICE_OUT_OF_MEMORY", /opening GPU 0 failed/],
    ["cuDeviceGet:101:1", "DEVICE_NOT_FOUND", /CUDA_ERROR_INVALID_DEVICE/],
  ];
  test.each(closed)("opening with %s is %s", async (failing, code, message) => {
    machine.failWith(failing);
    await expectCode(code, () => addon.openCuda({ ordinal: 0 }), message);
    machine.failNoMore();
    await addon.openCuda({ ordinal: 0 }).dispose();
  });

  test("a GPU that there is not", async () => {
    await expectCode("DEVICE_NOT_FOUND", () => addon.openCuda({ ordinal: 1 }), /no GPU 1: the driver sees 1/);
    for (const ordinal of [-1, 0.5, "0", undefined])
      await expectCode("USAGE", () => addon.openCuda({ ordinal: ordinal as number }));
  });
});
