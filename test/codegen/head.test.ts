/** How far a loss reaches decides how often a head has to make its logits. */
import { describe, expect, it, test } from "vitest";
import { compilePlan } from "../../codegen/compile.js";
import { headPlanOf, productsOf } from "../../codegen/schedule/head.js";
import { defineLoss, type LossDefinition, mean, variance } from "../../dsl/index.js";
import { builtins } from "../../losses/index.js";
import { coreLosses } from "./golden-losses.js";

const headOf = (loss: LossDefinition, metrics?: readonly string[]) =>
  headPlanOf(compilePlan({ loss, logits: "f32", metrics }).plan);

const SEQUENCE = ["gspo", "gmpo", "sequence-policy"];
const GROUP = ["dpo", "ipo", "simpo", "orpo"];
const BATCH = ["kto", "variance"];

describe.each(Object.entries({ ...builtins, ...coreLosses }))("%s", (name, loss) => {
  const head = headOf(loss);
  const waitsFor = SEQUENCE.includes(name)
    ? "sequence"
    : GROUP.includes(name)
      ? "group"
      : BATCH.includes(name)
        ? "batch"
        : "token";

  it(`waits for its ${waitsFor}`, () => {
    expect(head.waitsFor).toBe(waitsFor);
  });

  it("takes three products where what it waits for lies in one chunk, and one more for every further sweep where it does not", () => {
    expect(productsOf(head, true)).toBe(3);
    expect(productsOf(head, false)).toBe(waitsFor === "token" ? 3 : 4);
  });

  it("runs every kernel once, sweeps in their order", () => {
    const { plan } = compilePlan({ loss, logits: "f32" });
    const all = [...head.before, ...head.during, ...head.after];
    expect(all.map(({ id }) => id).sort()).toEqual(plan.kernels.map(({ id }) => id).sort());
    expect(head.during.filter(({ kind }) => kind === "sweep")).toHaveLength(plan.sweeps);
    expect([...head.before, ...head.after].filter(({ kind }) => kind === "sweep")).toEqual([]);
  });
});

test("a metric of the whole batch does not widen what it waits for, unless a sweep computes it", () => {
  const loss = defineLoss({
    name: "coupled, with metrics",
    loss: (policy) => ({
      loss: variance(policy.logprobs, "tokens"),
      metrics: { late: () => mean(policy.logprobs), wide: () => variance(policy.logprobs) },
    }),
  });
  expect(headOf(loss).waitsFor).toBe("sequence");
  expect(headOf(loss, ["late"]).waitsFor).toBe("sequence");
  // The squares of the distances from the batch's mean ride on the second sweep.
  expect(headOf(loss, ["wide"]).waitsFor).toBe("batch");
});
