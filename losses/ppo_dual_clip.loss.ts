import { clamp, defineLoss, exp, min } from "../dsl/index.js";
import { ratioMetrics, surrogateClipMetrics } from "./metrics.loss.js";

/**
 * PPO with a second bound for negative advantages. With P the loss of `ppo`: P where A ≥ 0, and min(P, −dual_clip·A) where A < 0.
 *
 * Inputs, per token: `logprobs` q, the sampler's log-probabilities (nats); `advantages` A.
 * Config: the clip bounds of the ratio, 0.8 and 1.2; `dual_clip`, the greatest ratio that a negative advantage is charged with, 3.
 *
 * Ye et al., "Mastering Complex Control in MOBA Games with Deep Reinforcement Learning", 2020.
 */
export const ppo_dual_clip = defineLoss({
  name: "ppo_dual_clip",
  inputs: { logprobs: "token", advantages: "token" },
  config: { clip_low_threshold: 0.8, clip_high_threshold: 1.2, dual_clip: 3 },
  loss(policy, inputs, config) {
    const ratio = exp(policy.logprobs - inputs.logprobs);
    const clipped = clamp(ratio, config.clip_low_threshold, config.clip_high_threshold);
    const loss = -min(ratio * inputs.advantages, clipped * inputs.advantages);
    return {
      loss: inputs.advantages < 0 ? min(loss, -config.dual_clip * inputs.advantages) : loss,
      metrics: {
        ...ratioMetrics(policy, inputs.logprobs),
        ...surrogateClipMetrics(ratio, inputs.advantages, config.clip_low_threshold, config.clip_high_threshold),
      },
    };
  },
});
