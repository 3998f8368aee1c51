/** Lowering and simplification keep the value of every random graph: both sides in float64, allowed no more than float64 loses. */
import fc from "fast-check";
import { expect, it } from "vitest";
import { evaluateReference } from "../../runtime/reference.js";
import { many, SEED } from "../sample.js";
import { FLOAT64 } from "./bounds.js";
import { boundsOf, casesOf, describe, hold, type Tally } from "./compare.js";
import { recipes } from "./recipe.js";

for (const [from, rows] of [
  ["logits", false],
  ["logits", true],
  ["policy_logprobs", false],
] as const) {
  for (const groups of [false, true]) {
    it(`keeps values from ${from}${rows ? ", with expressions of rows" : ""}${groups ? ", with groups" : ""}`, () => {
      const tally: Tally = { graphs: 0, tight: 0, loose: 0 };
      fc.assert(
        fc.property(recipes(), (recipe) => {
          const { cases } = casesOf([recipe], { smooth: false, from, groups, rows }, [1 + (recipe.seed % 6)]);
          const [one] = cases as [(typeof cases)[number]];
          const reference = evaluateReference(one.compiled.program, one.batch.input);
          const got = {
            loss: [reference.loss],
            ...(reference.logprobs && { logprobs: reference.logprobs }),
            gradient: reference.gradient,
            ...Object.fromEntries(Object.entries(reference.metrics).map(([key, x]) => [`metric ${key}`, [x]])),
            ...Object.fromEntries(Object.entries(reference.outputs).map(([key, x]) => [`output ${key}`, x])),
          };
          try {
            hold(got, boundsOf(one.compiled, one.batch, FLOAT64), 16, tally, !rows);
          } catch (error) {
            throw new Error(`${(error as Error).message}\n${describe(one)}`);
          }
        }),
        { seed: SEED, numRuns: many(200, 500), includeErrorInReport: true },
      );
      expect(tally.tight).toBeGreaterThan(4 * tally.loose);
    });
  }
}
