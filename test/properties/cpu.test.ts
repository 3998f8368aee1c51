/** Value and gradient of random losses on every device that runs kernels, a hundred to a unit, against what float32 arithmetic allows. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { casesOf, checkUnit, type Tally } from "./compare.js";
import { onDevices } from "./devices.js";
import { type Kind, recipes } from "./recipe.js";
import { many, SEED } from "./settings.js";

const UNIT = 100;
const VOCABS = [1, 2, 7, 16, 37, 70];

const KINDS: readonly (Kind & { readonly units: number })[] = [
  { smooth: false, from: "logits", groups: false, units: 2 },
  { smooth: false, from: "logits", groups: true, units: 1 },
  { smooth: false, from: "policy_logprobs", groups: false, units: 3 },
  { smooth: false, from: "policy_logprobs", groups: true, units: 1 },
];

describe("random losses", () => {
  onDevices((device) => {
    for (const kind of KINDS) {
      it(`from ${kind.from}${kind.groups ? ", with groups" : ""}`, { timeout: 600_000 }, async () => {
        const tally: Tally = { graphs: 0, tight: 0, loose: 0 };
        const unit = fc.array(recipes(), { minLength: UNIT, maxLength: UNIT });
        await fc.assert(
          fc.asyncProperty(unit, async (drawn) => {
            const { cases, make } = casesOf(drawn, kind, VOCABS);
            await checkUnit(cases, await make(device()), tally);
          }),
          // A failing loss is printed as it is: compiling smaller ones one by one would take longer than reading it.
          { seed: SEED, numRuns: many(kind.units), endOnFailure: true, includeErrorInReport: true },
        );
        expect(tally.graphs).toBe(many(kind.units) * UNIT);
        expect(tally.tight).toBeGreaterThan(3 * tally.loose);
      });
    }
  });
});
