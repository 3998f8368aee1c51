import { defineLoss, exp, sigmoid } from "../dsl/index.js";
import { ratioMetrics } from "./metrics.loss.js";

/**
 * A soft gate in place of a clip: −(4/τ)·σ(τ(r − 1))·A with τ = tau_pos where A > 0, else tau_neg.
 *
 * Inputs, per token: `logprobs` q, the sampler's log-probabilities (nats); `advantages` A.
 * Config: `tau_pos` 1 and `tau_neg` 1.05, how sharply the gate closes.
 *
 * Gao et al., "Soft Adaptive Policy Optimization", 2025.
 */
export const sapo = defineLoss({
  name: "sapo",
  inputs: { logprobs: "token", advantages: "token" },
  config: { tau_pos: 1, tau_neg: 1.05 },
  loss(policy, inputs, config) {
    const ratio = exp(policy.logprobs - inputs.logprobs);
    const tau = inputs.advantages > 0 ? config.tau_pos : config.tau_neg;
    return { loss: -(4 / tau) * sigmoid(tau * (ratio - 1)) * inputs.advantages, metrics: ratioMetrics(policy, inputs.logprobs) };
  },
});
