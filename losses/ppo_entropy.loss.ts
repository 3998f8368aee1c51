import { clamp, defineLoss, exp, min } from "../dsl/index.js";
import { ratioMetrics, surrogateClipMetrics } from "./metrics.loss.js";

/**
 * PPO that rewards the entropy of the policy: ppo − entropy_coefficient·H.
 *
 * Inputs, per token: `logprobs` q, the sampler's log-probabilities (nats); `advantages` A.
 * Config: the clip bounds of the ratio, 0.8 and 1.2; `entropy_coefficient` 0.01.
 *
 * Schulman et al., "Proximal Policy Optimization Algorithms", 2017.
 */
export const ppo_entropy = defineLoss({
  name: "ppo_entropy",
  inputs: { logprobs: "token", advantages: "token" },
  config: { clip_low_threshold: 0.8, clip_high_threshold: 1.2, entropy_coefficient: 0.01 },
  loss(policy, inputs, config) {
    const ratio = exp(policy.logprobs - inputs.logprobs);
    const clipped = clamp(ratio, config.clip_low_threshold, config.clip_high_threshold);
    return {
      loss: -min(ratio * inputs.advantages, clipped * inputs.advantages) - config.entropy_coefficient * policy.entropy,
      metrics: {
        ...ratioMetrics(policy, inputs.logprobs),
        ...surrogateClipMetrics(ratio, inputs.advantages, config.clip_low_threshold, config.clip_high_threshold),
      },
    };
  },
});
