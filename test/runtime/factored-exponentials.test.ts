/** Gradients whose exponentials are factored out: what is far from the maximum, not there, or no number comes out as `reference` has it. */
import { expect, test } from "vitest";
import {
  amin,
  defineLoss,
  div,
  type LossDefinition,
  logSoftmax,
  mean,
  mul,
  softmax,
  sqrt,
  square,
  stopGradient,
  sub,
  sum,
} from "../../dsl/index.js";
import type { LossInputs } from "../../runtime/devices/device.js";
import { openDevice } from "../../runtime/index.js";
import { withoutOptimisation } from "../optimisation.js";
import { eachDevice } from "./support.js";

withoutOptimisation();

const { NEGATIVE_INFINITY: none, NaN: nan } = Number;
/** Values that masks of other frameworks write at excluded entries. */
const LEAST = -3.3895e38;

const row = (...logits: readonly number[]): LossInputs => ({
  lengths: [1],
  logits: Float32Array.from(logits),
  target_tokens: [0],
});

const reverse = defineLoss({
  name: "reverse",
  inputs: { teacher: "vocab" },
  loss: (policy, { teacher }) => sum(mul(softmax(policy.logits), sub(logSoftmax(policy.logits), logSoftmax(teacher))), "vocab"),
});

const CASES = [
  {
    name: "an entropy where a mask wrote the least number",
    loss: defineLoss({ name: "entropy", loss: (policy) => mul(2, policy.entropy) }),
    inputs: row(0, 1, LEAST),
  },
  {
    name: "the square of an entropy there",
    loss: defineLoss({ name: "entropy squared", loss: (policy) => square(policy.entropy) }),
    inputs: { ...row(0, 1, LEAST), weights: [200] },
  },
  {
    name: "an entry that a teacher does not have",
    loss: defineLoss({
      name: "teacher",
      inputs: { teacher: "vocab" },
      loss: (policy, { teacher }) => sum(mul(mul(softmax(teacher), logSoftmax(teacher)), policy.logits), "vocab"),
    }),
    inputs: { ...row(0, 1, 2), teacher: Float32Array.of(0, 1, none) },
  },
  {
    name: "a derivative that is no number",
    loss: defineLoss({
      name: "root",
      inputs: { teacher: "vocab", temperature: "token" },
      loss(policy, { teacher, temperature }) {
        const [student, t] = [div(policy.logits, temperature), div(teacher, temperature)];
        return sqrt(sum(mul(softmax(t), sub(logSoftmax(t), logSoftmax(student))), "vocab"));
      },
    }),
    inputs: { ...row(0, 1, 2), teacher: Float32Array.of(0, 2, 1), temperature: [Number.POSITIVE_INFINITY] },
  },
  {
    name: "a row of one entry that is no number",
    loss: defineLoss({
      name: "two rows",
      inputs: { teacher: "vocab" },
      loss: (policy, { teacher }) =>
        sum(mul(softmax(policy.logits), mul(logSoftmax(teacher), logSoftmax(policy.logits))), "vocab"),
    }),
    inputs: { ...row(nan), teacher: Float32Array.of(1) },
  },
  {
    name: "an entry that neither row has",
    loss: reverse,
    inputs: { ...row(0, 1, none), teacher: Float32Array.of(0, 2, none) },
  },
  {
    name: "an entry that the student's mask leaves out and the teacher has",
    loss: reverse,
    inputs: { ...row(0, 1, LEAST), teacher: Float32Array.of(0, 2, 1) },
  },
  {
    name: "a difference from an earlier sweep",
    loss: defineLoss({
      name: "told",
      inputs: { origin: "token" },
      loss(policy, { origin }) {
        const difference = sub(amin(policy.logits, "vocab"), origin);
        const weight = stopGradient(mul(softmax(policy.logits), sub(logSoftmax(policy.logits), difference)));
        return { loss: square(mean(sum(mul(weight, policy.logits), "vocab"))), outputs: { difference } };
      },
    }),
    inputs: { ...row(0, 1, 2), origin: [0.5] },
  },
];

const reference = await openDevice("reference");

eachDevice(
  (open) => {
    test.each(CASES)("$name", async ({ loss, inputs }) => {
      const options = { nonFinite: "propagate" } as const;
      const wanted = await (await reference.compile<LossDefinition>(loss)).forwardBackward(inputs as LossInputs, {}, options);
      const found = await (await (await open()).compile<LossDefinition>(loss)).forwardBackward(inputs as LossInputs, {}, options);
      for (const [i, g] of [...(wanted.gradLogits as Float64Array)].entries())
        if (Number.isNaN(g)) expect((found.gradLogits as Float32Array)[i], `entry ${i}`).toBeNaN();
        else expect((found.gradLogits as Float32Array)[i], `entry ${i}`).toBeCloseTo(g, 4);
    });
  },
  ["cpu", "emulated", "cuda:0"],
);
