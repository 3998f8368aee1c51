/**
 * A row that is spread over the blocks of a cluster gives what it gives in one block, to rounding: for every loss of the catalogue, at vocabularies
 * around the borders of packets, of what a warp takes at once and of what its parts share out, on the chip and read again in every phase.
 */
import { expect, onTestFinished, test, vi } from "vitest";
import { compilePlan } from "../../codegen/compile.js";
import type { RowShape, Sharing } from "../../codegen/emit/geometry.js";
import type { LossDefinition } from "../../dsl/index.js";
import type { NativeDevice } from "../../runtime/addon/native.js";
import type { Device, LossResult } from "../../runtime/devices/device.js";
import { openDevice } from "../../runtime/index.js";
import { goldenLosses } from "../codegen/golden-losses.js";
import { withoutOptimisation } from "../optimisation.js";
import { sampled } from "../sample.js";
import { completeBatch, LENGTHS } from "./batch.js";
import { openMutated } from "./mutations.js";

/** The geometry of every row, where it is set. */
const forced = vi.hoisted(() => ({ spread: null as Sharing | null }));
vi.mock("../../codegen/emit/geometry.js", async (original) => {
  const geometry = await original<typeof import("../../codegen/emit/geometry.js")>();
  return {
    ...geometry,
    spreadOf: (architecture: string, shape: RowShape) =>
      forced.spread ? geometry.sized(forced.spread, shape) : geometry.spreadOf(architecture, shape),
  };
});

withoutOptimisation();

async function run(device: Device, loss: LossDefinition, vocab: number, spread: Sharing): Promise<LossResult> {
  forced.spread = spread;
  onTestFinished(() => {
    forced.spread = null;
  });
  return await (await device.compile(loss)).forwardBackward(
    completeBatch(loss, vocab, "f32").inputs(),
    {},
    { nonFinite: "propagate" },
  );
}

/** To rounding: the sums meet in another order, a power of two whose exponent is 16 is as exact as 2^-20, and what cancels loses some digits. */
function expectNear(found: ArrayLike<number>, wanted: ArrayLike<number>, what: string): void {
  const scale = Math.max(...Array.from(wanted, (x) => (Number.isFinite(x) ? Math.abs(x) : 0)), 1e-30);
  for (let i = 0; i < wanted.length; i++) {
    const [x, y] = [found[i] as number, wanted[i] as number];
    const near = Object.is(x, y) || x === y || Math.abs(x - y) <= 2e-5 * Math.abs(y) + 4e-6 * scale;
    if (!near) expect.fail(`${what}, ${i}: ${x} instead of ${y}`);
  }
}

const block = { threads: 64, lanes: 64, resident: true };
/** Parts of a row in several blocks, kept on the chip or read again, and in some lanes of a warp. */
const SPREADS: readonly Sharing[] = [
  ...[2, 4, 8].map((cluster) => ({ ...block, cluster })),
  { ...block, cluster: 4, resident: false },
  { threads: 64, lanes: 2, cluster: 1, resident: true },
  { threads: 64, lanes: 16, cluster: 1, resident: true },
];
/** A packet more or less than a warp takes at once, of two warps and of those of eight blocks; and rows with fewer packets than there are parts. */
const VOCABS = [5, 127, 128, 129, 257, 1023, 1024, 1025, 2050];

test.each(Object.entries(goldenLosses))("%s gives the same in one block as in many", async (name, loss) => {
  await using device = await openDevice("emulated");
  const spreads = sampled(`spreads of ${name}`, 2, SPREADS);
  for (const vocab of sampled(`vocabularies of ${name}`, 3, VOCABS)) {
    const one = await run(device, loss, vocab, { ...block, cluster: 1 });
    for (const spread of spreads) {
      const other = await run(device, loss, vocab, spread);
      const what = `V ${vocab}, ${JSON.stringify(spread)}`;
      expectNear([other.loss], [one.loss], `loss, ${what}`);
      expectNear(other.logprobs as Float32Array, one.logprobs as Float32Array, `logprob, ${what}`);
      expectNear(other.gradLogits as Float32Array, one.gradLogits as Float32Array, `gradient, ${what}`);
      expect(other.launches, name).toBe(one.launches);
    }
  }
});

/** A row in several blocks, one that is read again, and one in some lanes of a warp. */
const RACED: readonly (readonly [vocab: number, Sharing])[] = [
  [1025, { ...block, cluster: 4 }],
  [513, { ...block, cluster: 1, resident: false }],
  [67, { threads: 64, lanes: 8, cluster: 1, resident: true }],
];

test.each(Object.entries(goldenLosses))("%s races with nobody, and touches the bytes that its plan says", async (name, loss) => {
  const device = await openMutated(7, null, true);
  const { native } = device as { native: NativeDevice };
  const { plan } = compilePlan({ loss, logits: "f32" });
  const tokens = LENGTHS.reduce((a, b) => a + b);
  for (const [vocab, spread] of sampled(`races of ${name}`, 1, RACED)) {
    const before = native.bytesRead + native.bytesWritten;
    await run(device, loss, vocab, spread);
    const touched = native.bytesRead + native.bytesWritten - before;
    const rows = plan.bytes.perEntry * vocab * tokens;
    // Each entry once. Beside them a few numbers per token, some of which the folds over tokens read again, and what these leave behind.
    expect(touched).toBeLessThanOrEqual(rows + 3 * plan.bytes.perToken * tokens + 256);
    // Where nothing stays on the chip, a row whose gradient is 0 is not even read for it.
    if (spread.resident || plan.sweeps === 1) expect(touched).toBeGreaterThanOrEqual(rows);
  }
});
