import { clamp, defineLoss, exp, min, mul, neg, sub } from "../dsl/index.js";

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
    const ratio = exp(sub(policy.logprobs, inputs.logprobs));
    const clipped = clamp(ratio, config.clip_low_threshold, config.clip_high_threshold);
    return neg(min(mul(ratio, inputs.advantages), mul(clipped, inputs.advantages)));
  },
});
