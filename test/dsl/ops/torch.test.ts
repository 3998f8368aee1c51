/**
 * `reference` against torch at ties, kinks and the ends of functions. `test/fixtures/torch_kinks.py` made the file.
 *
 * On purpose unlike torch, by the language's own rules: `where` sends nothing to the branch not taken and an adjoint of 0 stays 0 (torch: 0 · inf is
 * NaN); both have tests of their own below.
 */
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import {
  amax,
  amin,
  defineLoss,
  div,
  type Expr,
  exp,
  gt,
  type LossDefinition,
  log,
  logsumexp,
  mean,
  mul,
  type Reduction,
  sqrt,
  square,
  std,
  sum,
  variance,
  where,
} from "../../../dsl/index.js";
import type { ElementwiseOp } from "../../../dsl/ops/names.js";
import { opened } from "../../properties/devices.js";
import { lossesOf } from "./losses.js";

type Wire = number | "NaN" | "Infinity" | "-Infinity";
interface Fixture {
  readonly elementwise: readonly { op: string; operands: readonly Wire[]; value: Wire; gradient: readonly (Wire | null)[] }[];
  readonly reductions: readonly { op: Reduction; values: readonly Wire[]; value: Wire; gradient: readonly Wire[] }[];
}
const fixture = JSON.parse(readFileSync(new URL("../../fixtures/torch-kinks.json", import.meta.url), "utf8")) as Fixture;

const device = await opened("reference");

/** Where lossc decides otherwise, and why. */
const OTHERWISE: Readonly<Record<string, readonly number[]>> = {
  // torch takes 1 − σ and 1 + expm1, which lose what is left of the derivative.
  "expm1 at -40": [Math.exp(-40)],
  "sigmoid at 40": [1 / (1 + Math.exp(40))],
};

function same(computed: number | undefined, expected: number, what: string): void {
  if (Number.isFinite(expected) && Math.abs((computed as number) - expected) <= 1e-9 * Math.abs(expected)) return;
  // The sign of a zero in a gradient is not compared.
  expect((computed as number) + 0, what).toBe(expected + 0);
}

describe("elementwise ops as in torch", () => {
  it.each(fixture.elementwise.map((entry) => [`${entry.op} at ${entry.operands.join(", ")}`, entry] as const))(
    "%s",
    async (what, entry) => {
      const operands = entry.operands.map(Number);
      const constants = entry.gradient.map((g, i) => (g === null ? operands[i] : undefined));
      const losses = lossesOf(entry.op.replace(" constant", "") as ElementwiseOp, operands.length, constants);
      const compiled = await Promise.all(losses.map((loss) => device.compile(loss)));
      // In float64, as torch had it.
      const gradients: (number | undefined)[] = [];
      let value = Number.NaN;
      for (const [k, loss] of compiled.entries()) {
        const column = (i: number) => Float64Array.of(operands[i] ?? 0);
        const result = await loss.forwardBackward(
          { lengths: [1], policy_logprobs: column(k), x: column(0), y: column(1), z: column(2) },
          {},
          { nonFinite: "propagate" },
        );
        value = result.loss;
        gradients.push((result.gradLogprobs as Float64Array)[0]);
      }
      same(value, Number(entry.value), `the value of ${what}`);
      const expected = OTHERWISE[what] ?? entry.gradient;
      expected.forEach((g, k) => {
        if (g !== null) same(gradients[k], Number(g), `the gradient of operand ${k} of ${what}`);
      });
    },
  );
});

const REDUCE: Partial<Record<Reduction, typeof sum>> = { amax, amin, std, variance, logsumexp, mean, sum };
const reductionLoss = (op: Reduction, axis?: "tokens") =>
  defineLoss({ name: op, loss: (policy) => (REDUCE[op] as typeof sum)(policy.logprobs, axis) }) as unknown as LossDefinition;

describe("reductions as in torch", () => {
  for (const axis of [undefined, "tokens"] as const) {
    it.each(fixture.reductions.map((entry) => [`${entry.op} of ${entry.values.join(", ")}`, entry] as const))(
      `%s${axis ? " per sequence" : ""}`,
      async (what, entry) => {
        const compiled = await device.compile(reductionLoss(entry.op, axis));
        const policy_logprobs = Float64Array.from(entry.values, Number);
        const { loss, gradLogprobs } = await compiled.forwardBackward(
          { lengths: [policy_logprobs.length], policy_logprobs },
          {},
          { nonFinite: "propagate" },
        );
        same(loss, Number(entry.value), `the value of ${what}`);
        entry.gradient.forEach((g, i) => {
          same((gradLogprobs as Float64Array)[i], Number(g), `the gradient of element ${i} of ${what}`);
        });
      },
    );
  }
});

describe("unlike torch on purpose", () => {
  const gradientAt = async (f: (x: Expr) => Expr, at: number) => {
    const compiled = await device.compile(defineLoss({ name: "f", loss: (policy) => f(policy.logprobs) }));
    const { gradLogprobs } = await compiled.forwardBackward(
      { lengths: [1], policy_logprobs: [at] },
      {},
      { nonFinite: "propagate" },
    );
    return (gradLogprobs as Float64Array)[0];
  };

  it("where sends nothing to the branch not taken", async () => {
    expect(await gradientAt((x) => where(gt(x, 0), sqrt(x), 0), 0)).toBe(0);
    expect(await gradientAt((x) => where(gt(x, 0), log(x), x), -1)).toBe(1);
    expect(await gradientAt((x) => where(gt(x, 0), 1, exp(x)), 1000)).toBe(0);
  });

  it("an adjoint of 0 stays 0 where the derivative is infinite", async () => {
    expect(await gradientAt((x) => mul(0, sqrt(x)), 0)).toBe(0);
    expect(await gradientAt((x) => square(sqrt(x)), 0)).toBe(0);
    expect(await gradientAt((x) => mul(0, div(1, x)), 0)).toBe(0);
  });
});
