/** Losses that the tests of kernel text share: the built-ins, and some written as a user would. */

import type { LossDefinition } from "../../dsl/index.js";
import {
  add,
  clamp,
  defineLoss,
  exp,
  logSoftmax,
  mean,
  min,
  mul,
  neg,
  softmax,
  square,
  sub,
  sum,
  variance,
} from "../../dsl/index.js";
import * as losses from "../../losses/index.js";

/** A token-local loss of no paper. */
export const squared = defineLoss({
  name: "sum of squared logprobs",
  loss: (policy) => sum(square(policy.logprobs)),
});

/** Couples every token with every other: two sweeps. */
export const spread = defineLoss({
  name: "variance of logprobs",
  loss: (policy) => variance(policy.logprobs),
});

/** Sequence-level policy optimisation: one ratio per sequence, the geometric mean of its tokens' ratios. */
export const sequencePolicy = defineLoss({
  name: "a clipped ratio per sequence",
  inputs: { logprobs: "token", advantages: "sequence" },
  config: { clip_low_threshold: 0.9, clip_high_threshold: 1.1 },
  loss(policy, inputs, config) {
    const ratio = exp(mean(sub(policy.logprobs, inputs.logprobs), "tokens"));
    const clipped = clamp(ratio, config.clip_low_threshold, config.clip_high_threshold);
    return neg(min(mul(ratio, inputs.advantages), mul(clipped, inputs.advantages)));
  },
});

/** Distillation from several teachers: a row more for each. */
export const teachers = (count: number): LossDefinition =>
  defineLoss({
    name: `${count} teachers`,
    inputs: Object.fromEntries(Array.from({ length: count }, (_, i) => [`teacher_${i}`, "vocab" as const])),
    loss: (policy, inputs) =>
      Object.values(inputs)
        .map((row) => sum(mul(softmax(row), sub(logSoftmax(row), logSoftmax(policy.logits))), "vocab"))
        .reduce((a, b) => add(a, b)),
  });

const { cross_entropy, importance_sampling, ppo, cispo, dro } = losses;

/** Losses from one token's row alone, and such as couple tokens; by the names of their golden files. */
export const coreLosses = {
  cross_entropy,
  importance_sampling,
  ppo,
  cispo,
  dro,
  squared,
  variance: spread,
  "sequence-policy": sequencePolicy,
} satisfies Readonly<Record<string, LossDefinition>>;

/** Every loss that ships, and the ones above. */
export const goldenLosses: Readonly<Record<string, LossDefinition>> = { ...losses.builtins, ...coreLosses };
