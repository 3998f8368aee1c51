import { defineLoss, log1mexp, logSigmoid, mean, pick } from "../dsl/index.js";
import { pairMetrics, policyMetrics } from "./metrics.loss.js";
import { margin } from "./terms.loss.js";

/**
 * Supervised training and preference in one, per pair, with m = mean ℓ of a sequence:
 * −m_c − beta·log σ((m_c − m_r) − (log(1 − exp m_c) − log(1 − exp m_r))). A group is a pair of sequences, the chosen one first.
 *
 * Config: `beta`, the weight of the odds ratio, 0.1.
 *
 * Hong et al., "ORPO: Monolithic Preference Optimization without Reference Model", 2024.
 */
export const orpo = defineLoss({
  name: "orpo",
  config: { beta: 0.1 },
  loss(policy, _inputs, config) {
    const m = mean(policy.logprobs, "tokens");
    const odds = margin(m - log1mexp(m));
    return {
      loss: -pick(m, "sequences", 0) - config.beta * logSigmoid(odds),
      metrics: { ...policyMetrics(policy), ...pairMetrics(m) },
    };
  },
});
