import { clamp, defineLoss, exp, mean, min, sign } from "../dsl/index.js";
import { ratioMetrics } from "./metrics.loss.js";

/**
 * The geometric mean of clipped ratios, per sequence: −mean(A)·exp(mean e) with d = ℓ − q, s = sign A and e = s·min(s·d, s·clamp(d, −clip_low,
 * clip_high)).
 *
 * Inputs, per token: `logprobs` q, the sampler's log-probabilities (nats); `advantages` A.
 * Config: the clip bounds of log-ratios, 0.4 and 0.4.
 *
 * Zhao et al., "Geometric-Mean Policy Optimization", 2025.
 */
export const gmpo = defineLoss({
  name: "gmpo",
  inputs: { logprobs: "token", advantages: "token" },
  config: { clip_low: 0.4, clip_high: 0.4 },
  loss(policy, inputs, config) {
    const d = policy.logprobs - inputs.logprobs;
    const s = sign(inputs.advantages);
    const e = s * min(s * d, s * clamp(d, -config.clip_low, config.clip_high));
    return { loss: -mean(inputs.advantages, "tokens") * exp(mean(e, "tokens")), metrics: ratioMetrics(policy, inputs.logprobs) };
  },
});
