/** The bench's evaluation of its times. */
import { describe, expect, test } from "vitest";
import type { LossTiming, Measured } from "../../bench/measure.js";
import { judged, type PeerReport } from "../../bench/peers.js";
import { figureLines, figuresOf, linesOf, tableOf } from "../../bench/report.js";

const copy = { name: "copy", bytes: 100, milliseconds: [9, 2, 2] };
const loss: LossTiming = {
  name: "ppo",
  bytes: 150,
  yardstick: 150,
  milliseconds: [6, 7, 1],
  sweeps: 2,
  value: 3,
  target: { timesCopy: 1.1 },
  launches: { milliseconds: [3, 3, 3] },
};
const peers: PeerReport = {
  versions: { PyTorch: "2" },
  absent: { quack: "ImportError: nothing" },
  timings: [{ loss: "ppo", peer: "PyTorch, torch.compile", value: 3, milliseconds: [60] }],
  failed: [{ loss: "ppo", peer: "PyTorch, eager", problem: "OutOfMemoryError" }],
};
const measured: Measured = {
  tokens: 4,
  vocab: 5,
  dtype: "bf16",
  copies: [copy, { ...copy, name: "slower", milliseconds: [3, 3, 3] }],
  losses: [loss],
  peers,
  failed: [{ name: "gspo", problem: "DEVICE_FAULT: wrong" }],
};

describe("lines", () => {
  test("a ratio is of medians, to the faster copy of as many bytes", () => {
    const lines = linesOf(measured);
    expect(lines.map(({ name, timesCopy, own }) => [name, timesCopy, own])).toEqual([
      ["copy", 1, false],
      ["slower", 1.5, false],
      ["ppo", 2, true],
      ["ppo: PyTorch, torch.compile", 20, false],
    ]);
    expect(lines[2]).toMatchObject({ ceiling: 1.1, more: ", at most 1.1, kernels alone 3.00 ms (1.00 ×)" });
    expect(lines[3]?.more).toBe(", 10.0 × ppo");
  });

  test("where rows are skipped the copy is of all of them, and the bandwidth of what was moved", () => {
    const [, , line] = linesOf({ ...measured, losses: [{ ...loss, yardstick: 300 }], peers: null });
    expect(line?.timesCopy).toBe(1);
    expect(line?.gigabytesPerSecond).toBeCloseTo(150 / 6 / 1e6, 12);
  });

  test("what is to stay so many microseconds below is said so", () => {
    const [, , line] = linesOf({ ...measured, losses: [{ ...loss, target: { microseconds: 10 } }], peers: null });
    expect(line?.more).toContain(", copy + 3000 µs, at most + 10 µs, kernels alone");
    expect(line?.ceiling).toBeCloseTo((3 + 0.01) / 3, 12);
  });

  test("the table names what was not timed, what is absent and what failed", () => {
    expect(tableOf(measured).split("\n")).toEqual(
      expect.arrayContaining([
        "T 4 × V 5, bf16, in place",
        "  gspo was not timed: DEVICE_FAULT: wrong",
        "  quack is absent: ImportError: nothing",
        "  ppo: PyTorch, eager failed: OutOfMemoryError",
      ]),
    );
  });
});

describe("figures", () => {
  test("a user's loss beside the built-in, round by round, and torch.compile beside both", () => {
    const custom = { ...loss, name: "a user's ppo", milliseconds: [12, 7, 4] };
    const figures = figuresOf({ ...measured, losses: [loss, custom] }, "cpu");
    expect(figures).toEqual([
      { name: "a user's ppo beside ppo, T 4 × V 5", unit: "×", values: [2, 1, 4], atLeast: 0.97, atMost: 1.03 },
      { name: "torch.compile beside ppo, T 4 × V 5", unit: "×", values: [10], atLeast: 8 },
    ]);
    expect(figureLines(figures)).toMatch(/a user's ppo beside ppo, T 4 × V 5 +2\.00 ×, at least 0\.97, at most 1\.03/);
    expect(figuresOf(measured, "cuda:0")).toEqual([expect.objectContaining({ atLeast: null })]);
  });
});

test("a peer that computes another loss is no peer", () => {
  const report = judged({ ...peers, failed: [] }, new Map([["ppo", 3.5]]));
  expect(report.timings).toEqual([]);
  expect(report.failed).toEqual([{ loss: "ppo", peer: "PyTorch, torch.compile", problem: "its loss is 3 instead of 3.5" }]);
  expect(judged({ ...peers, failed: [] }, new Map([["ppo", 3.001]])).failed).toEqual([]);
});
