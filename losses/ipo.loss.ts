import { defineLoss, mean, square } from "../dsl/index.js";
import { pairMetrics, policyMetrics } from "./metrics.loss.js";
import { margin } from "./terms.loss.js";

/**
 * Identity preference optimisation, per pair: (mean(ℓ − ρ) of the chosen sequence − of the rejected one − 1/(2·beta))². A group is a pair of
 * sequences, the chosen one first.
 *
 * Inputs, per token: `reference_logprobs` ρ (nats).
 * Config: `beta` 0.1.
 *
 * Azar et al., "A General Theoretical Paradigm to Understand Learning from Human Preferences", 2023.
 */
export const ipo = defineLoss({
  name: "ipo",
  inputs: { reference_logprobs: "token" },
  config: { beta: 0.1 },
  loss(policy, inputs, config) {
    const reward = mean(policy.logprobs - inputs.reference_logprobs, "tokens");
    return {
      loss: square(margin(reward) - 1 / (2 * config.beta)),
      metrics: { ...policyMetrics(policy), ...pairMetrics(reward) },
    };
  },
});
