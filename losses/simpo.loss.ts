import { defineLoss, logSigmoid, mean } from "../dsl/index.js";
import { pairMetrics, policyMetrics } from "./metrics.loss.js";
import { margin } from "./terms.loss.js";

/**
 * Preference optimisation without a reference, per pair: −log σ(beta·(mean ℓ of the chosen sequence − of the rejected one) − gamma). A group is a
 * pair of sequences, the chosen one first.
 *
 * Config: `beta` 2; `gamma`, the margin that is asked for, 0.5.
 *
 * Meng et al., "SimPO: Simple Preference Optimization with a Reference-Free Reward", 2024.
 */
export const simpo = defineLoss({
  name: "simpo",
  config: { beta: 2, gamma: 0.5 },
  loss(policy, _inputs, config) {
    const reward = mean(policy.logprobs, "tokens");
    return {
      loss: -logSigmoid(config.beta * margin(reward) - config.gamma),
      metrics: { ...policyMetrics(policy), ...pairMetrics(reward) },
    };
  },
});
