import { spawnSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { Worker } from "node:worker_threads";
import { afterAll, describe, expect, test } from "vitest";
import type { NativeDevice, NativeModule } from "../../runtime/addon/native.js";
import { addon, addonPath, compileKernels, compileShared, expectCode, launch, scratchFile } from "./support.js";

const kernels = compileKernels(`
#include <atomic>
#include <time.h>
struct Scale { float* x; long long n; double factor; };
extern "C" void scale(const void* p, long long begin, long long end) {
  const auto& a = *static_cast<const Scale*>(p);
  for (long long i = begin; i < end; i++) a.x[i] = static_cast<float>(a.x[i] * a.factor + static_cast<double>(i % a.n));
}
struct Pieces { std::atomic<int>* log; };
// How often each element was visited, and how often a piece began at no multiple of 16.
extern "C" void visits(const void* p, long long begin, long long end) {
  auto* log = static_cast<const Pieces*>(p)->log;
  if (begin % 16 != 0) log[0]++;
  for (long long i = begin; i < end; i++) log[1 + i]++;
}
extern "C" void slow(const void* p, long long begin, long long end) {
  for (long long i = begin; i < end; i++) {
    timespec t{0, 1000000};
    nanosleep(&t, nullptr);
    static_cast<const Pieces*>(p)->log[0]++;
  }
}
`);

describe.each([
  ["one thread", 1],
  ["all threads", 0],
  ["more threads than cores", 5],
])("the cpu device on %s", (_name, threads) => {
  const device = addon.openCpu({ threads });
  afterAll(() => device.dispose());

  test("says what it is", () => {
    expect(device.kind).toBe("cpu");
    expect(device.name.length).toBeGreaterThan(0);
    expect(device.architecture).toBe(
      process.arch === "x64" ? "x86_64" : process.arch === "arm64" ? "aarch64" : device.architecture,
    );
    expect(device.hostMemory).toBe(true);
    if (threads > 0) expect(device.threads).toBe(threads);
    else expect(device.threads).toBeGreaterThan(0);
  });

  test.each([1, 15, 16, 17, 1000, 100_003])("visits each of %i elements once, in pieces of whole blocks", async (elements) => {
    const module = await device.load(kernels);
    const log = new Int32Array(elements + 1);
    await device.run([launch(module, "visits", [{ pointer: log }], { elements, perBlock: 16 })]);
    expect(log[0]).toBe(0);
    expect(log.subarray(1).every((count) => count === 1)).toBe(true);
    module.dispose();
  });

  test("works on typed arrays where they lie, and on buffers, at offsets", async () => {
    const module = await device.load(kernels);
    const x = Float32Array.from({ length: 10 }, (_, i) => i);
    const buffer = device.allocate(40);
    const out = new Float32Array(10);
    const before = device.launches;
    await device.run([
      { kind: "write", to: buffer, offset: 0, from: x },
      launch(module, "scale", [{ pointer: x, offset: 8 }, { int: 3 }, { float: 2 }], { elements: 8 }),
      launch(module, "scale", [{ pointer: buffer, offset: 16 }, { int: 3 }, { float: -1 }], { elements: 6 }),
      { kind: "read", from: buffer, offset: 0, to: out },
    ]);
    expect([...x]).toEqual([0, 1, 4, 7, 10, 10, 13, 16, 16, 19]);
    expect([...out]).toEqual([0, 1, 2, 3, -4, -4, -4, -7, -7, -7]);
    expect(device.launches - before).toBe(2);
    buffer.dispose();
  });

  test("runs programs in the order of their submission", async () => {
    const module = await device.load(kernels);
    const x = new Float32Array(1).fill(1);
    const settled: number[] = [];
    const factors = [2, 3, 5, 7, 11];
    await Promise.all(
      factors.map(async (factor, index) => {
        await device.run([launch(module, "scale", [{ pointer: x }, { int: 1 }, { float: factor }], { elements: 1 })]);
        settled.push(index);
        expect(settled.length).toBe(index + 1);
      }),
    );
    expect(x[0]).toBe(2310);
  });

  test("stops when asked, says so, and goes on working", async () => {
    const module = await device.load(kernels);
    const abort = new Int32Array(new SharedArrayBuffer(4));
    const count = new Int32Array(1);
    // Left alone it takes ten seconds or more.
    const program = new Array(100).fill(launch(module, "slow", [{ pointer: count }], { elements: 500 }));
    const running = device.run(program, abort);
    const waiting = device.run([{ kind: "fill", to: count, offset: 0, bytes: 4, value: 0 }]);
    setTimeout(() => Atomics.store(abort, 0, 1), 30);
    const started = performance.now();
    await expectCode("ABORTED", () => running);
    expect(performance.now() - started).toBeLessThan(5000);
    await waiting;
    expect(count[0]).toBe(0);
  });

  test("a program whose flag is up already does not start", async () => {
    const x = new Uint8Array(4).fill(1);
    await expectCode("ABORTED", () => device.run([{ kind: "fill", to: x, offset: 0, bytes: 4, value: 0 }], Int32Array.of(1)));
    expect([...x]).toEqual([1, 1, 1, 1]);
    await device.run([{ kind: "fill", to: x, offset: 0, bytes: 4, value: 0 }], Int32Array.of(0));
    expect([...x]).toEqual([0, 0, 0, 0]);
  });
});

describe("loading", () => {
  const device = addon.openCpu({ threads: 1 });
  afterAll(() => device.dispose());
  const setting = (value: number) =>
    compileKernels(`extern "C" void set(const void* p, long long, long long) { **static_cast<int* const*>(p) = ${value}; }`);

  test("two modules with a kernel of one name each keep their own", async () => {
    const run = async (module: NativeModule) => {
      const to = new Int32Array(1);
      await device.run([launch(module, "set", [{ pointer: to }], { elements: 1 })]);
      return to[0];
    };
    const [one, two] = [await device.load(setting(1)), await device.load(setting(2))];
    expect([await run(one), await run(two), await run(one)]).toEqual([1, 2, 1]);
    one.dispose();
    const three = await device.load(setting(3));
    expect([await run(two), await run(three)]).toEqual([2, 3]);
  });

  // As under a seccomp filter, or an older kernel.
  const noMemoryFiles = compileShared(`
#define _GNU_SOURCE 1
#include <cerrno>
#include <cstdarg>
#include <dlfcn.h>
#include <sys/syscall.h>
extern "C" long syscall(long number, ...) {
  if (number == SYS_memfd_create) { errno = EPERM; return -1; }
  va_list list;
  va_start(list, number);
  long a[6];
  for (long& each : a) each = va_arg(list, long);
  va_end(list);
  using Call = long (*)(long, ...);
  static const auto real = reinterpret_cast<Call>(dlsym(RTLD_NEXT, "syscall"));
  return real(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}`);
  test("goes by a file of $TMPDIR where the system makes none in memory, and leaves none behind", () => {
    const folder = scratchFile("temporary");
    mkdirSync(folder);
    const script = `const device = require(${JSON.stringify(addonPath)}).openCpu({ threads: 1 });
      (async () => {
        const during = [];
        for (const bytes of process.argv.slice(1)) during.push(await device.load(Buffer.from(bytes, "base64")));
        const files = () => require("fs").readdirSync(process.env.TMPDIR).length;
        const loaded = files();
        for (const module of during) module.dispose();
        await device.dispose();
        console.log(loaded, files());
      })().catch((error) => console.log(error.code, error.message));`;
    const load = (TMPDIR: string) => {
      const binaries = [1, 2].map((value) => Buffer.from(setting(value)).toString("base64"));
      const preload = [process.env.LD_PRELOAD, noMemoryFiles].filter(Boolean).join(":");
      const env = { ...process.env, TMPDIR, LD_PRELOAD: preload };
      return spawnSync(process.execPath, ["-e", script, ...binaries], { env, encoding: "utf8" }).stdout.trim();
    };
    expect(load(folder)).toBe("0 0");
    expect(load("/nowhere")).toMatch(/^DEVICE_FAULT cannot load the kernels: .*\/nowhere.*\$TMPDIR/);
  });
});

describe("mistakes", () => {
  const device = addon.openCpu({ threads: 2 });
  afterAll(() => device.dispose());

  test("in opening", async () => {
    for (const options of [undefined, {}, { threads: -1 }, { threads: 0.5 }, { threads: "2" }, { threads: 1e9 }]) {
      await expectCode("USAGE", () => addon.openCpu(options as { threads: number }));
    }
  });

  test("in loading", async () => {
    await expectCode(
      "DEVICE_FAULT",
      () => device.load(new Uint8Array(8)),
      /cannot load the kernels: .*(file too short|invalid ELF header)/,
    );
    await expectCode("USAGE", () => device.load(new Uint8Array(0)), /empty/);
    for (const odd of [3, "/a/path.so", undefined]) await expectCode("USAGE", () => device.load(odd as unknown as Uint8Array));
  });

  test("in launching", async () => {
    const module = await device.load(kernels);
    const count = new Int32Array(1000);
    const good = launch(module, "visits", [{ pointer: count }], { elements: 8, perBlock: 16 });
    const wrong: readonly (readonly [Record<string, unknown>, RegExp])[] = [
      [{ module: {} }, /module must be a module of the device/],
      [{ module: device.allocate(8) }, /module must be a module of the device/],
      [{ kernel: "k9" }, /no kernel "k9"/],
      [{ kernel: 9 }, /kernel must be a string/],
      [{ elements: 0 }, /elements must be a whole number from 1/],
      [{ perBlock: 0 }, /perBlock/],
      [{ block: 0 }, /block must be a whole number from 1 to 1024/],
      [{ block: 1025 }, /block must be/],
      [{ elements: 2 ** 40 }, /blocks are more than/],
      [{ arguments: new Uint8Array(8) }, /arguments must be an ArrayBuffer/],
      [{ arguments: new ArrayBuffer(7) }, /eight bytes a field/],
      [{ pointers: {} }, /pointers must be an array/],
      [{ pointers: [[1, count, 0]] }, /field of a pointer must be a whole number from 0 to 0, not 1/],
      [{ pointers: [[0, count, 4001]] }, /offset of a pointer must be .* 4000, not 4001/],
      [{ pointers: [[0, module, 0]] }, /memory of a pointer must be a buffer/],
      [{ pointers: [7] }, /\[field, memory, offset\]/],
    ];
    for (const [change, message] of wrong) {
      // biome-ignore lint/suspicious/noExplicitAny: the mistake is the point
      await expectCode("USAGE", () => device.run([good, { ...good, ...change } as any]), message);
    }
    expect(count.every((entry) => entry === 0)).toBe(true);
    for (const abort of [0, {}, new Uint32Array(1), new Int32Array(0)]) {
      await expectCode("USAGE", () => device.run([good], abort as Int32Array), /abort/);
    }
    module.dispose();
    module.dispose();
    await expectCode("DISPOSED", () => device.run([good]));
  });

  test("a module of another device", async () => {
    const other = addon.openCpu({ threads: 1 });
    const module = await other.load(kernels);
    await expectCode("USAGE", () => device.run([launch(module, "visits", [], { elements: 1 })]), /another device/);
    await other.dispose();
  });
});

describe("the end of a device", () => {
  test("waits for running programs, then every call is DISPOSED", async () => {
    const device = addon.openCpu({ threads: 2 });
    const module = await device.load(kernels);
    const buffer = device.allocate(4);
    const count = new Int32Array(1);
    const running = device.run([launch(module, "slow", [{ pointer: count }], { elements: 20 })]);
    const disposed = device.dispose();
    await expectCode("DISPOSED", () => device.run([]));
    await expectCode("DISPOSED", () => device.load(kernels));
    await expectCode("DISPOSED", () => device.allocate(4));
    await disposed;
    expect(count[0]).toBe(20);
    await running;
    await device.dispose();
    expect(device.kind).toBe("cpu");
    expect(device.launches).toBe(1);
    buffer.dispose();
    module.dispose();
  });

  test("a module that is still being loaded is freed, not returned; other pending calls settle", async () => {
    const device = addon.openCpu({ threads: 1 });
    const calls = [device.load(kernels), device.run([]), device.load(kernels), device.run([]), device.dispose()];
    const settled = await Promise.allSettled(calls);
    const codes = settled.map((it) => (it.status === "rejected" ? it.reason.code : "settled"));
    expect(codes).toEqual(["DISPOSED", "settled", "DISPOSED", "settled", "settled"]);
  });

  const script = (body: string) =>
    `const addon = require(${JSON.stringify(addonPath)}); const kernels = Buffer.from("${Buffer.from(kernels).toString("base64")}", "base64"); ${body}`;
  const slow = `const module = await device.load(kernels);
    const args = new ArrayBuffer(8), count = new Int32Array(1);
    const program = [{ kind: "launch", module, kernel: "slow", elements: 20000, block: 1, perBlock: 1, cluster: 1, shared: 0, arguments: args, pointers: [[0, count, 0]] }];`;

  test.each([
    ["an idle device lets the process end", "addon.openCpu({ threads: 2 });", 0],
    [
      "a process ends in the middle of a program",
      `(async () => { const device = addon.openCpu({ threads: 2 }); ${slow} device.run(program); setTimeout(() => process.exit(7), 20); })();`,
      7,
    ],
    [
      "a device that is forgotten is collected",
      `(async () => { for (let i = 0; i < 20; i++) { const device = addon.openCpu({ threads: 2 }); device.allocate(1e6); await device.run([]); await device.load(kernels); if (i % 5 === 4) { gc(); await new Promise(setImmediate); gc(); } } process.exitCode = 5; })();`,
      5,
    ],
  ])("%s", (_name, body, status) => {
    const started = performance.now();
    const result = spawnSync(process.execPath, ["--expose-gc", "-e", script(body)], { encoding: "utf8" });
    expect(result.stderr).toBe("");
    expect(result.status).toBe(status);
    expect(performance.now() - started).toBeLessThan(10_000);
  });

  test("the addon is loaded again in a worker thread, which may be ended in the middle of a program", async () => {
    const device: NativeDevice = addon.openCpu({ threads: 2 });
    for (let round = 0; round < 5; round++) {
      const worker = new Worker(
        script(`const device = addon.openCpu({ threads: 2 });
        (async () => { ${slow} require("node:worker_threads").parentPort.postMessage("running"); await device.run(program); })();`),
        { eval: true },
      );
      await new Promise((resolve) => worker.once("message", resolve));
      await device.run([]);
      await worker.terminate();
    }
    await device.dispose();
  });
});

test("the processor's features are a stable string", () => {
  expect(addon.cpuFeatures()).toBe(addon.cpuFeatures());
  const words = addon.cpuFeatures().split(" ");
  expect(words[0]).toBe(addon.openCpu({ threads: 1 }).architecture);
  expect(words.slice(1)).toEqual([...words.slice(1)].sort());
});
