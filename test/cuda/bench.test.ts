/**
 * `lossc bench` on the fake GPU: the whole way of a GPU, from rows made there to the figures. Times of an emulator say nothing; that all of it is
 * there does. A sample has two rows of the table, for every row is compiled as a GPU's and run lane by lane.
 */
import { beforeAll, expect, test } from "vitest";
import type { GeometryTimings } from "../../bench/geometries.js";
import type { HeadMeasured } from "../../bench/head.js";
import { KERNELS_MARK, PRELUDE_MARK } from "../../codegen/emit/index.js";
import { lossc, result } from "../cli/lossc.js";
import { ALL } from "../sample.js";
import { fakeMachine } from "./machine.js";

const machine = fakeMachine();

beforeAll(async () => {
  // The built command line has a prelude of its own: it may be older or newer than the sources.
  const { stdout } = await lossc(["emit", "ppo", "--target", "emulated"]);
  machine.prelude = stdout.slice(stdout.indexOf(PRELUDE_MARK) + PRELUDE_MARK.length, stdout.indexOf(KERNELS_MARK));
});

interface Report {
  readonly device: string;
  readonly shapes: readonly {
    readonly vocab: number;
    readonly dtype: string;
    readonly copies: readonly { readonly name: string; readonly bytes: number; readonly milliseconds: readonly number[] }[];
    readonly losses: readonly {
      readonly name: string;
      readonly bytes: number;
      readonly yardstick: number;
      readonly sweeps: number;
      readonly milliseconds: readonly number[];
      readonly launches: { readonly milliseconds: readonly number[] };
    }[];
    readonly peers: unknown;
  }[];
  readonly figures: readonly { readonly name: string; readonly unit: string; readonly values: readonly number[] }[];
}

test.runIf(ALL)("every loss, both copies and every other figure", async () => {
  machine.take();
  const report = await result<Report>(["bench", "--device", "cuda:0", "--quick", "--rounds", "1", "--no-peers", "--json"]);
  expect(report.device).toBe("cuda:0");
  expect(report.shapes.map(({ vocab, dtype, peers }) => [vocab, dtype, peers])).toEqual([
    [1024, "bf16", null],
    [1025, "bf16", null],
    [64, "bf16", null],
  ]);
  const [{ copies, losses }] = report.shapes as [Report["shapes"][number]];
  const entries = 64 * 1024;
  expect(copies.map(({ name, bytes, milliseconds }) => [name, bytes, milliseconds.length])).toEqual([
    ["copy, the driver's", 4 * entries, 1],
    ["copy, 16-byte kernel", 4 * entries, 1],
  ]);
  const perEntry = (bytes: number) => Math.floor(bytes / entries);
  expect(losses.map(({ name, sweeps, bytes, yardstick }) => [name, sweeps, perEntry(bytes), perEntry(yardstick)])).toEqual([
    ["cross_entropy", 1, 4, 4],
    ["ppo", 1, 4, 4],
    ["a user's ppo", 1, 4, 4],
    ["ppo half masked", 1, 3, 4],
    ["gspo", 2, 6, 6],
    ["variance", 2, 6, 6],
    ["forward_kl", 1, 6, 6],
  ]);
  for (const { milliseconds, launches } of losses) expect([milliseconds.length, launches.milliseconds.length]).toEqual([1, 1]);
  expect(report.figures.map(({ name, unit }) => [name, unit])).toEqual([
    ["a user's ppo beside ppo, T 64 × V 1024", "×"],
    // Peak memory is not read: a GPU's is not the process's.
    ...["cross_entropy", "ppo", "gspo"].map((name) => [`${name} from hidden states beside three products and a sweep`, "×"]),
    ["forwardBackward beyond its kernels, T 16 × V 64", "µs"],
    ["its kernels", "µs"],
    ["definition to loaded kernel, never seen, one row", "ms"],
    ["the same, cached, one row", "ms"],
    ["definition to loaded kernel, never seen, two rows", "ms"],
    ["the same, cached, two rows", "ms"],
  ]);
  const { entries: calls } = machine.take();
  // Rows are made on the device, laid down there and judged by a few of them: nothing of their size comes from the host or goes there.
  const largest = (call: string) => Math.max(...calls.flatMap((entry) => (entry.call === call ? [entry.bytes as number] : [])));
  expect(largest("cuMemcpyDtoDAsync_v2")).toBe(2 * entries);
  expect(Math.max(largest("cuMemcpyHtoDAsync_v2"), largest("cuMemcpyDtoHAsync_v2"))).toBeLessThan(8192);
  // New texts are compiled and cached ones are not: three rounds of warm-up and one, of one row and of two.
  const seen = calls.filter(({ call }) => call === "nvrtcCompileProgram").length;
  const loaded = calls.filter(({ call }) => call === "cuModuleLoadData").length;
  expect(loaded - seen).toBe(8);
});

test("failures are reported beside results, and set the exit code", async () => {
  const run = await lossc(["bench", "--quick", "--rounds", "1", "--no-peers", "--rows", "cross_entropy,ppo"], {
    // After the data, the copy and cross_entropy: ppo's first.
    env: { LOSSC_FAKE_FAIL: "cuLaunchKernel:1:5" },
  });
  expect(run.code).toBe(1);
  expect(run.stdout).toMatch(/^ {2}ppo was not timed: DEVICE_FAULT: launching kernel k0 failed/m);
  expect(run.stdout.match(/^ {2}(cross_entropy|ppo) .* × copy/gm)).toHaveLength(3);
  expect(run.stderr).toMatch(/^lossc: ppo, T 64 × V 1024 was not timed: DEVICE_FAULT: .*\n$/);
});

test.runIf(ALL)("other geometries beside the table's", async () => {
  const { shapes, figures, geometries } = await result<Report & { geometries: readonly GeometryTimings[] }>([
    ...["bench", "--device", "cuda:0", "--quick", "--rounds", "1", "--rows", "geometries", "--json"],
  ]);
  expect([shapes, figures]).toEqual([[], []]);
  expect(geometries.map(({ loss, vocab }) => [loss, vocab])).toEqual([
    ["ppo", 1024],
    ["gspo", 1024],
    ["forward_kl", 1024],
    ["ppo", 1025],
    ["ppo", 64],
  ]);
  for (const { loss, copy, geometries: found, failed } of geometries) {
    expect(failed, loss).toEqual([]);
    expect(copy).toBeGreaterThan(0);
    expect(found.map(({ milliseconds }) => milliseconds.length)).toEqual([1, 1, 1]);
    expect(new Set(found.map(({ spread }) => JSON.stringify(spread))).size).toBe(3);
  }
});

test.runIf(ALL)("losses from hidden states, with the products of cuBLAS", async () => {
  machine.take();
  const report = await result<{ head: HeadMeasured; shapes: object[] }>([
    ...["bench", "--device", "cuda:0", "--quick", "--rounds", "2", "--no-peers", "--rows", "head", "--json"],
  ]);
  expect(report.shapes).toEqual([]);
  expect(report.head).toMatchObject({ dtype: "bf16", yardstick: "three products and a sweep", failed: [], peers: null });
  const { products, sweep, losses } = report.head;
  expect([products.length, sweep.length]).toEqual([2, 2]);
  expect(losses.map(({ name, milliseconds, peakBytes }) => [name, milliseconds.length, peakBytes])).toEqual([
    ["cross_entropy", 2, null],
    ["ppo", 2, null],
    ["gspo", 2, null],
  ]);
});

test("a GPU that PyTorch does not see is an absent peer", async () => {
  const { stdout, code } = await lossc(["bench", "--quick", "--rounds", "1", "--rows", "ppo"], {
    env: { LOSSC_PYTHON: "/nowhere/python3" },
  });
  expect(code).toBe(0);
  expect(stdout).toContain("Fake GPU 0");
  expect(stdout).toMatch(/^ {2}PyTorch is absent: .*ENOENT/m);
});
