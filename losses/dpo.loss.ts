import { defineLoss, logSigmoid, sum } from "../dsl/index.js";
import { pairMetrics, policyMetrics } from "./metrics.loss.js";
import { margin } from "./terms.loss.js";

/**
 * Direct preference optimisation, per pair: −(1 − label_smoothing)·log σ(h) − label_smoothing·log σ(−h) with
 * h = beta·(Σ(ℓ − ρ) of the chosen sequence − of the rejected one). A group is a pair of sequences, the chosen one first.
 *
 * Inputs, per token: `reference_logprobs` ρ (nats).
 * Config: `beta` 0.1; `label_smoothing`, the share of labels that are wrong, 0.
 *
 * Rafailov et al., "Direct Preference Optimization", 2023; label smoothing: Mitchell, "A note on DPO with noisy preferences", 2023.
 */
export const dpo = defineLoss({
  name: "dpo",
  inputs: { reference_logprobs: "token" },
  config: { beta: 0.1, label_smoothing: 0 },
  loss(policy, inputs, config) {
    const reward = sum(policy.logprobs - inputs.reference_logprobs, "tokens");
    const h = config.beta * margin(reward);
    return {
      loss: -(1 - config.label_smoothing) * logSigmoid(h) - config.label_smoothing * logSigmoid(-h),
      metrics: { ...policyMetrics(policy), ...pairMetrics(reward) },
    };
  },
});
