/** `lossc bench`: what it prints and draws, what it refuses. The judge of results has tests of its own. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { inputsOf, makeBatch } from "../../bench/batch.js";
import { requireCorrect } from "../../bench/correct.js";
import { logprobVariance } from "../../bench/losses.loss.js";
import { linesOf } from "../../bench/report.js";
import { losses, openDevice } from "../../index.js";
import { failure, lossc, result } from "./lossc.js";

const QUICK = ["bench", "--quick", "--rounds", "3"];

describe("lossc bench", () => {
  test("prints each loss beside the copies, and draws them", async () => {
    const out = mkdtempSync(join(tmpdir(), "lossc-bench-test-"));
    onTestFinished(() => rmSync(out, { recursive: true, force: true }));
    const svg = join(out, "bench.svg");
    const run = await lossc([...QUICK, "--no-peers", "--svg", svg]);
    expect(run).toMatchObject({ code: 0, stderr: "" });
    const lines = run.stdout.split("\n");
    for (const name of ["copy, memcpy", "ppo", "a user's ppo", "cross_entropy", "gspo", "variance"]) {
      expect(lines.filter((line) => line.startsWith(`  ${name} `))).toEqual([expect.stringMatching(/ ms .* GB\/s .* × copy/)]);
      expect(readFileSync(svg, "utf8")).toContain(`>${name}<`);
    }
  });

  test("gives every round as JSON, of the losses that were asked for; an interpreter that is not there is an absent peer", async () => {
    const { shapes } = await result<{ shapes: { losses: object[] }[] }>([...QUICK, "--rows", "gspo", "--json"], {
      env: { LOSSC_PYTHON: "/nowhere/python3" },
    });
    expect(shapes).toHaveLength(1);
    const [{ losses: timed }] = shapes as [{ losses: { milliseconds: number[] }[] }];
    expect(timed).toEqual([
      expect.objectContaining({ name: "gspo", sweeps: 2, peer: { absent: expect.stringContaining("ENOENT") } }),
    ]);
    expect(timed[0]?.milliseconds).toHaveLength(3);
  });

  test("refuses a loss that it does not have", async () => {
    const { code, message, exit } = await failure([...QUICK, "--rows", "ppo,ghost"]);
    expect([code, exit]).toEqual(["LOSS_UNKNOWN", 2]);
    expect(message).toContain('"ghost"');
  });
});

describe("what stands before the timing", () => {
  const batch = makeBatch({ tokens: 8, vocab: 50, length: 4, losses: [], ceiling: 1, peers: false });

  test.each([losses.ppo, losses.gspo, logprobVariance])("lets a right result of $name pass and no other", async (loss) => {
    await using device = await openDevice("cpu");
    const found = await (await device.compile(loss)).forwardBackward(inputsOf(batch, loss.inputs));
    await requireCorrect(loss, batch, found);
    const spoilt = (array: ArrayLike<number>, i: number) => Float32Array.from(array, (x, j) => (i === j ? x + 1e-2 : x));
    const wrong = [
      { ...found, loss: found.loss + 1e-2 },
      { ...found, logprobs: spoilt(found.logprobs as Float32Array, 3) },
      { ...found, gradLogits: spoilt(found.gradLogits as Float32Array, 7 * 50 + 13) },
      { ...found, gradLogits: spoilt(found.gradLogits as Float32Array, batch.target_tokens[0] as number) },
    ];
    for (const result of wrong) await expect(requireCorrect(loss, batch, result)).rejects.toMatchObject({ code: "DEVICE_FAULT" });
  });

  test("a ratio is of medians, to the faster copy of as many bytes", () => {
    const timing = { name: "x", bytes: 100, milliseconds: [9, 2, 2] };
    const loss = { ...timing, bytes: 150, milliseconds: [6, 7, 1], sweeps: 2, ceiling: 1.6, peer: null };
    const lines = linesOf({ tokens: 1, vocab: 1, copies: [timing, { ...timing, milliseconds: [3, 3, 3] }], losses: [loss] });
    expect(lines.map(({ timesCopy }) => timesCopy)).toEqual([1, 1.5, 2]);
  });
});
