/** Reductions of rows without an axis: every entry of every token counts once, but for tokens of weight 0 and entries that are not there. */
import { describe, expect, it } from "vitest";
import {
  amax,
  amin,
  count,
  defineLoss,
  type Expr,
  type LossDefinition,
  logsumexp,
  mean,
  REDUCTIONS,
  type Reduction,
  std,
  sum,
  variance,
} from "../../dsl/index.js";
import { compileBatch } from "../../runtime/compiled/compile-batch.js";
import type { CompiledLoss } from "../../runtime/devices/device.js";
import { withoutOptimisation } from "../optimisation.js";
import { onDevices } from "../properties/devices.js";

withoutOptimisation();

const REDUCE: Readonly<Record<Reduction, (x: Expr) => Expr>> = { sum, mean, variance, std, amax, amin, logsumexp, count };
const LOGITS = [1, 2, Number.NEGATIVE_INFINITY, 0.5, 9, Number.NaN, 7, 1, -1, 3, 0, 2];
const COUNTED = [0, 1, 3, 8, 9, 10, 11];
const given = { lengths: [2, 1], logits: LOGITS, target_tokens: [0, 1, 2], weights: [1, 0, 0.5], vocab: 4 };

const total = (xs: readonly number[]) => xs.reduce((a, b) => a + b, 0);
const xs = COUNTED.map((i) => LOGITS[i] as number);
const average = total(xs) / xs.length;
const spread = total(xs.map((x) => (x - average) ** 2)) / (xs.length - 1);
const exps = total(xs.map(Math.exp));
const EXPECTED: Readonly<Record<Reduction, readonly [number, (x: number) => number]>> = {
  sum: [total(xs), () => 1],
  mean: [average, () => 1 / xs.length],
  variance: [spread, (x) => (2 * (x - average)) / (xs.length - 1)],
  std: [Math.sqrt(spread), (x) => (x - average) / (xs.length - 1) / Math.sqrt(spread)],
  amax: [3, (x) => Number(x === 3)],
  amin: [-1, (x) => Number(x === -1)],
  logsumexp: [Math.log(exps), (x) => Math.exp(x) / exps],
  count: [xs.length, () => 0],
};

describe("rows reduced to one scalar", () => {
  onDevices(
    (device) => {
      it("as every entry that counts says", async () => {
        const losses = REDUCTIONS.map((name) =>
          defineLoss({ name, loss: (policy) => REDUCE[name](policy.logits) }),
        ) as unknown as LossDefinition[];
        const compiled = await compileBatch(device(), losses, { dtype: "f32", vocab: 4 });
        for (const [i, name] of REDUCTIONS.entries()) {
          const { loss, gradLogits } = (await (compiled[i] as CompiledLoss).forwardBackward(given)) as {
            loss: number;
            gradLogits: Float32Array;
          };
          const [value, slope] = EXPECTED[name];
          expect(loss, name).toBeCloseTo(value, 5);
          LOGITS.forEach((x, at) => {
            expect(gradLogits[at], `${name}, entry ${at}`).toBeCloseTo(COUNTED.includes(at) ? slope(x) : 0, 5);
          });
        }
      });
    },
    ["reference", "cpu", "emulated", "cuda:0"],
  );
});
