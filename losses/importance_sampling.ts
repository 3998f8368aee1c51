import { defineLoss, exp, mul, neg, sub } from "../dsl/index.js";

/**
 * The policy gradient with an importance ratio, per token: −r·A with r = exp(ℓ − q).
 *
 * Inputs, per token: `logprobs` q, the sampler's log-probabilities (nats); `advantages` A.
 */
export const importance_sampling = defineLoss({
  name: "importance_sampling",
  inputs: { logprobs: "token", advantages: "token" },
  loss(policy, inputs) {
    const ratio = exp(sub(policy.logprobs, inputs.logprobs));
    return neg(mul(ratio, inputs.advantages));
  },
});
