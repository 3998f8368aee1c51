/** `lossc bench` on the CPU: what it prints and draws, what it refuses. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import type { HeadMeasured } from "../../bench/head.js";
import { expandRows, ROWS } from "../../bench/shapes.js";
import { failure, lossc, MAIN, result } from "./lossc.js";

const QUICK = ["bench", "--device", "cpu", "--quick", "--rounds", "3"];

interface Report {
  readonly shapes: readonly { readonly losses: readonly object[]; readonly peers: object }[];
  readonly head: HeadMeasured | null;
  readonly figures: readonly { readonly name: string }[];
}

const reportIn = (file: string): Report => JSON.parse(readFileSync(file, "utf8"));

describe("lossc bench", () => {
  test("prints each loss beside the copies with every other figure, and draws them", async () => {
    const out = mkdtempSync(join(tmpdir(), "lossc-bench-test-"));
    onTestFinished(() => rmSync(out, { recursive: true, force: true }));
    const svg = join(out, "bench.svg");
    const run = await lossc([...QUICK, "--no-peers", "--svg", svg]);
    expect(run).toMatchObject({ code: 0, stderr: "" });
    const lines = run.stdout.split("\n");
    const losses = ["ppo", "a user's ppo", "cross_entropy", "ppo half masked", "gspo", "variance", "forward_kl"];
    for (const name of ["copy, memcpy", "copy, 16-byte kernel", ...losses]) {
      const found = lines.filter((line) => line.startsWith(`  ${name}  `) && line.includes("× copy"));
      for (const line of found) expect(line).toMatch(/ ms .* GB\/s .* × copy/);
      expect(found.length, name).toBe(["ppo", "copy, memcpy", "copy, 16-byte kernel"].includes(name) ? 3 : 1);
      expect(readFileSync(svg, "utf8")).toContain(`>${name}<`);
    }
    expect(run.stdout).toMatch(/ {2}a user's ppo beside ppo, .* ×, at least 0\.97, at most 1\.03\n/);
    expect(run.stdout).toMatch(/ {2}forwardBackward beyond its kernels, .* µs, at most 50\n/);
    expect(run.stdout).toMatch(/ {2}the same, cached, two rows .* ms, at most 5\n/);
    expect(run.stdout).toMatch(/ {2}ppo from hidden states beside three products .* ×\n/);
  });

  test("measures the output head alone where that is asked for: times beside the products, and on Linux peak memory", async () => {
    const { shapes, head, figures } = await result<Report>([...QUICK, "--no-peers", "--rows", "head", "--json"]);
    expect(shapes).toEqual([]);
    expect(head).toMatchObject({ tokens: 64, width: 16, vocab: 1024, dtype: "f32", yardstick: "three products", failed: [] });
    expect([head?.products.length, head?.sweep.length]).toEqual([3, 3]);
    expect(head?.losses.map(({ name, milliseconds }) => [name, milliseconds.length])).toEqual([
      ["cross_entropy", 3],
      ["ppo", 3],
      ["gspo", 3],
    ]);
    const linux = process.platform === "linux";
    // The logits of all 64 tokens are one chunk of 256 KiB.
    for (const { peakBytes } of head?.losses ?? []) {
      if (linux) expect(peakBytes).toBeGreaterThanOrEqual(256 * 1024);
      else expect(peakBytes).toBeNull();
    }
    const names = ["cross_entropy", "ppo", "gspo"].flatMap((name) => [
      `${name} from hidden states beside three products`,
      ...(linux ? [`${name} from hidden states, peak memory beside all logits`] : []),
    ]);
    expect(figures.map(({ name }) => name)).toEqual(names);
  });

  test.each([
    ["calls", /^forwardBackward beyond its kernels/],
    ["compile", /^definition to loaded kernel/],
  ])("measures %s alone where that is asked for", async (row, first) => {
    const { shapes, head, figures } = await result<Report>([...QUICK, "--rows", row, "--json"]);
    expect([shapes, head]).toEqual([[], null]);
    expect(figures[0]?.name).toMatch(first);
    expect(new Set(figures.map(({ name }) => /beyond its kernels|its kernels/.test(name)))).toEqual(new Set([row === "calls"]));
  });

  test("gives every round as JSON, of the losses that were asked for; an interpreter that is not there is an absent peer", async () => {
    const { shapes, head, figures } = await result<Report>([...QUICK, "--rows", "gspo", "--json"], {
      env: { LOSSC_PYTHON: "/nowhere/python3" },
    });
    expect([head, figures]).toEqual([null, []]);
    expect(shapes).toHaveLength(1);
    const [{ losses: timed, peers }] = shapes as [{ losses: { milliseconds: number[] }[]; peers: object }];
    expect(timed).toEqual([expect.objectContaining({ name: "gspo", sweeps: 2 })]);
    expect(timed[0]?.milliseconds).toHaveLength(3);
    expect(peers).toMatchObject({ timings: [], absent: { PyTorch: expect.stringContaining("ENOENT") } });
  });

  test("refuses the row losses, which stands for all of them", () => {
    const names = ["cross_entropy", "ppo", "a user's ppo", "ppo half masked", "gspo", "variance", "forward_kl"];
    expect(expandRows(["losses"])).toEqual(names);
    expect(expandRows(["calls", "ppo"])).toEqual(["calls", "ppo"]);
  });

  test("measures nothing, or more than losses, where --rows says losses", async () => {
    const run = await result<Report>([...QUICK.slice(0, -1), "1", "--no-peers", "--rows", "losses", "--json"]);
    expect(run.shapes.map(({ losses }) => losses.length)).toEqual([7, 1, 1]);
    expect([run.head, run.figures.filter(({ name }) => !name.startsWith("a user's ppo"))]).toEqual([null, []]);
  });

  test("names a row in its help that it refuses", async () => {
    const { stdout } = await lossc(["bench", "--help"]);
    const [, told = ""] = /--rows <names>\s+(.*?)\(default/s.exec(stdout) ?? [];
    for (const name of ["losses", "ppo", "head", "calls", "compile", "geometries"]) {
      expect(told).toContain(name);
      expect(ROWS).toContain(name);
    }
  });

  test("keeps what was measured in a file, also where it is ended before all is", async () => {
    const out = mkdtempSync(join(tmpdir(), "lossc-bench-test-"));
    onTestFinished(() => rmSync(out, { recursive: true, force: true }));
    const save = join(out, "bench.json");
    // Of many rounds: the first shape is measured long before the last.
    const command = [...QUICK, "--no-peers", "--rows", "ppo,compile", "--rounds", "1000", "--save", save];
    const run = spawn(process.execPath, [MAIN, ...command], { stdio: "ignore" });
    await expect.poll(() => (existsSync(save) ? reportIn(save).shapes.length : 0), { timeout: 60_000 }).toBeGreaterThan(0);
    run.kill();
    expect(await once(run, "exit")).toEqual([null, "SIGTERM"]);
    expect(reportIn(save).shapes[0]?.losses).toEqual([expect.objectContaining({ name: "ppo" })]);
  });

  test.each(["--save", "--svg"])("%s to a folder that is not there is USAGE, before anything is measured", async (option) => {
    const { code, message, exit } = await failure([...QUICK, "--rows", "ppo", option, "/nowhere/file"]);
    expect([code, exit]).toEqual(["USAGE", 2]);
    for (const said of [option, "/nowhere"]) expect(message).toContain(said);
  });

  test("refuses a row that it does not have, and a device that it does not measure", async () => {
    const { code, message, exit } = await failure([...QUICK, "--rows", "ppo,ghost"]);
    expect([code, exit]).toEqual(["LOSS_UNKNOWN", 2]);
    expect(message).toMatch(/"ghost".* forward_kl, head, calls, compile, geometries$/);
    const emulated = await failure(["bench", "--device", "emulated"]);
    expect([emulated.code, emulated.exit]).toEqual(["DEVICE_NOT_FOUND", 2]);
    const geometries = await failure([...QUICK, "--rows", "ppo,geometries"]);
    expect([geometries.code, geometries.exit]).toEqual(["DEVICE_NOT_FOUND", 2]);
  });
});
