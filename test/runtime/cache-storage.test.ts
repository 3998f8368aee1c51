/** The cache on disks that are full, read-only, forbidden to programs or taken away. */
import { execFileSync, spawnSync } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { LosscError } from "../../dsl/errors.js";
import { cacheRoot, KernelCache } from "../../runtime/cache/index.js";
import { openCxx } from "../../runtime/compilers/index.js";
import { abandonedName, kernels, names, request, text } from "./cache-support.js";
import { expectError, temporaryFolder, withEnvironment } from "./support.js";
import { becomeOther, isRoot, OTHER } from "./users.js";

const GOOD = { target: "cpu", text: 'extern "C" void k0() {}\n', launches: [] } as const;
const WORKER = fileURLToPath(new URL("worker.mjs", import.meta.url));

/** A file system in memory, mounted for one test. */
function mounted(options: string): string {
  const folder = temporaryFolder();
  execFileSync("mount", ["-t", "tmpfs", "-o", options, "lossc-test", folder], { stdio: "ignore" });
  onTestFinished(() => void spawnSync("umount", ["-l", folder]));
  return folder;
}

function mayMount(): boolean {
  if (!isRoot) return false;
  const folder = "/mnt";
  const { status } = spawnSync("mount", ["-t", "tmpfs", "-o", "size=4k", "lossc-test", folder], { stdio: "ignore" });
  return status === 0 && spawnSync("umount", [folder]).status === 0;
}

/** One loss in a process of its own. */
function lossElsewhere(env: NodeJS.ProcessEnv, shell?: string) {
  const command = ["-c", `${shell ?? ":"}; exec "$@"`, "sh", process.execPath, WORKER, "loss"];
  const { stdout, stderr } = spawnSync("/bin/sh", command, { env: { ...process.env, ...env }, encoding: "utf8" });
  return { ...(JSON.parse(stdout) as { device?: string; launches?: number; error?: { code: string; message: string } }), stderr };
}

describe.skipIf(!mayMount())(`a file system${mayMount() ? "" : " (these tests may not mount any)"}`, () => {
  test("that is full is done without, and used again once there is room", async () => {
    const root = mounted("size=64k");
    writeFileSync(join(root, "ballast"), "");
    const cache = new KernelCache(root);
    const toolchain = await openCxx(cache, "cpu", "");
    const first = await toolchain.compile({ ...GOOD, text: `${GOOD.text}${"// long\n".repeat(20_000)}` });
    expect([first.built, first.path.startsWith(root)]).toEqual([true, false]);
    expect(names(root).filter((name) => name.startsWith("building-"))).toEqual([]);
    expect((await toolchain.compile({ ...GOOD, text: `${GOOD.text}${"// long\n".repeat(20_000)}` })).built).toBe(false);
    execFileSync("mount", ["-o", "remount,size=10m", root]);
    vi.spyOn(Date, "now").mockReturnValue(Date.now() + 120_000);
    onTestFinished(() => void vi.restoreAllMocks());
    expect((await toolchain.compile(GOOD)).path.startsWith(root)).toBe(true);
  });

  test("that fills up while a compiler writes is done without", async () => {
    const root = mounted("size=24k");
    const entry = await (await openCxx(new KernelCache(root), "cpu", "")).compile(GOOD);
    expect([entry.built, entry.path.startsWith(root)]).toEqual([true, false]);
  });

  test("that is full, like the one for temporary files, is named with the way out", async () => {
    const root = mounted("size=24k");
    const temporary = mounted("size=24k");
    withEnvironment({ TMPDIR: temporary });
    const toolchain = await openCxx(new KernelCache(root), "cpu", "");
    await expectError("COMPILE_FAILED", () => toolchain.compile(GOOD), root, temporary, "LOSSC_CACHE_DIR", "No space left");
    execFileSync("mount", ["-o", "remount,size=10m", temporary]);
    expect((await toolchain.compile(GOOD)).path.startsWith(temporary)).toBe(true);
  });

  test("that has no room for even a name is named, and nothing stays in it", async () => {
    const [root, temporary] = [mounted("size=4k,nr_inodes=3"), mounted("size=4k,nr_inodes=3")];
    for (const folder of [root, temporary]) writeFileSync(join(folder, "ballast"), "");
    withEnvironment({ TMPDIR: temporary });
    const cache = new KernelCache(root);
    for (let i = 0; i < 3; i++)
      await expectError("COMPILE_FAILED", () => cache.get(request("k")), root, temporary, "LOSSC_CACHE_DIR", "ENOSPC");
    for (const folder of [root, temporary]) expect(readdirSync(folder)).toEqual(["ballast"]);
  });

  test("that programs may not be run from serves all the same", () => {
    const root = mounted("noexec,size=10m");
    const env = { LOSSC_CACHE_DIR: root, TMPDIR: root };
    expect(lossElsewhere(env)).toMatchObject({ device: "cpu", launches: 1 });
    expect(lossElsewhere(env)).toMatchObject({ device: "cpu", launches: 1 });
    expect(names(root).some((name) => /^[0-9a-f]{64}$/.test(name))).toBe(true);
  });

  test("that is read-only and warm is read, and what is missing there is built elsewhere", async () => {
    const root = mounted("size=10m");
    await new KernelCache(root).get(request("k", "warm"));
    execFileSync("mount", ["-o", "remount,ro", root]);
    const cache = new KernelCache(root);
    const wanted = request("k", "warm");
    const entry = await cache.get(wanted);
    expect([entry.built, wanted.builds, text(entry.bytes)]).toEqual([false, 0, "binary of warm"]);
    expect(text((await cache.get(request("l", "cold"))).bytes)).toBe("binary of cold");
    // One that does not load on this machine is made for it, though it cannot be taken away.
    await cache.discard("k");
    expect(text((await cache.get(request("k", "made here"))).bytes)).toBe("binary of made here");
    expect((await cache.get(request("k"))).built).toBe(false);
  });
});

test.skipIf(!isRoot)("a warm folder that its owner may not write to is read", async () => {
  const root = temporaryFolder();
  await new KernelCache(root).get(request("k", "warm"));
  execFileSync("chown", ["-R", `${OTHER}:${OTHER}`, root]);
  chmodSync(kernels(root), 0o500);
  chmodSync(root, 0o500);
  becomeOther();
  const cache = new KernelCache(root);
  expect((await cache.get(request("k"))).built).toBe(false);
  expect((await cache.get(request("l"))).built).toBe(true);
});

test("a limit on the size of files is named with the way out", () => {
  const { error } = lossElsewhere({ LOSSC_CACHE_DIR: temporaryFolder() }, "ulimit -f 8");
  expect(error).toMatchObject({ code: "COMPILE_FAILED", message: expect.stringContaining("LOSSC_CACHE_DIR") });
  expect(error?.message).toMatch(/File size limit exceeded|File too large|EFBIG/);
});

test("an empty $HOME or $XDG_CACHE_HOME does not put the cache into the folder that the process stands in", () => {
  withEnvironment({ LOSSC_CACHE_DIR: undefined, XDG_CACHE_HOME: undefined, HOME: "" });
  expect(cacheRoot()).toMatch(/^\//);
  withEnvironment({ XDG_CACHE_HOME: "", HOME: "/home/somebody" });
  expect(cacheRoot()).toBe("/home/somebody/.cache/lossc");
});

test("without any home folder kernels are kept for the process", async () => {
  const cache = new KernelCache(null);
  expect((await cache.get(request("k"))).built).toBe(true);
  expect((await cache.get(request("k"))).built).toBe(false);
  expect(cache.describe()).toMatchObject({ problem: expect.stringContaining("no home folder") });
});

test("temporary folders go with their process, and the next removes what a killed one left", async () => {
  const temporary = temporaryFolder();
  const env = { HOME: "/dev/null", LOSSC_CACHE_DIR: undefined, XDG_CACHE_HOME: undefined, TMPDIR: temporary };
  expect(lossElsewhere(env)).toMatchObject({ launches: 1 });
  expect(readdirSync(temporary)).toEqual([]);
  withEnvironment(env);
  // A folder of a process that has ended since, and another's that only looks like one.
  const killed = join(temporary, abandonedName("lossc-kernels-"));
  const other = join(temporary, abandonedName("lossc-kernels-").replace(/-\w+$/, "-0123456789ab"));
  for (const [folder, file] of [
    [killed, ".lossc"],
    [other, "thesis.tex"],
  ] as const) {
    mkdirSync(folder, { mode: 0o700 });
    writeFileSync(join(folder, file), "text");
  }
  await new KernelCache(null).get(request("k"));
  expect([existsSync(killed), readdirSync(other)]).toEqual([false, ["thesis.tex"]]);
  expect(readdirSync(temporary).length).toBe(2);
});

describe("a folder that is taken away under a running process", () => {
  test("is made again", async () => {
    const root = temporaryFolder();
    const cache = new KernelCache(root);
    await cache.get(request("k"));
    rmSync(root, { recursive: true });
    expect((await cache.get(request("k"))).built).toBe(true);
    expect(names(root)).toEqual(["k"]);
  });

  test("while something is built, is made again and the building begins anew", async () => {
    const root = temporaryFolder();
    const cache = new KernelCache(root);
    const wanted = request("k");
    const interrupted = {
      ...wanted,
      async build(folder: string) {
        if (wanted.builds++ > 0) return writeFileSync(join(folder, "kernel.bin"), "binary");
        rmSync(root, { recursive: true });
        throw new LosscError("COMPILE_FAILED", "no such file or directory");
      },
    };
    expect((await cache.get(interrupted)).built).toBe(true);
    expect([wanted.builds, names(root)]).toEqual([2, ["k"]]);
  });

  test("and moved elsewhere, is followed no longer", async () => {
    const root = temporaryFolder();
    const cache = new KernelCache(root);
    await cache.get(request("k"));
    renameSync(kernels(root), join(root, "moved"));
    expect((await cache.get(request("l"))).built).toBe(true);
    expect(names(root)).toEqual(["l"]);
    expect(readdirSync(join(root, "moved")).sort()).toEqual([".lossc", "CACHEDIR.TAG", "k"]);
  });
});

test("a compiler that is gone is named", async () => {
  const folder = temporaryFolder();
  const compiler = join(folder, "c++");
  writeFileSync(compiler, '#!/bin/sh\nexec c++ "$@"\n', { mode: 0o755 });
  withEnvironment({ CXX: compiler });
  const toolchain = await openCxx(new KernelCache(join(folder, "cache")), "cpu", "");
  await toolchain.compile(GOOD);
  writeFileSync(compiler, "#!/nowhere/sh\n");
  await expectError("COMPILER_NOT_FOUND", () => toolchain.compile({ ...GOOD, text: `${GOOD.text}\n` }), compiler, "$CXX");
  rmSync(compiler);
  await expectError("COMPILER_NOT_FOUND", () => toolchain.compile(GOOD), compiler, "open the device anew");
});

test("a compiler that reports success without an output is an error", async () => {
  const folder = temporaryFolder();
  const compiler = join(folder, "c++");
  writeFileSync(compiler, "#!/bin/sh\necho 1\n", { mode: 0o755 });
  withEnvironment({ CXX: compiler });
  const toolchain = await openCxx(new KernelCache(join(folder, "cache")), "cpu", "");
  await expectError("COMPILE_FAILED", () => toolchain.compile(GOOD), "kernel.so");
});
