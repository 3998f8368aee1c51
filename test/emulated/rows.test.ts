/** Rows of every length near the borders of packets, warps and geometries, of every dtype, beginning at any alignment, in place. */

import { expect, test } from "vitest";
import { spreadOf } from "../../codegen/emit/geometry.js";
import type { LossDefinition } from "../../dsl/index.js";
import { ppo } from "../../losses/index.js";
import { coreLosses } from "../codegen/golden-losses.js";
import { withoutOptimisation } from "../optimisation.js";
import { eachDevice } from "../runtime/support.js";
import { agrees, batchOf, gradientOf, inputsFor } from "./batch.js";

withoutOptimisation();

const DTYPES = ["f32", "bf16", "f16"] as const;
const SHORT = Array.from({ length: 40 }, (_, i) => i + 1);
/** Around where lanes, blocks and clusters take over from one another, and of no alignment at all. */
const LONG = [
  60, 61, 63, 92, 93, 188, 189, 255, 257, 380, 381, 764, 765, 1023, 2044, 2045, 4097, 6500, 8193, 16385, 32771, 65537, 151937,
  262147,
];

test("the lengths go through every geometry of rows that stay on the chip", () => {
  const spreads = [...SHORT, ...LONG].map((vocab) => spreadOf("sm_90", { vocab, entryBytes: [4], values: 2 }));
  expect([...new Set(spreads.map(({ lanes }) => lanes))]).toEqual([2, 4, 8, 16, 32, 64, 128, 256, 512]);
  expect([...new Set(spreads.map(({ cluster }) => cluster))]).toEqual([1, 2, 4, 8]);
});

eachDevice(
  (open) => {
    test.each(DTYPES)("%s rows of 1 to 40 entries", async (dtype) => {
      const device = await open();
      for (const vocab of SHORT) await agrees(device, ppo, batchOf([4, 0, 5], vocab, dtype, false, vocab));
    });

    test.each(DTYPES)("%s rows at the borders of packets and geometries", async (dtype) => {
      const device = await open();
      for (const vocab of LONG) await agrees(device, ppo, batchOf([1, 2], vocab, dtype, false, vocab));
    });

    test.each(["variance", "sequence-policy"] as const)("%s, in some geometries", async (loss) => {
      const device = await open();
      for (const vocab of [1, 7, 300, 1025, 16385]) {
        await agrees(device, coreLosses[loss], batchOf([3, 1, 2], vocab, "bf16", loss === "sequence-policy", vocab));
      }
    });

    test.each(DTYPES)("%s: a row has the same bits wherever it begins", async (dtype) => {
      const device = await open();
      for (const vocab of [5, 150, 1025, 5001]) {
        const one = inputsFor(ppo, batchOf([1], vocab, dtype, false).inputs());
        const copies = 9;
        const repeat = <A extends Float32Array | Uint16Array | Int32Array>(array: A): A => {
          const all = new (array.constructor as new (length: number) => A)(array.length * copies);
          for (let i = 0; i < copies; i++) all.set(array, i * array.length);
          return all;
        };
        const logits = one.logits as Float32Array | { data: Uint16Array; dtype: "bf16" | "f16" };
        const many = {
          ...one,
          lengths: [copies],
          logits: "data" in logits ? { data: repeat(logits.data), dtype: logits.dtype } : repeat(logits),
          target_tokens: repeat(one.target_tokens as Int32Array),
          logprobs: repeat(one.logprobs as Float32Array),
          advantages: repeat(one.advantages as Float32Array),
        };
        const compiled = await device.compile<LossDefinition>(ppo, { dtype });
        const [alone, together] = [await compiled.forwardBackward(one), await compiled.forwardBackward(many)];
        expect(together.logprobs).toEqual(repeat(alone.logprobs as Float32Array));
        expect(together.gradLogits).toEqual(repeat(alone.gradLogits as Float32Array | Uint16Array));
        expect(gradientOf(together.gradLogits as Uint16Array, dtype).length).toBe(copies * vocab);
      }
    });
  },
  ["emulated", "cuda:0"],
);
