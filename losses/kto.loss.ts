import { defineLoss, max, mean, sigmoid, stopGradient, sum } from "../dsl/index.js";
import { policyMetrics } from "./metrics.loss.js";

/**
 * Kahneman-Tversky optimisation, per sequence. R = Σ(ℓ − ρ), K = sg(max(0, mean of R over the batch)); a desirable sequence costs
 * desirable_weight·(1 − σ(beta·(R − K))), another undesirable_weight·(1 − σ(beta·(K − R))).
 *
 * Inputs: `reference_logprobs` ρ per token (nats); `desirable` per sequence, 1 or 0.
 * Config: `beta` 0.1; the weights, 1 and 1.
 *
 * Ethayarajh et al., "KTO: Model Alignment as Prospect Theoretic Optimization", 2024.
 */
export const kto = defineLoss({
  name: "kto",
  inputs: { reference_logprobs: "token", desirable: "sequence" },
  config: { beta: 0.1, desirable_weight: 1, undesirable_weight: 1 },
  loss(policy, inputs, config) {
    const reward = sum(policy.logprobs - inputs.reference_logprobs, "tokens");
    const baseline = stopGradient(max(0, mean(reward)));
    const gain = config.desirable_weight * (1 - sigmoid(config.beta * (reward - baseline)));
    const harm = config.undesirable_weight * (1 - sigmoid(config.beta * (baseline - reward)));
    return { loss: inputs.desirable > 0 ? gain : harm, metrics: policyMetrics(policy) };
  },
});
