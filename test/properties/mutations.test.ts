/** The tolerances find mutated results: a mistake in the input of a device, or in its answer, is refused. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type AnyRow, ge, gt, le, lt, opRow, where } from "../../dsl/ops/index.js";
import type { ElementwiseOp } from "../../dsl/ops/names.js";
import { evaluateReference } from "../../runtime/reference.js";
import { SEED } from "../sample.js";
import { FLOAT32 } from "./bounds.js";
import { boundsOf, casesOf, hold } from "./compare.js";
import { type Kind, recipes } from "./recipe.js";

const KIND: Kind = { smooth: false, from: "policy_logprobs", groups: true };

interface Mutation {
  readonly name: ElementwiseOp;
  /** Parts of its row that are wrong. */
  readonly change?: Partial<AnyRow>;
  /** Makes an answer wrong. */
  readonly spoil?: (values: number[]) => void;
}

/** How many of a thousand random losses, as many as the suites run on each device, have an answer that is refused; at most `enough`. */
function refused({ name, change = {}, spoil = () => {} }: Mutation, enough: number, losses = 1000): number {
  let found = 0;
  const row = opRow(name) as AnyRow;
  const right = { ...row };
  for (const recipe of fc.sample(recipes(), { seed: SEED, numRuns: losses })) {
    if (found === enough) break;
    const { cases } = casesOf([recipe], KIND, [1 + (recipe.seed % 9)]);
    const [one] = cases as [(typeof cases)[number]];
    const bounds = boundsOf(one.compiled, one.batch, FLOAT32);
    try {
      Object.assign(row, change);
      const { cases: mistaken } = casesOf([recipe], KIND, [1 + (recipe.seed % 9)]);
      const { loss, logprobs, gradient, metrics, outputs } = evaluateReference(
        (mistaken[0] as typeof one).compiled.program,
        one.batch.input,
      );
      const numbers = Array.from(gradient, Math.fround);
      spoil(numbers);
      const got = {
        loss: [loss],
        ...(logprobs && { logprobs }),
        gradient: numbers,
        ...Object.fromEntries(Object.entries(metrics).map(([key, x]) => [`metric ${key}`, [x]])),
        ...Object.fromEntries(Object.entries(outputs).map(([key, x]) => [`output ${key}`, x])),
      };
      hold(got, bounds, 2, { graphs: 0, tight: 0, loose: 0 });
    } catch (error) {
      if (!/ instead of /.test((error as Error).message)) throw error;
      found++;
    } finally {
      Object.assign(row, right);
    }
  }
  return found;
}

describe("the bounds", () => {
  it("allow what is right", () => {
    expect(refused({ name: "add" }, 1, 300)).toBe(0);
  });

  it.each([
    ["a derivative that forgets the square of tanh", "tanh", { gradient: (g) => [g] }],
    [
      "ties of min that go to the first operand",
      "min",
      { gradient: (g, _, a, b) => [where(le(a, b), g, 0), where(lt(b, a), g, 0)] },
    ],
    [
      "ties of max that go to the second operand",
      "max",
      { gradient: (g, _, a, b) => [where(gt(a, b), g, 0), where(ge(b, a), g, 0)] },
    ],
    ["a value that is off by five parts in a million", "mul", { evaluate: (a: number, b: number) => a * b * (1 + 5e-6) }],
    ["a sigmoid of the wrong sign", "sigmoid", { evaluate: (x: number) => 1 / (1 + Math.exp(x)) }],
    ["a comparison that takes equality for less", "lt", { evaluate: (a: number, b: number) => Number(a <= b) }],
  ] satisfies readonly (readonly [string, ElementwiseOp, Partial<AnyRow>])[])("refuse %s", (_, name, change) => {
    expect(refused({ name, change }, 1)).toBe(1);
  });

  it("refuse one entry of a gradient that is off by one part in ten thousand", () => {
    const off = (values: number[]) => {
      values[values.length >> 1] = (values[values.length >> 1] as number) * 1.0001;
    };
    // Most gradients are 0 in that place: masked, or of losses without policy.
    expect(refused({ name: "add", spoil: off }, 16, 300)).toBe(16);
  });
});
