import { clamp, defineLoss, exp, min } from "../dsl/index.js";
import { ratioMetrics, surrogateClipMetrics } from "./metrics.loss.js";
import { klK3 } from "./terms.loss.js";

/**
 * PPO with a penalty for the distance from a reference model, estimated by k3: ppo + kl_beta·(exp(ρ − ℓ) − (ρ − ℓ) − 1).
 *
 * Inputs, per token: `logprobs` q, the sampler's log-probabilities (nats); `reference_logprobs` ρ (nats); `advantages` A, normalised over the group
 * of samples of one prompt.
 * Config: the clip bounds of the ratio, 0.8 and 1.2; `kl_beta`, the penalty's weight, 0.04.
 *
 * Shao et al., "DeepSeekMath", 2024.
 */
export const grpo = defineLoss({
  name: "grpo",
  inputs: { logprobs: "token", reference_logprobs: "token", advantages: "token" },
  config: { clip_low_threshold: 0.8, clip_high_threshold: 1.2, kl_beta: 0.04 },
  loss(policy, inputs, config) {
    const ratio = exp(policy.logprobs - inputs.logprobs);
    const clipped = clamp(ratio, config.clip_low_threshold, config.clip_high_threshold);
    const surrogate = -min(ratio * inputs.advantages, clipped * inputs.advantages);
    return {
      loss: surrogate + config.kl_beta * klK3(inputs.reference_logprobs, policy.logprobs),
      metrics: {
        ...ratioMetrics(policy, inputs.logprobs),
        ...surrogateClipMetrics(ratio, inputs.advantages, config.clip_low_threshold, config.clip_high_threshold),
      },
    };
  },
});
