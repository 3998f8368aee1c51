/** The numbers of docs/recipes.md: each recipe gives what its text promises, and reads the rows as often as it says. */
import { beforeAll, describe, expect, test } from "vitest";
import { compilePlan } from "../../codegen/compile.js";
import { defineLoss, div, isLossDefinition, type LossDefinition, lt, neg, sum as summed } from "../../dsl/index.js";
import { type Device, openDevice, TrainingClient } from "../../index.js";
import type { TrainingPolicy } from "../../runtime/training/index.js";
import { lossBlocks, run } from "./blocks.js";

const recipes: Readonly<Record<string, LossDefinition>> = Object.fromEntries(
  lossBlocks
    .filter(({ where }) => where.startsWith("docs/recipes.md"))
    .flatMap((block) => Object.entries(run(block)))
    .filter((made): made is [string, LossDefinition] => isLossDefinition(made[1])),
);

let device: Device;
beforeAll(async () => {
  device = await openDevice("reference");
  return () => device.dispose();
});

type Case = Readonly<Record<string, unknown>>;

async function call(
  name: string,
  inputs: Case,
  options: { readonly metrics?: readonly string[]; readonly skipMasked?: boolean } = {},
) {
  using compiled = await device.compile(recipes[name] as LossDefinition);
  return compiled.forwardBackward(inputs as Parameters<typeof compiled.forwardBackward>[0], {}, options);
}

const sweepsOf = (loss: LossDefinition | undefined) => compilePlan({ loss: loss as LossDefinition, logits: "f32" }).plan.sweeps;
const close = (values: ArrayLike<number> | undefined | null, wanted: readonly number[]) => {
  expect(Array.from(values ?? [])).toHaveLength(wanted.length);
  wanted.forEach((x, i) => void expect(values?.[i]).toBeCloseTo(x, 10));
};

/** Rows of two entries whose target has the given log-odds. */
const rows = (logOdds: readonly number[]) => ({
  logits: Float64Array.from(logOdds.flatMap((x) => [x, 0])),
  target_tokens: logOdds.map(() => 0),
});
const logprob = (logOdds: number) => -Math.log1p(Math.exp(-logOdds));
const ODDS = [0.5, -1, 2, 0.25, 1.5];
const LOGPROBS = ODDS.map(logprob);
const sum = (list: readonly number[]) => list.reduce((a, b) => a + b, 0);

describe("docs/recipes.md", () => {
  test("a recipe that reads the rows more often than its text says", () => {
    const twice = ["reward"];
    expect(Object.keys(recipes)).toHaveLength(11);
    for (const [name, loss] of Object.entries(recipes))
      expect(`${name} ${sweepsOf(loss)}`).toBe(`${name} ${twice.includes(name) ? 2 : 1}`);
    const late = defineLoss({
      name: "late",
      loss: (policy) => div(neg(policy.logprobs), summed(lt(policy.logprobs, 0), "tokens")),
    });
    expect(sweepsOf(late)).toBe(2);
  });

  test("a length that counts masked tokens", async () => {
    const weights = [1, 0, 0.5, 1, 1];
    const { loss } = await call("by_length", { ...rows(ODDS), lengths: [3, 2], weights });
    const [a, , c, d, e] = LOGPROBS as [number, number, number, number, number];
    expect(loss).toBeCloseTo(-(a + 0.5 * c) / 2 - (d + e) / 2, 10);
  });

  test("a mean over tokens that several calls do not add up to", async () => {
    const first = await call("accumulated", { ...rows(ODDS.slice(0, 2)), lengths: [2], all_tokens: 5 });
    const second = await call("accumulated", { ...rows(ODDS.slice(2)), lengths: [3], all_tokens: 5 });
    expect(first.loss + second.loss).toBeCloseTo(-sum(LOGPROBS) / 5, 10);
  });

  test("a divergence that is not exact, or an estimate that is not k3", async () => {
    const old = { logprobs: LOGPROBS, advantages: ODDS.map(() => 0), lengths: [5] };
    const reference = ODDS.map((x) => x + 0.3);
    const exact = await call("penalised_exactly", { ...rows(ODDS), ...old, reference_logits: rows(reference).logits });
    const kl = ODDS.map((x, t) => {
      const [p, r] = [Math.exp(logprob(x)), reference[t] as number];
      return p * (logprob(x) - logprob(r)) + (1 - p) * (logprob(-x) - logprob(-r));
    });
    expect(exact.loss).toBeCloseTo(0.04 * sum(kl), 10);
    const estimated = await call("penalised", { ...rows(ODDS), ...old, reference_logprobs: reference.map(logprob) });
    const k3 = ODDS.map((x, t) => logprob(reference[t] as number) - logprob(x)).map((d) => Math.exp(d) - d - 1);
    expect(estimated.loss).toBeCloseTo(0.04 * sum(k3), 10);
  });

  test("a bonus where the policy is unsure already", async () => {
    const odds = [0, 4];
    const { loss } = await call("exploring", { ...rows(odds), lengths: [2], advantages: [0, 0] });
    const p = Math.exp(logprob(4));
    expect(loss).toBeCloseTo(0.01 * (p * Math.log(p) + (1 - p) * Math.log(1 - p)), 10);
  });

  test("a weight per sequence that has no default, or is not broadcast", async () => {
    const batch = { ...rows(ODDS), lengths: [2, 3] };
    const [a, b, ...others] = LOGPROBS as [number, number, ...number[]];
    expect((await call("weighed", { ...batch, importance: [2, 0.5] })).loss).toBeCloseTo(-2 * (a + b) - 0.5 * sum(others), 10);
    expect((await call("weighed", batch)).loss).toBeCloseTo(-sum(LOGPROBS), 10);
  });

  test("ragged groups, of one sequence too", async () => {
    const reward = [1, 3, 7, 0, 6];
    const batch = { ...rows(ODDS), lengths: [1, 1, 1, 1, 1], groups: [2, 1, 2], logprobs: LOGPROBS, reward };
    const { loss, gradLogits } = await call("grouped", batch);
    const advantages = [-1 / (1 + 1e-6), 1 / (1 + 1e-6), 0, -3 / (3 + 1e-6), 3 / (3 + 1e-6)];
    expect(loss).toBeCloseTo(-sum(advantages), 10);
    close(
      gradLogits as Float64Array,
      ODDS.flatMap((x, t) => [-1, 1].map((sign) => sign * (advantages[t] as number) * (1 - Math.exp(logprob(x))))),
    );
  });

  test("a value head: loss and gradient per token", async () => {
    const [logits, old_values, returns] = [Float64Array.of(1, 0.5, -1), [0.9, 0, -1.1], [2, 2, 0]];
    const target_tokens = [0, 0, 0];
    const { loss, gradLogits } = await call("value", { lengths: [3], logits, target_tokens, old_values, returns });
    // The second value has moved further than the clip towards its return: the clipped error is the larger one, and has no gradient.
    expect(loss).toBeCloseTo(0.5 * (1 + 1.8 ** 2 + 1), 10);
    close(gradLogits as Float64Array, [-1, 0, -1]);
    const [hidden, head] = [Float64Array.of(1, 2, 0, 1, -2, 1), Float64Array.of(0.5, 0)];
    const fromHead = await call("value", {
      lengths: [3],
      hidden,
      head,
      target_tokens,
      old_values: [0.5, 0, -1],
      returns: [1, 0, 0],
    });
    close(fromHead.gradHead as Float64Array, [-0.5 * 1 + -1 * -2, -0.5 * 2 + -1]);
    close(fromHead.gradHidden as Float64Array, [-0.25, 0, 0, 0, -0.5, 0]);
  });

  test("a reward head: the last token of each sequence alone", async () => {
    const logits = Float64Array.of(9, 1.5, Number.NaN, 9, 0.5);
    const given = { lengths: [2, 3], groups: [2], logits, target_tokens: [0, 0, 0, 0, 0], weights: [0, 1, 0, 0, 1] };
    const { loss, gradLogits, outputs } = await call("reward", given, { skipMasked: true });
    expect(loss).toBeCloseTo(-logprob(1), 10);
    const slope = 1 - Math.exp(logprob(1));
    close(gradLogits as Float64Array, [0, -slope, 0, 0, slope]);
    close(outputs.score, [1.5, 0.5]);
  });

  test("inputs per batch and per group that the client does not bring to the loss, or whose difference it does not name", async () => {
    const asked: Float64Array[] = [];
    const policy: TrainingPolicy = {
      forward: async ({ tokens }) => ({ logits: new Float64Array(tokens.length * 5) }),
      backward: async (gradient) => void asked.push(gradient as Float64Array),
      optimStep: async () => {},
      state: async () => ({ step: 0, tensors: {} }),
      load: async () => {},
    };
    const client = new TrainingClient({ policy, device });
    const datum = (tokens: number[], difficulty: number, progress = 0.25) => ({
      modelInput: tokens.slice(0, -1),
      lossFnInputs: { target_tokens: tokens.slice(1), difficulty, progress },
    });
    const data = [datum([1, 2, 3], 0.5), datum([1, 4], 0.5), datum([3, 0, 2], 2)];
    const scheduled = recipes.scheduled as LossDefinition;
    const { loss } = await client.forwardBackward(data, scheduled, {}, { groups: [2, 1] });
    expect(loss).toBeCloseTo(Math.log(5) * 0.75 * (3 * 0.5 + 2 * 2), 6);
    expect(asked).toHaveLength(1);
    const other = [datum([1, 2, 3], 0.5), datum([1, 4], 1), datum([3, 0, 2], 2, 0.5)];
    for (const [groups, words] of [
      [[2, 1], "data[1].lossFnInputs.difficulty is 1, but data[0] has 0.5"],
      [[1, 1, 1], "data[2].lossFnInputs.progress is 0.5, but data[0] has 0.25"],
    ] as const)
      await expect(client.forwardBackward(other, scheduled, {}, { groups })).rejects.toMatchObject({
        code: "INPUT_LENGTH",
        message: expect.stringContaining(words),
      });
  });

  test("a metric that is computed though nobody asked", async () => {
    const batch = { ...rows(ODDS), lengths: [5], logprobs: LOGPROBS.map((l) => l - 1), advantages: ODDS };
    const plain = await call("measured", batch);
    expect(Object.keys(plain.metrics)).toEqual(["loss:sum"]);
    const asked = await call("measured", batch, { metrics: ["largest_ratio", "confidence"] });
    expect(asked.metrics.largest_ratio).toBeCloseTo(Math.E, 10);
    expect(asked.metrics.confidence).toBeCloseTo(sum(ODDS.map((x) => Math.exp(logprob(Math.abs(x))))) / 5, 10);
    const loss = recipes.measured as LossDefinition;
    const bodies = (metrics?: readonly string[]) =>
      compilePlan({ loss, logits: "f32", metrics }).plan.kernels.map(({ body }) => body);
    expect(bodies()).toEqual(bodies([]));
    expect(compilePlan({ loss, logits: "f32", metrics: ["confidence"] }).plan.sweeps).toBe(1);
  });
});
