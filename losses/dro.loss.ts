import { defineLoss } from "../dsl/index.js";
import { ratioMetrics } from "./metrics.loss.js";

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
    const penalty = 0.5 * config.beta * (policy.logprobs - inputs.logprobs) ** 2;
    return { loss: -(policy.logprobs * inputs.advantages - penalty), metrics: ratioMetrics(policy, inputs.logprobs) };
  },
});
