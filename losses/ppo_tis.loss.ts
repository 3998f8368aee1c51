import { clamp, defineLoss, exp, min } from "../dsl/index.js";
import { ratioMetrics, surrogateClipMetrics } from "./metrics.loss.js";
import { truncatedImportanceWeight } from "./terms.loss.js";

/**
 * PPO against the trainer's own old policy, weighted by a truncated importance ratio between that policy and the sampler:
 * sg(min(exp(o − q), tis_cap)) · ppo with r = exp(ℓ − o).
 *
 * Inputs, per token: `logprobs` q, the sampler's log-probabilities (nats); `old_logprobs` o, the trainer's before the update (nats); `advantages` A.
 * Config: the clip bounds of the ratio, 0.8 and 1.2; `tis_cap`, the cap of the sampler's ratio, 2.
 *
 * Yao et al., "Your Efficient RL Framework Secretly Brings You Off-Policy RL Training", 2025.
 */
export const ppo_tis = defineLoss({
  name: "ppo_tis",
  inputs: { logprobs: "token", old_logprobs: "token", advantages: "token" },
  config: { clip_low_threshold: 0.8, clip_high_threshold: 1.2, tis_cap: 2 },
  loss(policy, inputs, config) {
    const weight = truncatedImportanceWeight(inputs.old_logprobs, inputs.logprobs, config.tis_cap);
    const ratio = exp(policy.logprobs - inputs.old_logprobs);
    const clipped = clamp(ratio, config.clip_low_threshold, config.clip_high_threshold);
    return {
      loss: -weight * min(ratio * inputs.advantages, clipped * inputs.advantages),
      metrics: {
        ...ratioMetrics(policy, inputs.old_logprobs),
        ...surrogateClipMetrics(ratio, inputs.advantages, config.clip_low_threshold, config.clip_high_threshold),
      },
    };
  },
});
