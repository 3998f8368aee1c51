/**
 * A loss of one's own: cross-entropy with a term that pulls the sum of the exponentials of the logits towards 1, as is often done to keep the logits
 * of a long run from drifting. It is compiled like the losses that lossc brings.
 */
import { add, defineLoss, mean, mul, neg, square } from "lossc";

export const zLoss = defineLoss({
  name: "cross_entropy_z",
  config: { z_coefficient: 1e-4 },
  loss(policy, _inputs, config) {
    const z = square(policy.logsumexp);
    return {
      loss: add(neg(policy.logprobs), mul(config.z_coefficient, z)),
      metrics: { z: mean(z), cross_entropy: neg(mean(policy.logprobs)) },
    };
  },
});
