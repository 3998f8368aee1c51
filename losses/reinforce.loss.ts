import { defineLoss } from "../dsl/index.js";
import { policyMetrics } from "./metrics.loss.js";

/**
 * The plain policy gradient, per token: −A·ℓ.
 *
 * Inputs, per token: `advantages` A.
 *
 * Williams, "Simple Statistical Gradient-Following Algorithms for Connectionist Reinforcement Learning", 1992.
 */
export const reinforce = defineLoss({
  name: "reinforce",
  inputs: { advantages: "token" },
  loss(policy, inputs) {
    return { loss: -inputs.advantages * policy.logprobs, metrics: policyMetrics(policy) };
  },
});
