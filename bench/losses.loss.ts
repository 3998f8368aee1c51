import { clamp, defineLoss, exp, min, variance } from "../dsl/index.js";

/** The mathematics of ppo as a user would write it. */
export const usersPpo = defineLoss({
  name: "a user's ppo",
  inputs: { logprobs: "token", advantages: "token" },
  config: { low: 0.8, high: 1.2 },
  loss(policy, inputs, config) {
    const ratio = exp(policy.logprobs - inputs.logprobs);
    return -min(ratio * inputs.advantages, clamp(ratio, config.low, config.high) * inputs.advantages);
  },
});

/** Coupled in the shortest way: each token's gradient needs the logprobs of its whole sequence. */
export const logprobVariance = defineLoss({
  name: "variance",
  loss: (policy) => variance(policy.logprobs, "tokens"),
});
