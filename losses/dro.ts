import { defineLoss, mul, neg, square, sub } from "../dsl/index.js";

/**
 * Direct reward optimisation, per token: −(ℓ·A − ½·beta·(ℓ − q)²).
 *
 * Inputs, per token: `logprobs` q, the sampler's log-probabilities (nats); `advantages` A.
 * Config: `beta`, the weight of the quadratic penalty, 0.05.
 *
 * Richemond et al., "Offline Regularised Reinforcement Learning for Large Language Models Alignment", 2024.
 */
export const dro = defineLoss({
  name: "dro",
  inputs: { logprobs: "token", advantages: "token" },
  config: { beta: 0.05 },
  loss(policy, inputs, config) {
    const penalty = mul(mul(0.5, config.beta), square(sub(policy.logprobs, inputs.logprobs)));
    return neg(sub(mul(policy.logprobs, inputs.advantages), penalty));
  },
});
