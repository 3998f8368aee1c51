import { spawn } from "node:child_process";
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { userInfo } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { LosscError } from "../../dsl/errors.js";
import { type CacheRequest, cacheKey, cacheRoot, KernelCache } from "../../runtime/cache/index.js";
import { temporaryName } from "../../runtime/files/temporaries.js";
import { abandonedName, kernels, leftovers, names, request, text } from "./cache-support.js";
import { expectError, temporaryFolder, withEnvironment } from "./support.js";

describe("where it is", () => {
  test("$LOSSC_CACHE_DIR, else $XDG_CACHE_HOME/lossc, else ~/.cache/lossc", () => {
    withEnvironment({ LOSSC_CACHE_DIR: "/a/b", XDG_CACHE_HOME: "/c", HOME: "/home/somebody" });
    expect(cacheRoot()).toBe("/a/b");
    delete process.env.LOSSC_CACHE_DIR;
    expect(cacheRoot()).toBe("/c/lossc");
    process.env.XDG_CACHE_HOME = "relative";
    expect(cacheRoot()).toBe("/home/somebody/.cache/lossc");
    delete process.env.XDG_CACHE_HOME;
    expect(cacheRoot()).toBe("/home/somebody/.cache/lossc");
    process.env.HOME = "";
    expect(cacheRoot()).toBe(join(userInfo().homedir, ".cache", "lossc"));
  });

  test("nobody else may look into it", async () => {
    const root = join(temporaryFolder(), "deep", "cache");
    const entry = await new KernelCache(root).get(request("k"));
    const mode = (...path: string[]) => statSync(join(root, ...path)).mode & 0o777;
    expect([mode(), mode("lossc-kernels"), mode("lossc-kernels", "k")]).toEqual([0o700, 0o700, 0o700]);
    for (const name of ["entry.json", "kernel.bin", "kernel.txt"]) expect(mode("lossc-kernels", "k", name)).toBe(0o600);
    expect(entry.path).toBe(join(kernels(root), "k", "kernel.bin"));
  });

  test("a folder that cannot be written is replaced by a temporary one", async () => {
    const file = join(temporaryFolder(), "file");
    writeFileSync(file, "");
    const cache = new KernelCache(join(file, "cache"));
    const entry = await cache.get(request("k"));
    expect(text(entry.bytes)).toBe("binary of source");
    expect(entry.path.startsWith(file)).toBe(false);
    expect((await cache.get(request("k"))).built).toBe(false);
    expect(cache.describe()).toMatchObject({ problem: expect.stringContaining(file) });
  });
});

describe("entries", () => {
  test("are built once, and hold the readable source beside the binary", async () => {
    const root = temporaryFolder();
    const wanted = request("k", "int x;");
    const first = await new KernelCache(root).get(wanted);
    const second = await new KernelCache(root).get(wanted);
    expect([first.built, second.built, wanted.builds]).toEqual([true, false, 1]);
    expect(text(second.bytes)).toBe("binary of int x;");
    expect(readFileSync(second.source, "utf8")).toBe("int x;");
    expect(JSON.parse(readFileSync(join(kernels(root), "k", "entry.json"), "utf8"))).toMatchObject({
      key: "k",
      compiler: "copy",
    });
    expect(leftovers(root)).toEqual([]);
  });

  test("callers of one process share one build", async () => {
    const wanted = request("k");
    const cache = new KernelCache(temporaryFolder());
    const entries = await Promise.all([cache.get(wanted), cache.get(wanted), cache.get(wanted)]);
    expect(wanted.builds).toBe(1);
    expect(new Set(entries.map((entry) => entry.path)).size).toBe(1);
  });

  test("builders that do not know of each other all succeed; the losers leave nothing", async () => {
    const root = temporaryFolder();
    const wanted = request("k");
    const entries = await Promise.all([1, 2, 3, 4].map(() => new KernelCache(root).get(wanted)));
    expect(wanted.builds).toBe(4);
    for (const entry of entries) expect(text(entry.bytes)).toBe("binary of source");
    expect(names(root)).toEqual(["k"]);
  });

  const damages: Record<string, (folder: string) => void> = {
    "a binary that was cut short": (folder) => writeFileSync(join(folder, "kernel.bin"), "bin"),
    "a binary with one bit turned": (folder) => writeFileSync(join(folder, "kernel.bin"), "cinary of source"),
    "a binary that is gone": (folder) => rmSync(join(folder, "kernel.bin")),
    "no entry.json": (folder) => rmSync(join(folder, "entry.json")),
    "an entry.json that is no JSON": (folder) => writeFileSync(join(folder, "entry.json"), "{"),
    "an empty folder": (folder) => {
      rmSync(folder, { recursive: true });
      mkdirSync(folder);
    },
    "a file in its place": (folder) => {
      rmSync(folder, { recursive: true });
      writeFileSync(folder, "");
    },
  };
  test.each(Object.entries(damages))("are made anew where there is %s", async (_, damage) => {
    const root = temporaryFolder();
    const wanted = request("k");
    await new KernelCache(root).get(wanted);
    damage(join(kernels(root), "k"));
    const repaired = await new KernelCache(root).get(wanted);
    expect([repaired.built, text(repaired.bytes), wanted.builds]).toEqual([true, "binary of source", 2]);
    expect((await new KernelCache(root).get(wanted)).built).toBe(false);
    expect(names(root)).toEqual(["k"]);
  });

  test("that were copied to the place of another are not taken for it", async () => {
    const root = temporaryFolder();
    await new KernelCache(root).get(request("k", "of k"));
    cpSync(join(kernels(root), "k"), join(kernels(root), "other"), { recursive: true });
    const other = await new KernelCache(root).get(request("other", "of other"));
    expect([other.built, text(other.bytes)]).toEqual([true, "binary of of other"]);
  });

  test("that do not load can be taken away", async () => {
    const cache = new KernelCache(temporaryFolder());
    const wanted = request("k");
    await cache.get(wanted);
    await cache.discard("k");
    await cache.discard("k");
    expect((await cache.get(wanted)).built).toBe(true);
  });
});

describe("failures", () => {
  test("keep the text where the error points to it, and the next build works", async () => {
    const root = temporaryFolder();
    const cache = new KernelCache(root);
    const good = request("k", "text");
    const bad = {
      ...good,
      build: () => Promise.reject(new LosscError("COMPILE_FAILED", "it does not compile.", { log: "line 1: no" })),
    };
    const error = await expectError("COMPILE_FAILED", () => cache.get(bad), "it does not compile", root);
    expect(readFileSync(error.text as string, "utf8")).toBe("text");
    expect(error.log).toBe("line 1: no");
    expect(leftovers(root)).toEqual([]);
    expect(text((await cache.get(good)).bytes)).toBe("binary of text");
  });

  test("a caller that gives up leaves at once; the others still get their binary", async () => {
    const cache = new KernelCache(temporaryFolder());
    const wanted = request("k");
    const controller = new AbortController();
    const impatient = cache.get(wanted, controller.signal);
    const patient = cache.get(wanted);
    controller.abort();
    await expectError("ABORTED", () => impatient);
    expect(text((await patient).bytes)).toBe("binary of source");
    expect(wanted.builds).toBe(1);
  });

  test("the build is ended when nobody waits for it, and the next caller starts a new one", async () => {
    const cache = new KernelCache(temporaryFolder());
    let ended = false;
    const wanted = request("k");
    const stuck: CacheRequest = {
      ...wanted,
      build: (_folder, signal) =>
        new Promise((_, reject) => {
          signal.addEventListener("abort", () => {
            ended = true;
            reject(new LosscError("ABORTED", "ended"));
          });
        }),
    };
    const controller = new AbortController();
    const waiting = cache.get(stuck, controller.signal);
    await sleep(20);
    controller.abort();
    await expectError("ABORTED", () => waiting);
    expect(ended).toBe(true);
    expect((await cache.get(wanted)).built).toBe(true);
  });
});

describe("the sweep", () => {
  /** Makes a folder that was last changed so many hours ago. */
  function makeOld(path: string, age: number, files: readonly string[]): void {
    mkdirSync(path, { recursive: true });
    for (const file of files) writeFileSync(join(path, file), "text");
    const then = Date.now() / 1000 - age * 3600;
    utimesSync(path, then, then);
  }

  test("removes what killed processes left, and old texts that did not compile", async () => {
    const root = temporaryFolder();
    await new KernelCache(root).get(request("k"));
    const [living, dead] = [temporaryName("building-"), abandonedName("building-")];
    for (const [name, age] of [
      [living, 1000],
      [dead, 0],
      ["failed-old", 200],
      ["failed-young", 20],
    ] as const)
      makeOld(join(kernels(root), name), age, [".lossc", "kernel.txt"]);
    await new KernelCache(root).get(request("l"));
    expect(names(root)).toEqual([living, "failed-young", "k", "l"]);
  });

  test("leaves files that lossc did not make, in the user's folder and in its own", async () => {
    const root = temporaryFolder();
    for (const name of ["tmp-work", "failed-exam", "building-site"]) makeOld(join(root, name), 1000, ["thesis.tex"]);
    await new KernelCache(root).get(request("k"));
    const likeOurs = abandonedName("building-");
    for (const name of ["tmp-work", "failed-exam", "building-site", likeOurs])
      makeOld(join(kernels(root), name), 1000, ["thesis.tex"]);
    writeFileSync(join(kernels(root), "building-plan"), "a file");
    utimesSync(join(kernels(root), "building-plan"), 0, 0);
    symlinkSync(root, join(kernels(root), "failed-link"));
    await new KernelCache(root).get(request("l"));
    expect(readdirSync(root).sort()).toEqual(["building-site", "failed-exam", "lossc-kernels", "tmp-work"]);
    expect(names(root)).toEqual(
      [likeOurs, "building-plan", "building-site", "failed-exam", "failed-link", "k", "l", "tmp-work"].sort(),
    );
    for (const folder of [root, kernels(root)])
      for (const name of ["tmp-work", "failed-exam", "building-site"])
        expect(readdirSync(join(folder, name))).toEqual(["thesis.tex"]);
  });

  test("a folder of lossc's name that lossc did not make is not used", async () => {
    const root = temporaryFolder();
    makeOld(kernels(root), 0, ["thesis.tex"]);
    const cache = new KernelCache(root);
    expect(cache.describe()).toMatchObject({ problem: expect.stringContaining("was not made by lossc") });
    expect((await cache.get(request("k"))).built).toBe(true);
    expect(readdirSync(kernels(root))).toEqual(["thesis.tex"]);
  });
});

test("lists of parts with equal concatenations have different keys", () => {
  const keys = [cacheKey(["ab", "c"]), cacheKey(["a", "bc"]), cacheKey(["abc"]), cacheKey(["ab", "c", ""])];
  expect(new Set(keys).size).toBe(4);
  expect(keys[0]).toMatch(/^[0-9a-f]{64}$/);
});

/** Processes of their own, from the built package. */
const WORKER = fileURLToPath(new URL("worker.mjs", import.meta.url));

function worker(name: string, env: NodeJS.ProcessEnv) {
  const child = spawn(process.execPath, [WORKER, name], {
    env: { ...process.env, ...env },
    stdio: ["ignore", "pipe", "inherit"],
  });
  let output = "";
  child.stdout.on("data", (piece: Buffer) => {
    output += piece;
  });
  const ended = new Promise<{ code: number | null; output: string }>((resolve) =>
    child.once("close", (code) => resolve({ code, output })),
  );
  return { child, ended, output: () => output };
}

describe("processes", () => {
  test("two that compile the same loss at once both succeed", async () => {
    const root = temporaryFolder();
    const runs = [1, 2].map(() => worker("loss", { LOSSC_CACHE_DIR: root }));
    const results = await Promise.all(runs.map((run) => run.ended));
    expect(results.map(({ code }) => code)).toEqual([0, 0]);
    expect(results[0]?.output).toBe(results[1]?.output);
    expect(JSON.parse(results[0]?.output as string)).toMatchObject({ device: "cpu", launches: 1 });
    expect(leftovers(root)).toEqual([]);
    expect(names(root).filter((name) => /^[0-9a-f]{64}$/.test(name)).length).toBe(1);
  });

  test("one that is killed while it compiles leaves a cache that works", async () => {
    const root = temporaryFolder();
    // A compiler that says it has begun and then never ends.
    const slow = join(root, "slow-compiler");
    const begun = join(root, "begun");
    writeFileSync(slow, `#!/bin/sh\ncase "$*" in *kernel.cpp*) echo $$ > ${begun}; exec sleep 600;; *) exec c++ "$@";; esac\n`, {
      mode: 0o755,
    });
    const victim = worker("loss", { LOSSC_CACHE_DIR: root, CXX: slow });
    while (!existsSync(begun) || readFileSync(begun, "utf8") === "") {
      expect(victim.child.exitCode).toBe(null);
      await sleep(10);
    }
    victim.child.kill("SIGKILL");
    await victim.ended;
    process.kill(Number(readFileSync(begun, "utf8")));
    expect(leftovers(root).length).toBe(1);
    writeFileSync(slow, '#!/bin/sh\nexec c++ "$@"\n', { mode: 0o755 });
    const after = await worker("loss", { LOSSC_CACHE_DIR: root, CXX: slow }).ended;
    expect(after.code).toBe(0);
    expect(JSON.parse(after.output)).toMatchObject({ device: "cpu", launches: 1 });
  });

  test("a damaged binary of a loss is made anew", async () => {
    const root = temporaryFolder();
    const first = await worker("loss", { LOSSC_CACHE_DIR: root }).ended;
    const key = names(root).find((name) => /^[0-9a-f]{64}$/.test(name)) as string;
    const binary = join(kernels(root), key, "kernel.so");
    const whole = readFileSync(binary);
    writeFileSync(binary, whole.subarray(0, whole.length / 2));
    const second = await worker("loss", { LOSSC_CACHE_DIR: root }).ended;
    expect(second).toEqual(first);
    expect(readFileSync(binary).length).toBe(whole.length);
  });
});
