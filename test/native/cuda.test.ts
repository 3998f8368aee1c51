import { writeFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { afterAll, afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { Command, Matrix, NativeBuffer, NativeDevice, NativeModule } from "../../runtime/addon/native.js";
import { options, prelude, text } from "./fake/kernels.js";
import { FakeMachine } from "./fake/machine.js";
import { addon, expectCode, failure, launch, scratchFile } from "./support.js";

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

describe("compiling", () => {
  test("gives a binary and a log", async () => {
    const compiled = await addon.compileCuda(text, options);
    expect(compiled.binary).toBeInstanceOf(Uint8Array);
    expect(compiled.binary.byteLength).toBeGreaterThan(1000);
    expect(compiled.log).toBe("");
    expect(machine.take().entries).toEqual([{ call: "nvrtcCompileProgram", options }]);
  });

  test("a mistake in the text is COMPILE_FAILED with the compiler's log", async () => {
    const error = await failure(() =>
      addon.compileCuda(text.replace("KERNEL(stuck) {", "KERNEL(stuck) { undeclared();"), options),
    );
    expect(error.code).toBe("COMPILE_FAILED");
    expect(error.message).toMatch(/NVRTC_ERROR_COMPILATION/);
    expect(error.log).toMatch(/undeclared/);
  });

  test("an option that there is not, and no real architecture", async () => {
    await expectCode("COMPILE_FAILED", () => addon.compileCuda(text, ["fast"]), /INVALID_OPTION/);
    await expectCode("COMPILE_FAILED", () => addon.compileCuda(text, ["--gpu-architecture=compute_90"]), /real architecture/);
    machine.failWith("nvrtcCreateProgram:1:1");
    await expectCode("COMPILE_FAILED", () => addon.compileCuda(text, options), /at starting/);
  });

  test("several at once, on threads that nothing else waits for", async () => {
    // Each compiler waits for a file that is written through the threads of libuv, of which there are four.
    const go = scratchFile("go");
    const compiler = scratchFile("waiting-compiler");
    const wait = `for i in $(seq 200); do [ -e "${go}" ] && exec ${process.env.CXX ?? "c++"} "$@"; sleep 0.05; done; exit 1`;
    writeFileSync(compiler, `#!/bin/sh\n${wait}\n`, { mode: 0o755 });
    vi.stubEnv("CXX", compiler);
    const all = Array.from({ length: 5 }, () => addon.compileCuda(text, options));
    await writeFile(go, "");
    for (const { binary } of await Promise.all(all)) expect(binary.byteLength).toBeGreaterThan(1000);
    vi.unstubAllEnvs();
    expect(machine.take().entries.length).toBe(5);
  });

  test("mistakes", async () => {
    await expectCode("USAGE", () => addon.compileCuda(3 as unknown as string, []));
    await expectCode("USAGE", () => addon.compileCuda(text, "-O3" as unknown as string[]));
    await expectCode("USAGE", () => addon.compileCuda(text, [3 as unknown as string]));
  });
});

describe("the GPU", () => {
  test("is listed and says what it is", async () => {
    expect(addon.listCuda()).toEqual([{ ordinal: 0, name: "Fake GPU 0", architecture: "sm_90", memoryBytes: 2 ** 30 }]);
    await using it = await open();
    expect(it.device.kind).toBe("cuda");
    expect(it.device.name).toBe("Fake GPU 0");
    expect(it.device.architecture).toBe("sm_90");
    expect(it.device.hostMemory).toBe(false);
    const { cuda, nvrtc, cublas } = addon.libraries();
    expect([cuda.version, nvrtc.version, cublas.version]).toEqual(["13.0", "13.0", "13.0.0"]);
    expect(cuda.path).toBe(process.env.LOSSC_LIBCUDA);
  });

  test("memory is zeroed, written, filled and read, by asynchronous copies and one wait", async () => {
    await using it = await open();
    const buffer = it.device.allocate(16);
    machine.take();
    const before = new Uint8Array(16).fill(1);
    const after = new Uint8Array(6);
    await it.device.run([
      { kind: "read", from: buffer, offset: 0, to: before },
      { kind: "write", to: buffer, offset: 4, from: Uint8Array.of(1, 2, 3) },
      { kind: "fill", to: buffer, offset: 5, bytes: 1, value: 9 },
      { kind: "read", from: buffer, offset: 3, to: after },
      { kind: "fill", to: buffer, offset: 5, bytes: 0, value: 9 },
      { kind: "read", from: buffer, offset: 16, to: new Uint8Array(0) },
    ]);
    expect([...before]).toEqual(new Array(16).fill(0));
    expect([...after]).toEqual([0, 1, 9, 3, 0, 0]);
    expect(machine.take().entries.map((entry) => entry.call)).toEqual([
      "cuMemcpyDtoHAsync_v2",
      "cuMemcpyHtoDAsync_v2",
      "cuMemsetD8Async",
      "cuMemcpyDtoHAsync_v2",
      "cuStreamSynchronize",
    ]);
  });

  test("memory is copied on the GPU, in one call for every size", async () => {
    await using it = await open();
    const bytes = 100 << 20;
    const [from, to] = [it.device.allocate(bytes), it.device.allocate(bytes)];
    const ends = [new Uint8Array(2), new Uint8Array(2)] as const;
    await it.device.run([{ kind: "write", to: from, offset: bytes - 2, from: Uint8Array.of(3, 4) }]);
    machine.take();
    await it.device.run([
      { kind: "copy", from, fromOffset: 0, to, toOffset: 0, bytes },
      { kind: "copy", from, fromOffset: bytes - 2, to, toOffset: 1, bytes: 1 },
      { kind: "copy", from, fromOffset: 0, to, toOffset: 0, bytes: 0 },
      { kind: "read", from: to, offset: 0, to: ends[0] },
      { kind: "read", from: to, offset: bytes - 2, to: ends[1] },
    ]);
    expect(ends.map((end) => [...end])).toEqual([
      [0, 3],
      [3, 4],
    ]);
    expect(machine.take().entries.flatMap((entry) => (entry.call === "cuMemcpyDtoDAsync_v2" ? [entry.bytes] : []))).toEqual([
      bytes,
      1,
    ]);
  });

  test("a launch has the grid, the block and the argument struct that it should", async () => {
    await using it = await open();
    const buffer = it.device.allocate(400);
    const out = new Float32Array(100);
    await it.device.run([
      { kind: "write", to: buffer, offset: 0, from: Float32Array.from({ length: 100 }, (_, i) => i) },
      launch(it.module, "scale", [{ pointer: buffer, offset: 40 }, { int: 90 }, { float: -2.5 }], {
        elements: 90,
        block: 32,
        perBlock: 32,
        cluster: 1,
        shared: 1024,
      }),
      { kind: "read", from: buffer, offset: 0, to: out },
    ]);
    expect([...out]).toEqual(Array.from({ length: 100 }, (_, i) => (i < 10 ? i : i * -2.5)));
    const { entries, launches } = machine.take();
    const address = entries.find((entry) => entry.call === "cuMemAlloc_v2" && entry.bytes === 400)?.address;
    const float = new BigUint64Array(Float64Array.of(-2.5).buffer)[0];
    expect(launches).toEqual([
      {
        call: "cuLaunchKernel",
        kernel: "scale",
        grid: 3,
        block: 32,
        shared: 1024,
        arguments: [`${BigInt(String(address)) + 40n}`, "90", `${float}`],
      },
    ]);
    expect(it.device.launches).toBe(1);
  });

  test("runs the kernel in the emulated geometry", async () => {
    await using it = await open();
    const buffer = it.device.allocate(256);
    const out = new Float32Array(64);
    await it.device.run([
      { kind: "write", to: buffer, offset: 0, from: Float32Array.from({ length: 64 }, (_, i) => i) },
      launch(it.module, "reversed", [{ pointer: buffer }], { elements: 1, block: 64, shared: 256 }),
      { kind: "read", from: buffer, offset: 0, to: out },
    ]);
    expect([...out]).toEqual(Array.from({ length: 64 }, (_, i) => 63 - i));
  });

  test("shared memory beyond what every kernel may have is asked for, once", async () => {
    await using it = await open();
    const buffer = it.device.allocate(256);
    const run = (shared: number) => launch(it.module, "reversed", [{ pointer: buffer }], { elements: 1, block: 64, shared });
    machine.take();
    await it.device.run([run(49152), run(100000), run(99999), run(200000)]);
    const asked = machine.take().entries.filter((entry) => entry.call === "cuFuncSetAttribute");
    expect(asked.flatMap((entry) => entry.shared ?? [])).toEqual([100000, 200000]);
    await expectCode(
      "DEVICE_FAULT",
      () => it.device.run([run(300000)]),
      /asking for 300000 bytes of shared memory for kernel reversed/,
    );
  });

  test("a kernel with more shared memory than exchanges take gets the multiprocessor's for it, once, and runs where that is refused", async () => {
    for (const refused of [false, true]) {
      await using it = await open();
      const buffer = it.device.allocate(256);
      const out = new Float32Array(64);
      const run = (shared: number, kernel = "reversed") =>
        launch(it.module, kernel, [{ pointer: buffer }, { int: 64 }, { float: 1 }], { elements: 1, block: 64, shared });
      machine.take();
      if (refused) machine.failWith("cuFuncSetAttribute:1:1");
      await it.device.run([
        { kind: "write", to: buffer, offset: 0, from: Float32Array.from({ length: 64 }, (_, i) => i) },
        ...[run(4096), run(8192), run(10000), run(8192), run(100000), run(0, "scale")],
        { kind: "read", from: buffer, offset: 0, to: out },
      ]);
      machine.failNoMore();
      expect([...out]).toEqual(Array.from({ length: 64 }, (_, i) => 63 - i));
      const asked = machine.take().entries.filter((entry) => entry.call === "cuFuncSetAttribute");
      expect(asked).toEqual([
        refused ? { call: "cuFuncSetAttribute", injected: 1 } : { call: "cuFuncSetAttribute", kernel: "reversed", carveout: 100 },
        { call: "cuFuncSetAttribute", kernel: "reversed", shared: 100000 },
      ]);
    }
  });

  test("an abort is heard between launches, and nothing is under way afterwards", async () => {
    await using it = await open();
    const program: Command[] = new Array(4000).fill(launch(it.module, "slow", [], { elements: 1, block: 32 }));
    const abort = new Int32Array(new SharedArrayBuffer(4));
    const running = it.device.run(program, abort);
    const watch = setInterval(() => Atomics.store(abort, 0, it.device.launches > 0 ? 1 : 0), 5);
    await expectCode("ABORTED", () => running);
    clearInterval(watch);
    const { entries, launches } = machine.take();
    expect(launches.length).toBeGreaterThan(0);
    expect(launches.length).toBeLessThan(4000);
    expect(it.device.launches).toBe(launches.length);
    expect(entries.at(-1)?.call).toBe("cuStreamSynchronize");
    await it.device.run([]);
  });

  test("matrix products go to cuBLAS", async () => {
    await using it = await open();
    const [m, n, k] = [3, 4, 2];
    const a = Float32Array.of(1, 2, 3, 4, 5, 6);
    const b = Float32Array.of(1, 0, 2, -1, 3, 1, 0, 2);
    const transposedA = Float32Array.of(1, 3, 5, 2, 4, 6);
    const transposedB = Float32Array.of(1, 3, 0, 1, 2, 0, -1, 2);
    const product = [7, 2, 2, 3, 15, 4, 6, 5, 23, 6, 10, 7];
    const [deviceA, deviceB, deviceC] = [it.device.allocate(24), it.device.allocate(32), it.device.allocate(48)] as const;
    const matrix = (memory: NativeBuffer): Matrix => ({ memory, offset: 0, dtype: "f32" });
    const matrices = { a: matrix(deviceA), b: matrix(deviceB), c: matrix(deviceC) };
    for (const [transposeA, transposeB] of [
      [false, false],
      [false, true],
      [true, false],
      [true, true],
    ] as const) {
      const out = new Float32Array(12);
      await it.device.run([
        { kind: "write", to: deviceA, offset: 0, from: transposeA ? transposedA : a },
        { kind: "write", to: deviceB, offset: 0, from: transposeB ? transposedB : b },
        { kind: "write", to: deviceC, offset: 0, from: new Float32Array(12).fill(10) },
        { kind: "matmul", ...matrices, m, n, k, transposeA, transposeB, alpha: 2, beta: 0.5 },
        { kind: "read", from: deviceC, offset: 0, to: out },
      ]);
      expect([...out]).toEqual(product.map((value) => 2 * value + 5));
    }
    const { entries } = machine.take();
    expect(entries.filter((entry) => entry.call === "cublasCreate_v2").length).toBe(1);
    // CUBLAS_MATH_DISALLOW_REDUCED_PRECISION_REDUCTION: parts of a sum meet in float32.
    expect(entries.find((entry) => entry.call === "cublasSetMathMode")?.mode).toBe(16);
    machine.failWith("cublasGemmEx:13:1");
    const broken = {
      kind: "matmul",
      ...matrices,
      m,
      n,
      k,
      transposeA: false,
      transposeB: false,
      alpha: 1,
      beta: 0,
    } as const;
    await expectCode("DEVICE_FAULT", () => it.device.run([broken]), /cuBLAS status 13/);
    await it.device.run([broken]);
  });
});

test("a device that is disposed of leaves nothing behind", async () => {
  const device = addon.openCuda({ ordinal: 0 });
  const module = await device.load(binary);
  const buffers = [device.allocate(8), device.allocate(8)];
  const running = device.run([launch(module, "slow", [], { elements: 4, block: 32 })]);
  await device.dispose();
  await running;
  const { entries } = machine.take();
  expect(entries.filter((entry) => entry.call === "cuMemFree_v2").length).toBe(buffers.length);
  expect(entries.filter((entry) => entry.call === "cuModuleUnload").length).toBe(1);
  expect(entries.at(-1)).toEqual({ call: "contextEnds", allocations: 0, streams: 0, graphs: 0 });
  await expectCode("DISPOSED", () => device.allocate(8));
  for (const buffer of buffers) buffer.dispose();
});
