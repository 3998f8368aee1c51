import { defineLoss, exp } from "../dsl/index.js";
import { policyMetrics } from "./metrics.loss.js";

/**
 * Cross entropy with less weight on tokens that the policy predicts well: −(1 − exp ℓ)^gamma·ℓ.
 *
 * Config: `gamma`, how strongly, 2.
 *
 * Lin et al., "Focal Loss for Dense Object Detection", 2017.
 */
export const focal = defineLoss({
  name: "focal",
  config: { gamma: 2 },
  loss(policy, _inputs, config) {
    return { loss: -((1 - exp(policy.logprobs)) ** config.gamma) * policy.logprobs, metrics: policyMetrics(policy) };
  },
});
