/** `reference` against central finite differences, on thousands of random losses. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { compilePlan } from "../../codegen/compile.js";
import { type AnyRow, opRow } from "../../dsl/ops/index.js";
import type { ElementwiseOp } from "../../dsl/ops/names.js";
import { evaluateReference } from "../../runtime/reference.js";
import { many, SEED } from "../sample.js";
import { batchOf } from "./batch.js";
import { type Kind, lossOf, type Recipe, recipes } from "./recipe.js";

const STEP = 2 ** -14;
/** Losses of each kind. */
const RUNS = many(200, 500);
/** Entries of one loss that are tried. */
const TRIED = 4;

interface Tally {
  checked: number;
  kinks: number;
}

/** Compares some entries of the gradient; throws at the first that differs. */
function check(recipe: Recipe, kind: Kind, tally: Tally): void {
  const { loss, text } = lossOf(recipe, kind);
  const { program } = compilePlan({ loss, logits: kind.from === "logits" ? "f32" : null });
  const { input } = batchOf(recipe.seed, { ...kind, vocab: 1 + (recipe.seed % 5) });
  const at = input.logits ?? (input.policyLogprobs as Float64Array);
  const { gradient, loss: value } = evaluateReference(program, input);
  if (!Number.isFinite(value)) return;
  for (let n = 0; n < Math.min(TRIED, at.length); n++) {
    const i = (recipe.seed + n * 7919) % at.length;
    const centre = at[i] as number;
    let largest = Math.abs(value);
    const shifted = (h: number) => {
      at[i] = centre + h;
      const result = evaluateReference(program, input).loss;
      largest = Math.max(largest, Math.abs(result));
      return result;
    };
    const slope = (h: number) => (shifted(h) - shifted(-h)) / (2 * h);
    const [coarse, fine] = [slope(STEP), slope(STEP / 2)];
    const onesided = [shifted(STEP / 2) - value, value - shifted(-STEP / 2)].map((d) => d / (STEP / 2)) as [number, number];
    at[i] = centre;
    // At a kink the slopes to both sides differ by more than curvature explains; there the conventions hold, which other tests check.
    const bend = Math.abs(onesided[0] - onesided[1]);
    const rounding = ((largest + 1) * 1e-12) / STEP;
    if (!Number.isFinite(bend) || bend > 0.01 * (Math.abs(fine) + 1) || Math.abs(coarse - fine) > 1e-3 * (Math.abs(fine) + 1)) {
      tally.kinks++;
      continue;
    }
    tally.checked++;
    // Richardson: the error of the finer slope is about a third of what it moved.
    const tolerance = 2 * Math.abs(coarse - fine) + rounding + 1e-6 * Math.abs(fine);
    const computed = gradient[i] as number;
    if (!(Math.abs(computed - fine) <= tolerance)) {
      throw new Error(
        `entry ${i}: the gradient is ${computed}, finite differences say ${fine} ± ${tolerance}\n${text()}\nlengths ${input.lengths}`,
      );
    }
  }
}

const KINDS: readonly Kind[] = (["logits", "policy_logprobs"] as const).flatMap((from) =>
  [false, true].flatMap((groups) =>
    [false, true].slice(0, from === "logits" ? 2 : 1).map((rows) => ({ smooth: true, from, groups, rows })),
  ),
);

describe("the gradient on reference is the slope of the loss", () => {
  for (const kind of KINDS) {
    it(`from ${kind.from}${kind.rows ? ", with expressions of rows" : ""}${kind.groups ? ", with groups" : ""}`, () => {
      const tally: Tally = { checked: 0, kinks: 0 };
      fc.assert(
        fc.property(recipes(), (recipe) => check(recipe, kind, tally)),
        { seed: SEED, numRuns: RUNS, includeErrorInReport: true },
      );
      // A check that skips most of what it sees would prove little.
      expect(tally.checked).toBeGreaterThan(RUNS);
      expect(tally.kinks).toBeLessThan(0.2 * tally.checked);
    });
  }
});

/** Runs with one row of the table changed, as a mistake would. */
function withMistake(name: ElementwiseOp, change: Partial<AnyRow>, run: () => void): void {
  const row = opRow(name) as AnyRow;
  const right = { ...row };
  try {
    Object.assign(row, change);
    run();
  } finally {
    Object.assign(row, right);
  }
}

describe("a wrong derivative is found", () => {
  for (const name of ["tanh", "mul", "sigmoid", "softplus", "div", "min"] as const) {
    it(`of ${name}`, () => {
      const right = (opRow(name) as AnyRow).gradient as NonNullable<AnyRow["gradient"]>;
      const swapped: NonNullable<AnyRow["gradient"]> = (g, self, ...operands) => {
        const parts = right(g, self, ...operands);
        // Of one operand: the adjoint itself; of several: each other's.
        return parts.length === 1 ? [g] : [...parts].reverse();
      };
      withMistake(name, { gradient: swapped }, () => {
        const kind = { smooth: true, from: "policy_logprobs", groups: false } as const;
        expect(() =>
          fc.assert(
            fc.property(recipes(), (recipe) => check(recipe, kind, { checked: 0, kinks: 0 })),
            { seed: SEED, numRuns: 500, endOnFailure: true, includeErrorInReport: true },
          ),
        ).toThrow(/finite differences say/);
      });
    });
  }
});
