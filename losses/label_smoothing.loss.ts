import { defineLoss, mean } from "../dsl/index.js";
import { policyMetrics } from "./metrics.loss.js";

/**
 * Cross entropy with a share of the target spread evenly over the vocabulary: −(1 − epsilon)·ℓ + epsilon·(lse − mean z).
 *
 * Config: `epsilon`, the share, 0.1.
 *
 * Szegedy et al., "Rethinking the Inception Architecture for Computer Vision", 2015.
 */
export const label_smoothing = defineLoss({
  name: "label_smoothing",
  config: { epsilon: 0.1 },
  loss(policy, _inputs, config) {
    const uniform = policy.logsumexp - mean(policy.logits, "vocab");
    return { loss: -(1 - config.epsilon) * policy.logprobs + config.epsilon * uniform, metrics: policyMetrics(policy) };
  },
});
