import { defineLoss, exp } from "../dsl/index.js";
import { ratioMetrics } from "./metrics.loss.js";

/**
 * The policy gradient with an importance ratio, per token: −r·A with r = exp(ℓ − q).
 *
 * Inputs, per token: `logprobs` q, the sampler's log-probabilities (nats); `advantages` A.
 *
 * Precup, Sutton and Singh, "Eligibility Traces for Off-Policy Policy Evaluation", 2000.
 */
export const importance_sampling = defineLoss({
  name: "importance_sampling",
  inputs: { logprobs: "token", advantages: "token" },
  loss(policy, inputs) {
    const ratio = exp(policy.logprobs - inputs.logprobs);
    return { loss: -ratio * inputs.advantages, metrics: ratioMetrics(policy, inputs.logprobs) };
  },
});
