import { defineLoss, exp, stopGradient } from "../dsl/index.js";
import { policyMetrics } from "./metrics.loss.js";

/**
 * Cross entropy, each token weighted by its own probability: −sg(exp ℓ)·ℓ.
 *
 * Wu et al., "On the Generalization of SFT: A Reinforcement Learning Perspective with Reward Rectification", 2025.
 */
export const dft = defineLoss({
  name: "dft",
  loss(policy) {
    return { loss: -stopGradient(exp(policy.logprobs)) * policy.logprobs, metrics: policyMetrics(policy) };
  },
});
