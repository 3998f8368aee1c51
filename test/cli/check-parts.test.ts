/** The parts of `lossc check` that judge: comparisons, finite differences, and what counts as right at a kink. */
import { describe, expect, test } from "vitest";
import { compilePlan } from "../../codegen/compile.js";
import { clamp, defineLoss, exp, type LossDefinition, max, mul, square, sub } from "../../dsl/index.js";
import { worst } from "../../runtime/cli/check-compare.js";
import { expectedOf, referenceInput } from "../../runtime/cli/check-expected.js";
import { type Batch, logprobsOf } from "../../runtime/cli/check-inputs.js";
import { finiteDifferences } from "../../runtime/cli/differences.js";
import { evaluateReference } from "../../runtime/reference.js";

const BASE = {
  case: "a case",
  device: "a device",
  compared: "gradient with reference",
  tolerance: { relative: 1e-3, ofScale: 1e-3 },
  width: 2,
} as const;

describe("worst", () => {
  test("finds the value that is farthest from what is wanted, in units of what is tolerated", () => {
    const found = worst([1, 2, 3.1, 4], [[1, 2, 3, 4]], BASE);
    expect(found).toMatchObject({ token: 1, entry: 0, value: 3.1, wanted: 3, ok: false });
    expect(found.error).toBeCloseTo(0.1 / (3e-3 + 4e-3), 6);
  });

  test("takes the nearest of the alternatives, and leaves out the excluded ones", () => {
    expect(
      worst(
        [1, 5],
        [
          [1, 2],
          [9, 5],
        ],
        BASE,
      ).ok,
    ).toBe(true);
    expect(worst([1, 5], [[1, 2]], { ...BASE, skip: (i) => i === 1 }).ok).toBe(true);
  });

  test("lets NaN and infinities pass only where they are wanted", () => {
    const { NaN: nan, NEGATIVE_INFINITY: infinite } = Number;
    expect(worst([nan, infinite, 1], [[nan, infinite, 1]], BASE).ok).toBe(true);
    for (const value of [nan, infinite]) {
      expect(worst([1, value, 1, 7], [[1, 2, 1, 1]], BASE)).toMatchObject({ ok: false, wanted: 2 });
      expect(worst([1, 2], [[1, value]], BASE).ok).toBe(false);
    }
  });

  test("has nothing to say of nothing", () => {
    expect(worst([], [[]], BASE)).toMatchObject({ token: null, error: 0, ok: true });
  });
});

const LOGITS = [0.5, -1, 2, 1, 0.25, -0.75];
const batch: Batch = { lengths: [2], groups: [1], vocab: 3, logits: LOGITS, target_tokens: [2, 0], inputs: {} };

function differences(loss: unknown) {
  const { program } = compilePlan({ loss: loss as LossDefinition, logits: "f32" });
  const input = referenceInput(batch, {});
  return { ...finiteDifferences(program, input), gradient: evaluateReference(program, input).gradient };
}

describe("finiteDifferences", () => {
  test("are the gradient of a smooth loss, however it bends", () => {
    const { values, kinks, gradient } = differences(
      defineLoss({ name: "bent", loss: (policy) => exp(mul(-3, policy.logprobs)) }),
    );
    expect(kinks.size).toBe(0);
    expect(worst(gradient, values, { ...BASE, tolerance: { relative: 1e-6, ofScale: 1e-6 } }).ok).toBe(true);
  });

  test("know a kink from a bend, exactly at it and beside it", () => {
    const [first = 0] = logprobsOf(batch);
    for (const beside of [0, 1e-8, -3e-7, 1e-6]) {
      const found = differences(defineLoss({ name: "kinked", loss: (policy) => max(policy.logprobs, first + beside) }));
      const { values, kinks, gradient } = found;
      // The row of the first token, but not that of the second.
      expect([...kinks].every((i) => i < 3)).toBe(true);
      if (Math.abs(beside) < 1e-7) expect(kinks.has(2)).toBe(true);
      const skip = (i: number) => kinks.has(i);
      expect(worst(gradient, values, { ...BASE, width: 3, tolerance: { relative: 1e-6, ofScale: 1e-6 }, skip }).ok).toBe(true);
    }
    expect(differences(defineLoss({ name: "far", loss: (policy) => max(policy.logprobs, first + 1e-3) })).kinks.size).toBe(0);
    expect(
      differences(defineLoss({ name: "touching", loss: (policy) => square(max(sub(policy.logprobs, first), 0)) })).kinks.size,
    ).toBe(0);
  });
});

describe("expectedOf", () => {
  test("takes either side of a kink, and the halves of a tie", () => {
    const [first = 0] = logprobsOf(batch);
    const loss = defineLoss({
      name: "kinked",
      loss: (policy) => clamp(policy.logprobs, first + 1e-7, 0),
    }) as unknown as LossDefinition;
    const tie = defineLoss({ name: "tied", loss: (policy) => max(policy.logprobs, first + 1e-7) }) as unknown as LossDefinition;
    const slopes = (x: LossDefinition) => {
      const { program } = compilePlan({ loss: x, logits: "f32" });
      return new Set(expectedOf(program, { name: "", batch }, {}).gradients.map((g) => (g[2] as number).toFixed(4)));
    };
    const p = Math.exp(first);
    expect(slopes(loss)).toEqual(new Set(["0.0000", (1 - p).toFixed(4)]));
    expect(slopes(tie)).toEqual(new Set(["0.0000", ((1 - p) / 2).toFixed(4), (1 - p).toFixed(4)]));
  });
});
