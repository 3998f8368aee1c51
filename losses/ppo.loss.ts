import { clamp, defineLoss, exp, min } from "../dsl/index.js";
import { ratioMetrics, surrogateClipMetrics } from "./metrics.loss.js";

/**
 * Proximal policy optimisation, the clipped surrogate, per token:
 * −min(r·A, clip(r)·A) with r = exp(ℓ − q).
 *
 * Inputs, per token: `logprobs` q, the sampler's log-probabilities (nats); `advantages` A.
 * Config: the clip bounds of the ratio, 0.8 and 1.2.
 *
 * Schulman et al., "Proximal Policy Optimization Algorithms", 2017.
 */
export const ppo = defineLoss({
  name: "ppo",
  inputs: { logprobs: "token", advantages: "token" },
  config: { clip_low_threshold: 0.8, clip_high_threshold: 1.2 },
  loss(policy, inputs, config) {
    const ratio = exp(policy.logprobs - inputs.logprobs);
    const clipped = clamp(ratio, config.clip_low_threshold, config.clip_high_threshold);
    return {
      loss: -min(ratio * inputs.advantages, clipped * inputs.advantages),
      metrics: {
        ...ratioMetrics(policy, inputs.logprobs),
        ...surrogateClipMetrics(ratio, inputs.advantages, config.clip_low_threshold, config.clip_high_threshold),
      },
    };
  },
});
