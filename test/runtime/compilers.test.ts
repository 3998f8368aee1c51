import { execFileSync } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import type { KernelText } from "../../codegen/emit/index.js";
import { requireAddon } from "../../runtime/addon/addon.js";
import type { NativeAddon } from "../../runtime/addon/native.js";
import { KernelCache } from "../../runtime/cache/index.js";
import { findCxx, findNvcc, openCuda, openCxx } from "../../runtime/compilers/index.js";
import { findProgram, runProgram } from "../../runtime/compilers/process.js";
import { alive, expectError, temporaryFolder, withEnvironment } from "./support.js";

const text = (body: string): KernelText => ({ target: "cpu", text: body, launches: [] });
const GOOD = text('extern "C" void k0(const void*, long long, long long) {}\n');
const BAD = text('extern "C" void k0() { this is no program; }\n');

/** A compiler that writes down each of its calls and then does what `c++` does. */
function countingCompiler(folder: string, before = ""): { path: string; calls: () => string[] } {
  const path = join(folder, "compiler");
  const log = join(folder, "calls");
  writeFileSync(path, `#!/bin/sh\necho "$*" >> ${log}\n${before}\nexec c++ "$@"\n`, { mode: 0o755 });
  return { path, calls: () => (existsSync(log) ? readFileSync(log, "utf8").trim().split("\n") : []) };
}

/** For a compiler's script: begins to compile only when another does. */
const meet = (folder: string) => `
case "$*" in *kernel.cpp*)
  touch "${folder}/here-$$"
  for i in $(seq 200); do [ $(ls ${folder}/here-* | wc -l) -ge 2 ] && break; sleep 0.05; done
  [ $(ls ${folder}/here-* | wc -l) -ge 2 ] || exit 1;;
esac`;

describe("the C++ compiler", () => {
  test.skipIf(availableParallelism() < 2)("compiles several texts at once, where there are several cores", async () => {
    const folder = temporaryFolder();
    withEnvironment({ CXX: countingCompiler(folder, meet(folder)).path });
    const toolchain = await openCxx(new KernelCache(temporaryFolder()), "cpu", "some features");
    const made = await Promise.all([toolchain.compile(GOOD), toolchain.compile(text(`${GOOD.text}\n`))]);
    expect(made.map(({ built }) => built)).toEqual([true, true]);
  });

  test("is the first of $CXX, c++, g++, clang++ that is there", async () => {
    const { path } = countingCompiler(temporaryFolder());
    withEnvironment({ CXX: path });
    expect(await findCxx()).toBe(path);
    process.env.CXX = "/nowhere/c++";
    expect(await findCxx()).toMatch(/\/(c\+\+|g\+\+|clang\+\+)$/);
    delete process.env.CXX;
    withEnvironment({ PATH: temporaryFolder() });
    expect(await findCxx()).toBe(null);
  });

  test("is never taken from the folder that the process stands in", async () => {
    withEnvironment({ PATH: `:.:${temporaryFolder()}` });
    expect(await findProgram("package.json")).toBe(null);
    expect(await findProgram("vitest")).toBe(null);
  });

  test("makes a shared object that is cached under its text, flags and version", async () => {
    const root = temporaryFolder();
    const toolchain = await openCxx(new KernelCache(root), "cpu", "some features");
    const first = await toolchain.compile(GOOD);
    expect(first.built).toBe(true);
    expect(first.bytes.subarray(0, 4)).toEqual(Buffer.from("\x7fELF"));
    expect(readFileSync(first.source, "utf8")).toBe(GOOD.text);
    expect((await toolchain.compile(GOOD)).built).toBe(false);
    const others = [
      await (await openCxx(new KernelCache(root), "cpu", "other features")).compile(GOOD),
      await (await openCxx(new KernelCache(root), "emulated", "some features")).compile(GOOD),
      await toolchain.compile(text(`${GOOD.text}\n`)),
    ];
    expect(new Set([first, ...others].map(({ key }) => key)).size).toBe(4);
  });

  test("no option allows the compiler to break infinities, NaN or the order of sums", async () => {
    const { path, calls } = countingCompiler(temporaryFolder());
    withEnvironment({ CXX: path });
    await (await openCxx(new KernelCache(temporaryFolder()), "cpu", "")).compile(GOOD);
    const compilation = calls().find((call) => call.includes("kernel.cpp")) as string;
    expect(compilation).toContain("-ffp-contract=off");
    expect(compilation).not.toMatch(/fast-math|finite-math|associative-math|unsafe-math|reciprocal-math|-Ofast/);
  });

  test("is asked for its version once; a process that finds everything in the cache starts no compiler", async () => {
    const { path, calls } = countingCompiler(temporaryFolder());
    withEnvironment({ CXX: path, LOSSC_CACHE_DIR: temporaryFolder() });
    const worker = new URL("worker.mjs", import.meta.url).pathname;
    const first = execFileSync(process.execPath, [worker, "loss"], { encoding: "utf8" });
    expect(calls().filter((call) => call === "--version").length).toBe(1);
    expect(calls().filter((call) => call.includes("kernel.cpp")).length).toBe(1);
    const before = calls().length;
    expect(execFileSync(process.execPath, [worker, "loss"], { encoding: "utf8" })).toBe(first);
    expect(calls().length).toBe(before);
  });

  test("that knows no -march=native is used without it", async () => {
    const folder = temporaryFolder();
    const { path, calls } = countingCompiler(folder, 'case "$*" in *=native*) echo "unknown flag" >&2; exit 1;; esac');
    withEnvironment({ CXX: path });
    const entry = await (await openCxx(new KernelCache(temporaryFolder()), "cpu", "")).compile(GOOD);
    expect(entry.built).toBe(true);
    expect(calls().filter((call) => call.includes("kernel.cpp") && call.includes("native"))).toEqual([]);
  });

  test("gets the flags of $LOSSC_CXXFLAGS, which are part of the key", async () => {
    const root = temporaryFolder();
    const toolchain = await openCxx(new KernelCache(root), "cpu", "");
    const plain = await toolchain.compile(GOOD);
    withEnvironment({ LOSSC_CXXFLAGS: " -g  -DX=1 " });
    const flagged = await toolchain.compile(GOOD);
    expect(flagged.key).not.toBe(plain.key);
    expect(JSON.parse(readFileSync(join(root, "lossc-kernels", flagged.key, "entry.json"), "utf8")).flags.slice(-2)).toEqual([
      "-g",
      "-DX=1",
    ]);
  });

  test("that fails says why, keeps the text, and the next compilation works", async () => {
    const root = temporaryFolder();
    const toolchain = await openCxx(new KernelCache(root), "cpu", "");
    const error = await expectError("COMPILE_FAILED", () => toolchain.compile(BAD), "error:", root);
    expect(error.log).toContain("error:");
    expect(readFileSync(error.text as string, "utf8")).toBe(BAD.text);
    expect((await toolchain.compile(GOOD)).built).toBe(true);
  });

  test("that is missing is named, with the way to get one", async () => {
    withEnvironment({ CXX: undefined, PATH: temporaryFolder() });
    await expectError(
      "COMPILER_NOT_FOUND",
      () => openCxx(new KernelCache(temporaryFolder()), "cpu", ""),
      "g++",
      "apt-get install",
      "$CXX",
    );
  });

  test("is killed with everything it started when the call is aborted", async () => {
    const folder = temporaryFolder();
    const pid = join(folder, "pid");
    const { path } = countingCompiler(folder, `case "$*" in *kernel.cpp*) sh -c 'echo $$ > ${pid}; sleep 600';; esac`);
    withEnvironment({ CXX: path });
    const toolchain = await openCxx(new KernelCache(temporaryFolder()), "cpu", "");
    const controller = new AbortController();
    const compilation = toolchain.compile(GOOD, controller.signal);
    compilation.catch(() => {});
    while (!existsSync(pid) || readFileSync(pid, "utf8") === "") await sleep(5);
    controller.abort();
    await expectError("ABORTED", () => compilation);
    const grandchild = Number(readFileSync(pid, "utf8"));
    await expect.poll(() => alive(grandchild), { timeout: 2000, interval: 10 }).toBe(false);
  });
});

describe("programs", () => {
  test("are started without a shell", async () => {
    const { output } = await runProgram("/bin/echo", ["$HOME; ls", "`x`"]);
    expect(output).toBe("$HOME; ls `x`\n");
  });

  test("are not started for a call that was aborted before", async () => {
    await expectError("ABORTED", () => runProgram("/bin/echo", [], { signal: AbortSignal.abort() }));
  });
});

const nvcc = await findNvcc();

describe("the CUDA compiler", () => {
  const KERNEL: KernelText = {
    target: "cuda",
    text: 'extern "C" __global__ void k0(float* x) { x[threadIdx.x] *= 2; }\n',
    launches: [],
  };
  const NVRTC = { path: "/lib/libnvrtc.so", version: "12.4", architectures: ["sm_80", "sm_90"] };
  const without = (nvrtc: object, cuda: object = {}): NativeAddon => ({
    ...requireAddon("the test"),
    libraries: () => ({ cuda, nvrtc, cublas: {}, openblas: {} }),
  });
  /** The folder of an `nvcc` that says this of itself. */
  const nvccSaying = (text: string) => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, "nvcc"), `#!/bin/sh\necho "${text}"\n`, { mode: 0o755 });
    return folder;
  };
  const release = (version: string) => nvccSaying(`Cuda compilation tools, release ${version}, V${version}.88`);
  const open = (addon: NativeAddon, architecture: string) => openCuda(new KernelCache(temporaryFolder()), addon, architecture);

  test("is NVRTC where the addon finds it", async () => {
    const calls: unknown[] = [];
    const addon: NativeAddon = {
      ...without(NVRTC),
      compileCuda: async (source, options) => {
        calls.push([source, options]);
        return { binary: Uint8Array.of(1, 2, 3), log: "" };
      },
    };
    const toolchain = await openCuda(new KernelCache(temporaryFolder()), addon, "sm_90");
    expect(toolchain.description).toContain("NVRTC 12.4");
    expect([...(await toolchain.compile(KERNEL)).bytes]).toEqual([1, 2, 3]);
    expect((await toolchain.compile(KERNEL)).built).toBe(false);
    expect(calls).toEqual([[KERNEL.text, ["--gpu-architecture=sm_90", "-std=c++17", "-fmad=false", "-default-device"]]]);
    // A newer GPU of a generation that it knows runs binaries of the older.
    await (await open(addon, "sm_89")).compile(KERNEL);
    expect(calls[1]).toMatchObject([KERNEL.text, { 0: "--gpu-architecture=sm_80" }]);
  });

  test("that is NVRTC and fails gives its log and the text", async () => {
    const addon: NativeAddon = {
      ...without(NVRTC),
      compileCuda: () =>
        Promise.reject(Object.assign(new Error("it does not compile"), { code: "COMPILE_FAILED", log: "line 3: error: x" })),
    };
    const toolchain = await openCuda(new KernelCache(temporaryFolder()), addon, "sm_90");
    const error = await expectError("COMPILE_FAILED", () => toolchain.compile(KERNEL), "it does not compile", "kernel.cu");
    expect(error.log).toBe("line 3: error: x");
  });

  test("that is missing is named, with the way to get one", async () => {
    withEnvironment({ LOSSC_NVCC: "/nowhere/nvcc" });
    await expectError(
      "COMPILER_NOT_FOUND",
      () => openCuda(new KernelCache(temporaryFolder()), without({ problem: "libnvrtc.so: not there" }), "sm_90"),
      "libnvrtc.so: not there",
      "nvcc",
    );
  });

  test("is NVRTC for a GPU that it knows, nvcc for one that it does not", async () => {
    const path = release("13.0");
    withEnvironment({ PATH: path, CUDA_HOME: undefined });
    for (const architecture of ["sm_90", "sm_90a", "sm_80"])
      expect((await open(without(NVRTC), architecture)).description).toContain("NVRTC 12.4");
    for (const architecture of ["sm_120", "sm_89a"])
      expect((await open(without(NVRTC), architecture)).description).toBe(`nvcc (${path}/nvcc)`);
  });

  test("that does not know the GPU is named, with what would", async () => {
    withEnvironment({ LOSSC_NVCC: "/nowhere/nvcc" });
    const problem = "NVRTC: /lib/libnvrtc.so is NVRTC 12.4, which does not know sm_120; nvcc: $LOSSC_NVCC is /nowhere/nvcc";
    const error = await expectError(
      "COMPILER_NOT_FOUND",
      () => open(without(NVRTC), "sm_120"),
      problem,
      "one that knows sm_120.",
    );
    expect(error.message).not.toContain("driver");
    const driver = { path: "/lib/libcuda.so.1", version: "12.8" };
    const advice = "one that knows sm_120 and is of CUDA 12 at most, or a newer driver.";
    await expectError("COMPILER_NOT_FOUND", () => open(without(NVRTC, driver), "sm_120"), problem, advice);
  });

  test("is no nvcc whose major version is newer than the driver's, but the next that is not", async () => {
    const home = temporaryFolder();
    mkdirSync(join(home, "bin"));
    copyFileSync(join(release("12.9"), "nvcc"), join(home, "bin", "nvcc"));
    withEnvironment({ PATH: release("13.0"), CUDA_HOME: home });
    const addon = without({ problem: "none" }, { path: "/lib/libcuda.so.1", version: "12.4" });
    expect((await open(addon, "sm_90")).description).toBe(`nvcc (${home}/bin/nvcc)`);
  });

  test("is no nvcc that is too new or too old", async () => {
    const addon = without({ problem: "none" }, { path: "/lib/libcuda.so.1", version: "12.4" });
    for (const [version, reason] of [
      ["13.0", "/nvcc is of CUDA 13.0, too new for the driver, which is of CUDA 12.4"],
      ["11.8", "/nvcc is of CUDA 11.8, and 12.0 or newer is needed"],
    ] as const) {
      withEnvironment({ LOSSC_NVCC: join(release(version), "nvcc") });
      await expectError("COMPILER_NOT_FOUND", () => open(addon, "sm_90"), reason);
    }
  });

  test("is any nvcc from 12.0 where there is no driver, and one of unknown release", async () => {
    for (const path of [release("13.0"), release("12.0"), nvccSaying("nvcc, built at home")]) {
      withEnvironment({ PATH: path, CUDA_HOME: undefined });
      expect((await open(without({ problem: "none" }), "sm_90")).description).toBe(`nvcc (${path}/nvcc)`);
    }
  });

  test.skipIf(nvcc === null)(`is nvcc otherwise${nvcc === null ? " (nvcc is absent)" : ""}`, async () => {
    const toolchain = await openCuda(new KernelCache(temporaryFolder()), without({ problem: "none" }), "sm_90");
    expect(toolchain.description).toContain("nvcc");
    const entry = await toolchain.compile(KERNEL);
    expect(entry.bytes.subarray(0, 4)).toEqual(Buffer.from("\x7fELF"));
    const error = await expectError("COMPILE_FAILED", () => toolchain.compile({ ...KERNEL, text: "nonsense;" }), "nvcc");
    expect(error.log).toContain("error");
  });
});
