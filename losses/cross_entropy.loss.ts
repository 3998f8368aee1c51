import { defineLoss } from "../dsl/index.js";
import { policyMetrics } from "./metrics.loss.js";

/**
 * Cross entropy with the target tokens, per token: −ℓ.
 *
 * Inputs: only `weights`, per token, which multiply every token loss (1 where none are given).
 *
 * Bengio et al., "A Neural Probabilistic Language Model", 2003.
 */
export const cross_entropy = defineLoss({
  name: "cross_entropy",
  loss: (policy) => ({ loss: -policy.logprobs, metrics: policyMetrics(policy) }),
});
