import { defineLoss } from "../dsl/index.js";
import { policyMetrics } from "./metrics.loss.js";
import { zLoss } from "./terms.loss.js";

/**
 * Cross entropy with a penalty that keeps the normaliser near 1: −ℓ + z_coefficient·lse².
 *
 * Config: `z_coefficient` 1e-4.
 *
 * Chowdhery et al., "PaLM: Scaling Language Modeling with Pathways", 2022.
 */
export const cross_entropy_z = defineLoss({
  name: "cross_entropy_z",
  config: { z_coefficient: 1e-4 },
  loss(policy, _inputs, config) {
    return { loss: -policy.logprobs + config.z_coefficient * zLoss(policy), metrics: policyMetrics(policy) };
  },
});
