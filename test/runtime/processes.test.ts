/** Programs that lossc starts end with the process that started them, on every way that it can end. */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { findGuard } from "../../runtime/addon/addon.js";
import { runProgram } from "../../runtime/compilers/process.js";
import { MAIN } from "../cli/lossc.js";
import { alive, temporaryFolder, withEnvironment } from "./support.js";

const LIBRARY = new URL("../../dist/index.js", import.meta.url).href;

/** Writes its own process id and that of a child into the file, then sleeps with the child for longer than any test runs. */
const sleeper = (pids: string) => `sh -c 'echo $$ >> "$0"; exec sleep 600' ${pids} &\necho $$ >> ${pids}\nwait\n`;

/** The ids that {@link sleeper} wrote; none before both are there. */
function readPids(file: string): number[] {
  const lines = existsSync(file) ? readFileSync(file, "utf8").trim().split("\n") : [];
  return lines.length === 2 ? lines.map(Number) : [];
}

async function started(file: string): Promise<number[]> {
  await expect.poll(() => readPids(file).length, { timeout: 20_000, interval: 5 }).toBe(2);
  const pids = readPids(file);
  // Processes of this test must not outlive it.
  onTestFinished(() => {
    for (const pid of pids.filter(alive)) process.kill(pid, "SIGKILL");
  });
  expect(pids.filter(alive)).toEqual(pids);
  return pids;
}

const gone = (pids: readonly number[]) => expect.poll(() => pids.filter(alive), { timeout: 1000, interval: 10 }).toEqual([]);

/** Node in the middle of a compilation whose compiler never ends; `ending` is what it does once the compiler runs. */
async function compiling(ending = ""): Promise<{ readonly node: ChildProcess; readonly pids: number[] }> {
  const folder = temporaryFolder();
  const [pids, compiler, program] = ["pids", "compiler", "program.mjs"].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ];
  writeFileSync(compiler, `#!/bin/sh\ncase "$*" in *kernel.cpp*)\n${sleeper(pids)};; *) exec c++ "$@";; esac\n`, { mode: 0o755 });
  const text = `import { existsSync, readFileSync } from "node:fs";
import { isMainThread, Worker } from "node:worker_threads";
import { losses, openDevice } from ${JSON.stringify(LIBRARY)};
const compile = async () => {
  const compiled = await (await openDevice("cpu")).compile(losses.cross_entropy);
  await compiled.forwardBackward({ lengths: [1], vocab: 2, logits: [0, 1], target_tokens: [0] });
};
const started = async () => {
  while (!existsSync(${JSON.stringify(pids)}) || readFileSync(${JSON.stringify(pids)}, "utf8").trim().split("\\n").length < 2)
    await new Promise((resolve) => setTimeout(resolve, 5));
};
${ending || "await compile();"}`;
  writeFileSync(program, text);
  const node = spawn(process.execPath, [program], {
    env: { ...process.env, CXX: compiler, LOSSC_CACHE_DIR: join(folder, "cache") },
    stdio: ["ignore", "inherit", "inherit"],
  });
  onTestFinished(() => void node.kill("SIGKILL"));
  return { node, pids: await started(pids) };
}

describe("a compiler or interpreter and its children end within a second", () => {
  test.each(["SIGINT", "SIGTERM", "SIGHUP", "SIGKILL"] as const)("when %s ends Node", async (signal) => {
    const { node, pids } = await compiling();
    node.kill(signal);
    await gone(pids);
  });

  test("when Node calls process.exit()", async () => {
    const { pids } = await compiling("compile(); await started(); setTimeout(() => process.exit(), 100);");
    await gone(pids);
  });

  test("when the worker thread that compiles is terminated, and Node goes on", async () => {
    const { node, pids } = await compiling(
      `if (isMainThread) {
  const worker = new Worker(new URL(import.meta.url));
  await started();
  setTimeout(() => worker.terminate(), 100);
  setInterval(() => {}, 1000);
} else await compile();`,
    );
    await gone(pids);
    expect(node.exitCode ?? node.signalCode).toBe(null);
  });

  test("when SIGKILL ends lossc bench in the middle of an interpreter", async () => {
    const folder = temporaryFolder();
    const python = join(folder, "python");
    writeFileSync(python, `#!/bin/sh\n${sleeper(join(folder, "pids"))}`, { mode: 0o755 });
    const args = ["bench", "--device", "cpu", "--quick", "--rows", "head", "--rounds", "1"];
    const node = spawn(process.execPath, [MAIN, ...args], { env: { ...process.env, LOSSC_PYTHON: python }, stdio: "ignore" });
    onTestFinished(() => void node.kill("SIGKILL"));
    const pids = await started(join(folder, "pids"));
    node.kill("SIGKILL");
    await gone(pids);
  });

  test("when somebody kills the guard alone", async () => {
    const folder = temporaryFolder();
    const run = runProgram("/bin/sh", ["-c", sleeper(join(folder, "pids"))]);
    const pids = await started(join(folder, "pids"));
    const [program] = [...pids].sort((a, b) => a - b) as [number];
    const parent = Number(/\) \S+ (\d+)/.exec(readFileSync(`/proc/${program}/stat`, "utf8"))?.[1]);
    expect(readFileSync(`/proc/${parent}/cmdline`, "utf8")).toContain("lossc-guard");
    process.kill(parent, "SIGKILL");
    await gone(pids);
    expect((await run).status).toBe(null);
  });
});

describe.each(["with the guard", "without an addon and so without the guard"])("a program %s", (how) => {
  const choose = () => {
    if (how !== "with the guard") withEnvironment({ LOSSC_ADDON: join(temporaryFolder(), "lossc.node") });
    expect(findGuard() === null).toBe(how !== "with the guard");
  };

  test("gives its status and both of its outputs, and takes text on stdin", async () => {
    choose();
    const run = await runProgram("/bin/sh", ["-c", "cat; echo two >&2; exit 7"], { input: "öne\n" });
    expect(run).toEqual({ status: 7, stdout: "öne\n", output: "öne\ntwo\n" });
    expect(await runProgram("/bin/sh", ["-c", "kill -9 $$"])).toMatchObject({ status: null });
    expect(await runProgram("/bin/sh", ["-c", "echo 12345"], { limit: 3 })).toMatchObject({ output: "123" });
  });

  test("that cannot be started rejects with the system's error", async () => {
    choose();
    await expect(runProgram("/nowhere/c++", [])).rejects.toMatchObject({ code: "ENOENT", path: "/nowhere/c++" });
    await expect(runProgram("/etc/passwd", [])).rejects.toMatchObject({ code: "EACCES", syscall: "spawn /etc/passwd" });
    await expect(runProgram("/bin/echo", [], { cwd: "/nowhere" })).rejects.toMatchObject({ code: "ENOENT", path: "/bin/echo" });
  });

  test("takes along what it left behind in its group", async () => {
    choose();
    const folder = temporaryFolder();
    const file = join(folder, "pids");
    const left = `sh -c 'echo $$ >> ${file}; exec sleep 600' & until [ -s ${file} ]; do sleep 0.01; done`;
    expect(await runProgram("/bin/sh", ["-c", left])).toMatchObject({ status: 0 });
    await gone([Number(readFileSync(file, "utf8"))]);
  });

  test("holds none of this process's descriptors, nor those of a program beside it", async () => {
    choose();
    const list = () => runProgram("/bin/sh", ["-c", "ls /proc/$$/fd"]);
    // The parent of the tests may have left inheritable descriptors open.
    const inherited = (await list()).output
      .split("\n")
      .map(Number)
      .filter((fd) => fd > 9);
    for (const { output } of await Promise.all([list(), list(), list()]))
      expect(output.trim().split("\n").map(Number)).toEqual([0, 1, 2, ...inherited]);
  });

  test("runs in a folder that is named by a descriptor", async () => {
    choose();
    const { open } = await import("node:fs/promises");
    const folder = temporaryFolder();
    await using handle = await open(folder);
    expect((await runProgram("/bin/pwd", ["-P"], { cwd: `/proc/self/fd/${handle.fd}` })).output).toBe(`${folder}\n`);
  });
});
