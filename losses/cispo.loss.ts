import { clamp, defineLoss, exp, stopGradient } from "../dsl/index.js";
import { outsideMetrics, ratioMetrics } from "./metrics.loss.js";

/**
 * Clipped importance-sampled policy optimisation, per token: −sg(clip(r))·ℓ·A with r = exp(ℓ − q). The clipped ratio is a constant weight, so that
 * every token keeps its gradient.
 *
 * Inputs, per token: `logprobs` q, the sampler's log-probabilities (nats); `advantages` A.
 * Config: the clip bounds of the ratio, 0.8 and 1.2.
 *
 * MiniMax, "MiniMax-M1", 2025.
 */
export const cispo = defineLoss({
  name: "cispo",
  inputs: { logprobs: "token", advantages: "token" },
  config: { clip_low_threshold: 0.8, clip_high_threshold: 1.2 },
  loss(policy, inputs, config) {
    const ratio = exp(policy.logprobs - inputs.logprobs);
    const clipped = clamp(ratio, config.clip_low_threshold, config.clip_high_threshold);
    return {
      loss: -stopGradient(clipped) * policy.logprobs * inputs.advantages,
      metrics: {
        ...ratioMetrics(policy, inputs.logprobs),
        ...outsideMetrics(ratio, config.clip_low_threshold, config.clip_high_threshold),
      },
    };
  },
});
