/** Expressions of rows whose values a rewrite of the compiler once changed, against `reference`. */
import { expect, test } from "vitest";
import {
  atTarget,
  defineLoss,
  div,
  type Expr,
  exp,
  type LossDefinition,
  log,
  logSoftmax,
  mean,
  mul,
  type Policy,
  sub,
  sum,
} from "../../dsl/index.js";
import { oracle } from "./oracle.js";
import { eachDevice } from "./support.js";

const lossOf = (name: string, loss: (policy: Policy, inputs: { readonly x: Expr }) => Expr): LossDefinition =>
  defineLoss({ name, inputs: { x: "token" }, loss }) as unknown as LossDefinition;

const centred = (z: Expr) => sub(z, mean(z, "vocab"));

const CASES = [
  {
    what: "the target's logprob under a temperature is rounded as its row is",
    loss: lossOf("tempered", (policy, { x }) => atTarget(logSoftmax(div(policy.logits, x)))),
    rows: [1000.1, 999.9, 1000.3],
    target: 2,
    x: 0.7,
    // Logits of 1428 lie 1.2e-4 apart in float32.
    tolerance: 4e-5,
  },
  {
    what: "a product of two differences from a mean is summed as it is written",
    loss: lossOf("spread", ({ logits }) => sum(mul(centred(logits), centred(logits)), "vocab")),
    rows: [3000, 3001, 3002.5],
    target: 0,
    x: 1,
    tolerance: 2e-6,
  },
  {
    what: "an exponential less a logarithm is no quotient, which would overflow",
    loss: lossOf("shifted", (policy, { x }) => sum(exp(sub(policy.logits, log(x))), "vocab")),
    rows: [93, 95, 90],
    target: 0,
    x: 1e35,
    tolerance: 2e-6,
  },
  {
    what: "an entry that is not there adds nothing, also where its exponential is taken from -Infinity",
    loss: lossOf("absent", (policy, { x }) => div(1, sum(exp(sub(policy.logits, x)), "vocab"))),
    rows: [1, Number.NEGATIVE_INFINITY, 2],
    target: 0,
    x: Number.NEGATIVE_INFINITY,
    tolerance: 0,
  },
];

eachDevice(
  (device) => {
    test.each(CASES)("$what", async ({ loss, rows, target, x, tolerance }) => {
      const inputs = { logits: Float32Array.from(rows), target_tokens: [target], lengths: [1], x: Float32Array.of(x) };
      const options = { nonFinite: "propagate" } as const;
      const expected = await oracle(loss, inputs, options);
      const result = await (await (await device()).compile(loss)).forwardBackward(inputs, {}, options);
      expect(Math.abs(result.loss - expected.loss)).toBeLessThanOrEqual(tolerance * Math.abs(expected.loss));
      expect(Array.from(result.gradLogits as Float32Array).every(Number.isFinite)).toBe(
        Array.from(expected.gradLogits as Float64Array).every(Number.isFinite),
      );
    });
  },
  ["cpu", "emulated"],
);
