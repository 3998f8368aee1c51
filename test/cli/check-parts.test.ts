/** The parts of `lossc check` that judge: comparisons, finite differences, and what counts as right at a kink. */
import { describe, expect, test } from "vitest";
import { compilePlan } from "../../codegen/compile.js";
import { clamp, defineLoss, exp, type LossDefinition, max, mul, square, sub } from "../../dsl/index.js";
import { countsOf, type Outcome, outcomeOf, type Reason, worst } from "../../runtime/cli/check-compare.js";
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
    expect(found).toMatchObject({ token: 1, entry: 0, value: 3.1, wanted: 3, outcome: "wrong" });
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
      ).outcome,
    ).toBe("within tolerance");
    expect(worst([1, 5], [[1, 2]], { ...BASE, skip: (i) => i === 1 }).outcome).toBe("within tolerance");
  });

  test("lets NaN and infinities pass only where they are wanted", () => {
    const { NaN: nan, NEGATIVE_INFINITY: infinite } = Number;
    expect(worst([nan, infinite, 1], [[nan, infinite, 1]], BASE).outcome).toBe("within tolerance");
    for (const value of [nan, infinite]) {
      expect(worst([1, value, 1, 7], [[1, 2, 1, 1]], BASE)).toMatchObject({ outcome: "wrong", wanted: 2 });
      expect(worst([1, 2], [[1, value]], BASE).outcome).toBe("wrong");
    }
  });

  test("counts what stands at a kink, and is wrong of everything else alone", () => {
    const undecided = (i: number) => i === 1;
    expect(worst([1, 5], [[1, 2]], { ...BASE, undecided })).toMatchObject({
      outcome: "within tolerance",
      reason: "at a kink",
      leftOut: 1,
      of: 2,
    });
    expect(worst([1, 2], [[1, 2]], { ...BASE, undecided })).toMatchObject({
      outcome: "within tolerance",
      reason: null,
      leftOut: 0,
    });
    expect(worst([3, 5], [[1, 2]], { ...BASE, undecided })).toMatchObject({ outcome: "wrong", value: 3, leftOut: 1 });
    expect(worst([5], [[1]], { ...BASE, undecided: () => true })).toMatchObject({ outcome: "not comparable", leftOut: 1 });
  });

  test("takes the scale of what is compared from what is left out", () => {
    expect(
      worst([1, 1e9], [[1.1, 1e9]], { ...BASE, tolerance: { relative: 0, ofScale: 1e-6 }, skip: (i) => i === 1 }).outcome,
    ).toBe("wrong");
  });

  test("has nothing to say of nothing", () => {
    expect(worst([], [[]], BASE)).toMatchObject({ token: null, error: 0, outcome: "within tolerance" });
  });
});

const LOGITS = [0.5, -1, 2, 1, 0.25, -0.75];
const batch: Batch = { lengths: [2], groups: [1], vocab: 3, logits: LOGITS, target_tokens: [2, 0], inputs: {} };

function differences(loss: unknown) {
  const { program } = compilePlan({ loss: loss as LossDefinition, logits: "f32" });
  const input = referenceInput(batch, {});
  return { ...finiteDifferences(program, input), gradient: evaluateReference(program, input).gradient };
}

describe("outcomeOf", () => {
  const one = (outcome: Outcome, reason: Reason | null = null) => ({ ...worst([], [[]], BASE), outcome, reason });
  test("says that everything is within tolerance where something could not be compared", () => {
    const [well, wrong] = [one("within tolerance"), one("wrong")];
    const [kink, infinite] = [one("not comparable", "at a kink"), one("not comparable", "not finite")];
    expect(outcomeOf([well, well])).toBe("within tolerance");
    expect(outcomeOf([well, kink])).toBe("not comparable");
    expect(outcomeOf([well, infinite])).toBe("not comparable");
    expect(outcomeOf([well, kink, wrong])).toBe("wrong");
    expect(countsOf([well, well, wrong, kink, infinite, infinite])).toEqual({ within: 2, wrong: 1, atKink: 1, notFinite: 2 });
  });
});

describe("finiteDifferences", () => {
  test("are the gradient of a smooth loss, however it bends", () => {
    const { values, kinks, gradient } = differences(
      defineLoss({ name: "bent", loss: (policy) => exp(mul(-3, policy.logprobs)) }),
    );
    expect(kinks.size).toBe(0);
    expect(worst(gradient, values, { ...BASE, tolerance: { relative: 1e-6, ofScale: 1e-6 } }).outcome).toBe("within tolerance");
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
      expect(worst(gradient, values, { ...BASE, width: 3, tolerance: { relative: 1e-6, ofScale: 1e-6 }, skip }).outcome).toBe(
        "within tolerance",
      );
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
    // Of a comparison that no input of the policy's is in, and of one that is far from both sides, nothing is undecided.
    const undecided = (x: LossDefinition) => {
      const { program } = compilePlan({ loss: x, logits: "f32" });
      return [...expectedOf(program, { name: "", batch }, {}).undecided.gradient];
    };
    expect(undecided(loss)).toEqual([0, 1, 2]);
    const far = defineLoss({ name: "far", loss: (policy) => max(policy.logprobs, first + 1e-3) }) as unknown as LossDefinition;
    const equal = defineLoss({
      name: "equal",
      loss: (policy) => max(policy.logprobs, policy.logprobs),
    }) as unknown as LossDefinition;
    expect([...undecided(far), ...undecided(equal)]).toEqual([]);
    expect(slopes(loss)).toEqual(new Set(["0.0000", (1 - p).toFixed(4)]));
    expect(slopes(tie)).toEqual(new Set(["0.0000", ((1 - p) / 2).toFixed(4), (1 - p).toFixed(4)]));
  });
});
