import { defineLoss, log1mexp } from "../dsl/index.js";
import { policyMetrics } from "./metrics.loss.js";

/**
 * Makes the target tokens unlikely: −log(1 − exp ℓ).
 *
 * Welleck et al., "Neural Text Generation with Unlikelihood Training", 2019.
 */
export const unlikelihood = defineLoss({
  name: "unlikelihood",
  loss(policy) {
    return { loss: -log1mexp(policy.logprobs), metrics: policyMetrics(policy) };
  },
});
