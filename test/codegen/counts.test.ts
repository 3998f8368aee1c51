/** How many sweeps, steps and kernels each loss takes: the numbers of the design, one line per loss. */
import { describe, expect, it } from "vitest";
import { compilePlan } from "../../codegen/compile.js";
import {
  add,
  amax,
  amin,
  clamp,
  count,
  defineLoss,
  div,
  type Expr,
  exp,
  type LossDefinition,
  logsumexp,
  mean,
  min,
  mul,
  neg,
  square,
  std,
  stopGradient,
  sub,
  sum,
  variance,
} from "../../dsl/index.js";
import { builtins } from "../../losses/index.js";
import { lossOf } from "./graphs.js";

const counts = (loss: LossDefinition, logits: "f32" | null = "f32") => {
  const { sweeps, steps, kernels } = compilePlan({ loss, logits }).plan;
  expect(kernels.filter(({ kind }) => kind === "sweep").length).toBe(sweeps);
  expect(kernels.length).toBe(sweeps + steps);
  return [sweeps, steps];
};

/** The losses that ship: one sweep wherever the gradient's factors are the token's own, vocabulary terms included. */
const CATALOGUE: Readonly<Record<string, readonly [sweeps: number, steps: number, alone: number | undefined]>> = {
  cross_entropy: [1, 0, 1],
  importance_sampling: [1, 0, 1],
  ppo: [1, 0, 1],
  cispo: [1, 0, 1],
  dro: [1, 0, 1],
  reinforce: [1, 0, 1],
  ppo_dual_clip: [1, 0, 1],
  ppo_tis: [1, 0, 1],
  grpo: [1, 0, 1],
  sapo: [1, 0, 1],
  dft: [1, 0, 1],
  focal: [1, 0, 1],
  unlikelihood: [1, 0, 1],
  ppo_entropy: [1, 0, undefined],
  label_smoothing: [1, 0, undefined],
  cross_entropy_z: [1, 0, undefined],
  forward_kl: [1, 0, undefined],
  reverse_kl: [1, 0, undefined],
  jsd: [1, 0, undefined],
  // Their factors hold means or sums over a sequence, a pair or the batch.
  gspo: [2, 0, 2],
  gmpo: [2, 1, 3],
  dpo: [2, 2, 4],
  ipo: [2, 2, 4],
  simpo: [2, 2, 4],
  orpo: [2, 2, 4],
  kto: [2, 2, 4],
};

/** Sweeps and steps from logits, and steps from policy_logprobs (undefined: not without rows). */
const LOSSES: readonly (readonly [string, LossDefinition, sweeps: number, steps: number, alone: number | undefined])[] = [
  ...Object.entries(CATALOGUE).map(([name, numbers]) => [name, builtins[name] as LossDefinition, ...numbers] as const),
  ["a sum of squared logprobs", lossOf(({ policy }) => sum(square(policy.logprobs))), 1, 0, 1],
  ["a penalty on logsumexp", lossOf(({ policy }) => square(policy.logsumexp)), 1, 0, undefined],
  // Its factor 1/n is counted before the sweep; the quotient is taken after it.
  ["minus the mean", lossOf(({ policy }) => neg(mean(policy.logprobs))), 1, 2, 3],
  ["the mean of each sequence", lossOf(({ policy }) => neg(mean(policy.logprobs, "tokens"))), 1, 2, 3],
  [
    "advantages normalised over the sequence",
    lossOf(({ policy, a, b }) => {
      const centred = sub(a, mean(a, "tokens"));
      return neg(mul(exp(sub(policy.logprobs, b)), centred));
    }),
    1,
    1,
    2,
  ],
  [
    "advantages divided by their spread",
    lossOf(({ policy, a, b }) =>
      neg(mul(exp(sub(policy.logprobs, b)), div(sub(a, mean(a, "tokens")), add(std(a, "tokens"), 1e-6)))),
    ),
    1,
    2,
    3,
  ],
  ["the variance of all logprobs", lossOf(({ policy }) => variance(policy.logprobs)), 2, 1, 3],
  ["a mean that is squared", lossOf(({ policy }) => square(mean(policy.logprobs))), 2, 1, 3],
  ["the greatest logprob", lossOf(({ policy }) => amax(policy.logprobs)), 2, 2, 4],
  [
    "a clipped ratio per sequence",
    lossOf(({ policy, b, s }) => {
      const ratio = exp(mean(sub(policy.logprobs, b), "tokens"));
      return neg(min(mul(ratio, s), mul(clamp(ratio, 0.9, 1.1), s)));
    }),
    2,
    1,
    3,
  ],
  ["a mulAdjoint of reductions", lossOf(({ policy }) => variance(logsumexp(policy.logprobs, "tokens"))), 2, 5, 7],
  ["a loss without the policy", lossOf(({ a }) => a), 1, 0, 1],
  ["a loss that nothing reaches", lossOf(({ policy, a }) => mul(a, stopGradient(policy.logprobs))), 1, 0, 1],
];

/** The loss of what a loss returned. */
function summandOf(returned: ReturnType<LossDefinition["loss"]>): Expr {
  return (typeof returned === "object" && "loss" in returned ? returned.loss : returned) as Expr;
}

it("knows every loss that ships", () => {
  expect(Object.keys(CATALOGUE).sort()).toEqual(Object.keys(builtins).sort());
});

describe("sweeps and steps", () => {
  it.each(LOSSES)("%s", (_, loss, sweeps, steps, alone) => {
    expect(counts(loss)).toEqual([sweeps, steps]);
    if (alone !== undefined) expect(counts(loss, null)).toEqual([0, alone]);
  });
});

describe("metrics and outputs", () => {
  const metrics = (x: Expr) => ({
    mean: mean(x),
    spread: variance(x),
    most: amax(x),
    least: amin(x),
    n: count(x),
    second: mean(square(sub(x, mean(x)))),
  });

  it.each(LOSSES.map(([name, loss, sweeps, , alone]) => [name, loss, sweeps, alone] as const))(
    "add no sweep to %s",
    (_, loss, sweeps, alone) => {
      const watched = defineLoss({
        name: "watched",
        inputs: Object.fromEntries(Object.entries(loss.inputs).map(([key, { space }]) => [key, space])),
        config: Object.fromEntries(Object.entries(loss.config).map(([key, { value }]) => [key, value])),
        loss(policy, inputs, config) {
          const outputs = { deviation: sub(policy.logprobs, mean(policy.logprobs)), per: std(policy.logprobs, "tokens") };
          return {
            loss: summandOf(loss.loss(policy, inputs as never, config as never)),
            metrics: metrics(policy.logprobs),
            outputs,
          };
        },
      }) as unknown as LossDefinition;
      expect(compilePlan({ loss: watched, logits: "bf16" }).plan.sweeps).toBe(sweeps);
      if (alone !== undefined) expect(compilePlan({ loss: watched, logits: null }).plan.sweeps).toBe(0);
    },
  );
});
