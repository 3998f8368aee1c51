/** The trainer as a person runs it: a process, from the built files. */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, onTestFinished, test } from "vitest";
import type { Record } from "../../examples/record.js";
import { temporaryFolder } from "../runtime/support.js";

const TRAINER = fileURLToPath(new URL("../../dist/examples/train.js", import.meta.url));

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs the trainer; `watch` sees the process whenever it has written something to stderr. */
function train(
  out: string,
  args: readonly string[] = [],
  watch: (child: ChildProcess, stderr: string) => void = () => undefined,
): Promise<Ended> {
  expect(existsSync(TRAINER), "dist/ is not built: npm run build").toBe(true);
  const child = spawn(process.execPath, [TRAINER, "--quick", "--out", out, ...args], { stdio: ["ignore", "pipe", "pipe"] });
  onTestFinished(() => void child.kill("SIGKILL"));
  const said = { stdout: "", stderr: "" };
  child.stdout.on("data", (chunk: Buffer) => {
    said.stdout += chunk.toString();
  });
  child.stderr.on("data", (chunk: Buffer) => {
    said.stderr += chunk.toString();
    watch(child, said.stderr);
  });
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code) => resolve({ code, ...said }));
  });
}

/** Ends the trainer as Ctrl-C does, once, when it has written the words. */
function interruptAt(words: string, signal: NodeJS.Signals = "SIGINT"): (child: ChildProcess, stderr: string) => void {
  let sent = false;
  return (child, stderr) => {
    if (sent || !stderr.includes(words)) return;
    sent = true;
    child.kill(signal);
  };
}

function record(out: string): Record {
  return JSON.parse(readFileSync(join(out, "run.json"), "utf8")) as Record;
}

/** The part of the output that does not depend on the clock. */
function learned({ seconds: _, ...rest }: Record): object {
  const { state: __, ...comparable } = rest as Omit<Record, "seconds"> & { state?: string };
  return comparable;
}

test("a quick run learns, reports, and a run that Ctrl-C cut off goes on to the same end", async () => {
  const [whole, cut] = [temporaryFolder(), temporaryFolder()];
  const full = await train(whole);
  expect(full.stderr).toContain("device cpu");
  expect(full, full.stderr).toMatchObject({ code: 0 });
  expect(full.stdout).toMatch(
    /^learned: held-out loss [\d.]+ → [\d.]+ nats per character \(bigram table [\d.]+.*\); reward [\d.]+ → [\d.]+\n/,
  );
  const { heldOut, bigram, reward, part, curves, tokens } = record(whole);
  expect(part).toBe(null);
  expect(heldOut.supervised).toBeLessThan(bigram - 0.1);
  expect(reward.reinforcement).toBeGreaterThan(reward.supervised as number);
  expect(curves.ratio.some(({ distance }) => distance > 1e-3)).toBe(true);
  expect(curves.custom.at(-1)?.z).toBeLessThan(curves.custom.at(0)?.z as number);
  expect(Object.values(tokens).every((count) => count > 0)).toBe(true);

  const page = readFileSync(join(whole, "report.html"), "utf8");
  expect(page.match(/<svg/g)).toHaveLength(4);
  expect(page).not.toMatch(/\b(src|href)="(?!http:\/\/www\.w3\.org)/);
  expect(page).not.toMatch(/NaN|undefined/);

  // Ctrl-C in every part.
  const parts = ["cross_entropy on", "ppo on", "a loss of"];
  for (const [i, part] of parts.entries()) {
    const { code, stderr } = await train(cut, [], interruptAt(part));
    expect(code, stderr).toBe(130);
    expect(stderr).toContain("the state is saved");
    if (i > 0) expect(stderr).toContain("going on from");
  }
  const ended = await train(cut);
  expect(ended.code, ended.stderr).toBe(0);
  expect(learned(record(cut))).toEqual(learned(record(whole)));
  expect(ended.stdout.split("\n")[0]).toBe(full.stdout.split("\n")[0]);
  expect(readdirSync(cut).filter((name) => name.startsWith("state"))).toHaveLength(1);
});

test("states in the folder that are not the run's stay", async () => {
  const out = temporaryFolder();
  for (const name of ["state-7.lossc", "state-1.lossc", ".lossc-aside"]) writeFileSync(join(out, name), "precious");
  expect((await train(out, [], interruptAt("cross_entropy"))).code).toBe(130);
  expect((await train(out, [], interruptAt("going on"))).code).toBe(130);
  expect(readdirSync(out).sort()).toEqual([
    ".lossc-aside",
    "run.json",
    "state-1.lossc",
    expect.stringMatching(/^state-[12].safetensors$/),
    "state-7.lossc",
  ]);
});

test("--fresh begins anew; a run that is over is not gone on with", async () => {
  const out = temporaryFolder();
  expect((await train(out, [], interruptAt("cross_entropy", "SIGTERM"))).code).toBe(130);
  const fresh = await train(out, ["--fresh"]);
  expect(fresh.code, fresh.stderr).toBe(0);
  expect(fresh.stderr).not.toContain("going on from");
  expect((await train(out, [], interruptAt("cross_entropy"))).stderr).toContain("is complete: beginning a new one");
});

test("mistakes are one line and exit status 2", async () => {
  const out = temporaryFolder();
  writeFileSync(join(out, "file"), "");
  for (const args of [
    ["--out", join(out, "file", "folder")],
    ["--device", "abacus"],
    ["--device", "reference"],
    ["--nonsense"],
  ]) {
    const { code, stderr, stdout } = await train(out, args);
    expect({ code, stdout, lines: stderr.trim().split("\n").length }, stderr).toEqual({ code: 2, stdout: "", lines: 1 });
  }
});
