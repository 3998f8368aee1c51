import { amax, amin, type Expr, exp, mean, type Num, type Policy, weightedMean, where } from "../dsl/index.js";
import { klK1, klK2, klK3, margin } from "./terms.loss.js";

// Metrics that losses share, one definition each. Each is a function, and computed only where a caller asks for it by name.
// Means are Σ w·m / Σ w over tokens of non-zero weight.

/** Of every loss: `entropy` of the policy, nats. */
export const policyMetrics = (policy: Policy) => ({ entropy: () => weightedMean(policy.entropy) });

/** Of losses with a ratio r = exp(ℓ − q): its mean and extremes, and estimates of KL(q‖policy), nats. */
export function ratioMetrics(policy: Policy, q: Expr) {
  const ratio = () => exp(policy.logprobs - q);
  return {
    ...policyMetrics(policy),
    "ratio:mean": () => weightedMean(ratio()),
    "ratio:min": () => amin(ratio()),
    "ratio:max": () => amax(ratio()),
    kl_k1: () => weightedMean(klK1(policy.logprobs, q)),
    kl_k2: () => weightedMean(klK2(policy.logprobs, q)),
    kl_k3: () => weightedMean(klK3(policy.logprobs, q)),
  };
}

/** Shares of tokens whose ratio was clipped below, above, or either. */
function clipShares(below: () => Num, above: () => Num) {
  return {
    clip_fraction: () => weightedMean(below()) + weightedMean(above()),
    clip_fraction_low: () => weightedMean(below()),
    clip_fraction_high: () => weightedMean(above()),
  };
}

/** Of the ppo family: the clip is active and took the token's gradient. */
export const surrogateClipMetrics = (ratio: Expr, advantages: Expr, low: Expr, high: Expr) =>
  clipShares(
    () => where(ratio < low && advantages < 0, 1, 0),
    () => where(ratio > high && advantages > 0, 1, 0),
  );

/** Of losses whose clipped ratio is a weight: the ratio lies outside of the bounds. */
export const outsideMetrics = (ratio: Expr, low: Expr, high: Expr) =>
  clipShares(
    () => ratio < low,
    () => ratio > high,
  );

/** Of preference pairs: the share with a positive margin of this value per sequence, and the mean margin. */
export const pairMetrics = (x: Expr) => ({
  accuracy: () => mean(margin(x) > 0),
  margin: () => mean(margin(x)),
});
