/** `lossc bench` on the CPU: what it prints and draws, what it refuses. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { failure, lossc, result } from "./lossc.js";

const QUICK = ["bench", "--device", "cpu", "--quick", "--rounds", "3"];

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
      const found = lines.filter((line) => line.startsWith(`  ${name}  `));
      for (const line of found) expect(line).toMatch(/ ms .* GB\/s .* × copy/);
      expect(found.length, name).toBe(["ppo", "copy, memcpy", "copy, 16-byte kernel"].includes(name) ? 3 : 1);
      expect(readFileSync(svg, "utf8")).toContain(`>${name}<`);
    }
    expect(run.stdout).toMatch(/ {2}a user's ppo beside ppo, .* ×, at least 0\.97, at most 1\.03\n/);
    expect(run.stdout).toMatch(/ {2}forwardBackward beyond its kernels, .* µs, at most 50\n/);
    expect(run.stdout).toMatch(/ {2}the same, cached, two rows .* ms, at most 5\n/);
  });

  test("gives every round as JSON, of the losses that were asked for; an interpreter that is not there is an absent peer", async () => {
    const { shapes } = await result<{ shapes: { losses: object[]; peers: object }[] }>([...QUICK, "--rows", "gspo", "--json"], {
      env: { LOSSC_PYTHON: "/nowhere/python3" },
    });
    expect(shapes).toHaveLength(1);
    const [{ losses: timed, peers }] = shapes as [{ losses: { milliseconds: number[] }[]; peers: object }];
    expect(timed).toEqual([expect.objectContaining({ name: "gspo", sweeps: 2 })]);
    expect(timed[0]?.milliseconds).toHaveLength(3);
    expect(peers).toMatchObject({ timings: [], absent: { PyTorch: expect.stringContaining("ENOENT") } });
  });

  test("refuses a loss that it does not have, and a device that it does not measure", async () => {
    const { code, message, exit } = await failure([...QUICK, "--rows", "ppo,ghost"]);
    expect([code, exit]).toEqual(["LOSS_UNKNOWN", 2]);
    expect(message).toContain('"ghost"');
    const emulated = await failure(["bench", "--device", "emulated"]);
    expect([emulated.code, emulated.exit]).toEqual(["DEVICE_NOT_FOUND", 2]);
  });
});
