import { clamp, defineLoss, exp, mean, min, stopGradient } from "../dsl/index.js";
import { ratioMetrics, surrogateClipMetrics } from "./metrics.loss.js";

/**
 * PPO with the ratio of the whole sequence, its gradient through each token: r = exp(ℓ − sg ℓ + sg(mean over the sequence of ℓ − q)); −min(r·A,
 * clip(r)·A).
 *
 * Inputs, per token: `logprobs` q, the sampler's log-probabilities (nats); `advantages` A.
 * Config: the clip bounds of the ratio, 0.9997 and 1.0004.
 *
 * Zheng et al., "Group Sequence Policy Optimization", 2025 (the token form).
 */
export const gspo = defineLoss({
  name: "gspo",
  inputs: { logprobs: "token", advantages: "token" },
  config: { clip_low_threshold: 0.9997, clip_high_threshold: 1.0004 },
  loss(policy, inputs, config) {
    const sequence = stopGradient(mean(policy.logprobs - inputs.logprobs, "tokens"));
    const ratio = exp(policy.logprobs - stopGradient(policy.logprobs) + sequence);
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
